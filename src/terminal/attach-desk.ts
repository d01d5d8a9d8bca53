import { randomBytes } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { type Deferred, deferred } from '../base/deferred.ts';
import { EntremiseError } from '../base/errors.ts';
import type { SigningKey } from '../base/keys.ts';
import type { AcceptedGrant } from '../policy/grant.ts';
import { type PreparedAttach, prepareAttach } from '../session/attach-handshake.ts';
import type { AttachmentResources } from '../session/attachment.ts';
import { HopCredit } from '../session/hop-credit.ts';
import type { LabelEndpoint, MemberLink } from '../session/member-link.ts';
import { type Attached, attach } from '../wire/messages/attach.ts';
import { frameType } from '../wire/spec.ts';
import { onAbort } from './abort-error.ts';
import type { AttachmentCore } from './attachment-core.ts';
import { type AttachmentPeer, type MediatorAttachment, makeAttachment } from './mediator-attachment.ts';

/** How long the answer to an ATTACH may take. */
const attachTimeoutMs = 15_000;

/** What this version can do end to end (P1.5). */
const capabilities: readonly string[] = [];

/** An ATTACH that is to be made. */
export interface AttachDemand {
  readonly link: MemberLink;
  readonly mediatorKey: Uint8Array;
  readonly peer: Omit<AttachmentPeer, 'id'>;
  readonly grant: AcceptedGrant;
  readonly holdMs: number;
  readonly signal: AbortSignal | undefined;
  /** Milliseconds between server and mediator, as the server tells. */
  mediatorRoundTripMs(): number;
}

/** Who attaches. */
export interface AttachIdentity {
  readonly signer: SigningKey;
  readonly instance: Uint8Array;
}

/**
 * The round trip that windows are judged by is never taken for shorter (P3.3): scheduling alone takes as long, and a
 * window that is filled within it is too small.
 */
const shortestRoundTripMs = 10;

/** Makes attachments (P6.4): one dialogue of ATTACH and ATTACHED each, by the label that it is about. */
export class AttachDesk {
  private readonly identity: AttachIdentity;
  private readonly resources: AttachmentResources;
  private readonly clock: Clock;
  private readonly waiting = new Map<number, Deferred<Attached>>();

  constructor(identity: AttachIdentity, resources: AttachmentResources, clock: Clock) {
    this.identity = identity;
    this.resources = resources;
    this.clock = clock;
  }

  /** The answer to an ATTACH of ours has come. */
  onAttached(message: Attached): void {
    this.waiting.get(message.label)?.resolve(message);
  }

  /**
   * Attaches. The attachment is usable at once: its first commands go right behind RESUME (P4.4).
   * @throws EntremiseError with the refusal of server or mediator, `proof-invalid`, `timed-out`, `link-lost`; AbortError
   */
  async attach(demand: AttachDemand): Promise<MediatorAttachment> {
    const { link } = demand;
    const attachmentId = randomBytes(16);
    const peer = { ...demand.peer, id: attachmentId.toString('hex') };
    const prepared = this.prepare(demand, attachmentId);
    const answer = deferred<Attached>();
    const { resources, clock } = this;
    const leave = () => link.closeLabel(label);
    const { attachment, core } = makeAttachment({ peer, resources, clock, leave });
    const label = link.openLabel(endpointOf(core, answer));
    this.waiting.set(label, answer);
    const stopWaiting = this.limitWait(demand, answer);
    try {
      link.driver.send(
        frameType.attach,
        attach.toBytes({ label, mediator: demand.mediatorKey, inner: prepared.inner }),
      );
      this.bind(core, demand, label, prepared, await answer.promise);
      return attachment;
    } catch (thrown) {
      link.closeLabel(label);
      throw thrown;
    } finally {
      stopWaiting();
      this.waiting.delete(label);
    }
  }

  private prepare(demand: AttachDemand, attachmentId: Uint8Array): PreparedAttach {
    const { mediatorKey, grant, holdMs, peer } = demand;
    const { signer, instance } = this.identity;
    const { purpose } = peer;
    const request = { mediatorKey, instance, attachmentId, attempt: 1, purpose, holdMs, capabilities };
    return prepareAttach({ ...request, grant: grant.text }, signer);
  }

  private limitWait({ signal, peer }: AttachDemand, answer: Deferred<Attached>): () => void {
    const message = `${peer.mediator} did not answer ATTACH within ${attachTimeoutMs / 1000} s.`;
    const cancel = this.clock.after(attachTimeoutMs, () =>
      answer.reject(new EntremiseError('timed-out', { message, by: 'terminal' })),
    );
    const stopListening = onAbort(signal, error => answer.reject(error));
    return () => {
      cancel();
      stopListening();
    };
  }

  private bind(
    core: AttachmentCore,
    { link, mediatorRoundTripMs }: AttachDemand,
    label: number,
    prepared: PreparedAttach,
    answer: Attached,
  ): void {
    const { keys, signature } = prepared.complete(answer);
    const { driver } = link;
    core.bind({
      label,
      keys,
      signature,
      credit: new HopCredit(answer.credit ?? 0),
      wake: source => driver.scheduler.wake(source),
      roundTripMs: () => Math.max(shortestRoundTripMs, (driver.roundTripMs ?? 0) + mediatorRoundTripMs()),
    });
  }
}

/** The label's frames go to the core; its end also ends the wait for an answer. */
function endpointOf(core: AttachmentCore, answer: Deferred<Attached>): LabelEndpoint {
  return {
    receive: frame => core.receive(frame),
    onGone(code) {
      answer.reject(new EntremiseError(code));
      core.onGone(code);
    },
  };
}
