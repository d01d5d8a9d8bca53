import type { Clock } from '../base/clock.ts';
import { deferred } from '../base/deferred.ts';
import { EntremiseError, type ErrorCode } from '../base/errors.ts';
import type { SigningKey } from '../base/keys.ts';
import type { AcceptedGrant } from '../policy/grant.ts';
import { type AttachAgreement, prepareAttach } from '../session/attach-handshake.ts';
import type { LabelEndpoint, MemberLink } from '../session/member-link.ts';
import type { Frame } from '../wire/frame.ts';
import { type Attached, attach, type Portroute, type Purpose } from '../wire/messages/attach.ts';
import { frameType } from '../wire/spec.ts';
import { onAbort } from './abort-error.ts';

/** How long the answer to an ATTACH may take. */
const attachTimeoutMs = 15_000;

/** What this version can do end to end (P1.5). */
const capabilities: readonly string[] = [];

/** An ATTACH that is to be made. */
export interface AttachDemand {
  readonly link: MemberLink;
  readonly mediatorKey: Uint8Array;
  /** For messages. */
  readonly mediatorName: string;
  readonly purpose: Purpose;
  readonly grant: AcceptedGrant;
  readonly attachmentId: Uint8Array;
  /** Rises within the attachment (P4.2). */
  readonly attempt: number;
  /** Asked for (P4.6). */
  readonly holdMs: number;
  readonly signal: AbortSignal | undefined;
}

/** What an ATTACH has come to: a label whose frames come to the endpoint, and what was agreed for it. */
export interface AttachedLabel {
  readonly label: number;
  readonly agreement: AttachAgreement & { readonly signature: Buffer };
  /** First hop credit (P2.3). */
  readonly creditBytes: number;
}

/** Who attaches. */
export interface AttachIdentity {
  readonly signer: SigningKey;
  readonly instance: Uint8Array;
}

/** A label from its ATTACH on. Until the answer has been taken, the end of the label is the answer. */
class Dialogue implements LabelEndpoint {
  private readonly endpoint: LabelEndpoint;
  private readonly answer = deferred<Attached>();
  private gone: EntremiseError | undefined;
  private taken = false;

  constructor(endpoint: LabelEndpoint) {
    this.endpoint = endpoint;
  }

  resolve(message: Attached): void {
    this.answer.resolve(message);
  }

  reject(thrown: unknown): void {
    this.answer.reject(thrown);
  }

  /** @throws EntremiseError what the label ended with; what {@link reject} was given */
  async answered(): Promise<Attached> {
    const message = await this.answer.promise;
    // UNROUTED may have come right behind ATTACHED.
    if (this.gone !== undefined) throw this.gone;
    this.taken = true;
    return message;
  }

  receive(frame: Frame): void {
    this.endpoint.receive(frame);
  }

  onPortroute(message: Portroute): void {
    this.endpoint.onPortroute?.(message);
  }

  onGone(code: ErrorCode, mayResume: boolean): void {
    if (this.taken) return this.endpoint.onGone(code, mayResume);
    this.gone = new EntremiseError(code);
    this.reject(this.gone);
  }
}

/** One dialogue of ATTACH and ATTACHED after another (P6.4), each by the label that it is about. */
export class AttachDesk {
  private readonly identity: AttachIdentity;
  private readonly clock: Clock;
  private readonly waiting = new Map<number, Dialogue>();

  constructor(identity: AttachIdentity, clock: Clock) {
    this.identity = identity;
    this.clock = clock;
  }

  /** The answer to an ATTACH of ours has come. */
  onAttached(message: Attached): void {
    this.waiting.get(message.label)?.resolve(message);
  }

  /**
   * Makes an attempt. The label goes to `endpoint`, which is not told of its end before the answer.
   * @throws EntremiseError with the refusal of server or mediator, `proof-invalid`, `timed-out`, `link-lost`; AbortError
   */
  async ask(demand: AttachDemand, endpoint: LabelEndpoint): Promise<AttachedLabel> {
    const { link, mediatorKey: mediator, grant } = demand;
    const { signer, instance } = this.identity;
    const prepared = prepareAttach({ ...demand, instance, grant: grant.text, capabilities }, signer);
    const dialogue = new Dialogue(endpoint);
    const label = link.openLabel(dialogue);
    this.waiting.set(label, dialogue);
    const stopWaiting = this.limitWait(demand, dialogue);
    try {
      link.driver.send(frameType.attach, attach.toBytes({ label, mediator, inner: prepared.inner }));
      const attached = await dialogue.answered();
      return { label, agreement: prepared.complete(attached), creditBytes: attached.credit ?? 0 };
    } catch (thrown) {
      link.closeLabel(label);
      throw thrown;
    } finally {
      stopWaiting();
      this.waiting.delete(label);
    }
  }

  private limitWait({ signal, mediatorName }: AttachDemand, dialogue: Dialogue): () => void {
    const message = `${mediatorName} did not answer ATTACH within ${attachTimeoutMs / 1000} s.`;
    const cancel = this.clock.after(attachTimeoutMs, () =>
      dialogue.reject(new EntremiseError('timed-out', { message, by: 'terminal' })),
    );
    const stopListening = onAbort(signal, error => dialogue.reject(error));
    return () => {
      cancel();
      stopListening();
    };
  }
}
