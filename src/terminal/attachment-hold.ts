import type { Clock } from '../base/clock.ts';
import { type Deferred, deferred } from '../base/deferred.ts';
import { asEntremiseError, EntremiseError, type ErrorCode } from '../base/errors.ts';
import type { AcceptedGrant } from '../policy/grant.ts';
import type { AttachmentResources } from '../session/attachment.ts';
import { HopCredit } from '../session/hop-credit.ts';
import type { LabelEndpoint, MemberLink } from '../session/member-link.ts';
import type { LabelSource } from '../session/scheduler.ts';
import { throwIfAborted } from './abort-error.ts';
import type { AttachDesk, AttachedLabel } from './attach-desk.ts';
import { AttachmentCore, type CoreHandlers } from './attachment-core.ts';
import { callOut } from './call-out.ts';
import { pauseBeforeAttempt, retryDelayMs, untilReachable } from './come-back.ts';
import { endsAttachment } from './final-reasons.ts';
import type { MediatorWay } from './mediator-way.ts';
import type { TerminalUdp } from './terminal-udp.ts';

/**
 * An attachment at the terminal over all the labels that it has in its life (P4.3, P4.6).
 *
 *   begin() --> attached --label lost--> suspended --mediator's RESUME--> attached ...
 *                   |                        |
 *                   +--- DETACH, detach() ---+--- end of hold, a final refusal ---> over
 *
 * Suspended it attaches again whenever there is a way: the same id, a higher attempt, the grant chosen anew. A failed
 * attempt leaves it suspended and does not prolong the hold. A hold of 0 leaves nothing to come back to: a lost label is
 * the end.
 */

/** An attachment that has no label and waits for another. */
export interface Suspension {
  /** When the label was lost. */
  readonly since: Date;
  /** When everything fails if the mediator has not been reached by then. */
  readonly until: Date;
  /** Why there is no label. */
  readonly reason: ErrorCode;
}

/** What the owner of a hold is told. */
export interface HoldHandlers extends Omit<CoreHandlers, 'onOpen'> {
  onSuspended(suspension: Suspension): void;
  onResumed(afterMs: number): void;
}

/** What a hold is made of. */
export interface HoldParts {
  readonly desk: AttachDesk;
  readonly way: MediatorWay;
  readonly attachmentId: Uint8Array;
  readonly resources: AttachmentResources;
  readonly clock: Clock;
  /** Undefined: this terminal makes no UDP channels. */
  readonly udp: TerminalUdp | undefined;
  /** How long the mediator is asked to keep the attachment without a label. */
  readonly wantedHoldMs: number;
}

interface RunningSuspension extends Suspension {
  readonly sinceMs: number;
  readonly stopping: AbortController;
  /** Of the attempt that is under way: the mediator has said what it has. */
  opening: Deferred<void>;
  /** Why the last attempt failed. */
  failure: Error | undefined;
  readonly cancelTimers: () => void;
}

/**
 * The round trip that windows are judged by is never taken for shorter (P3.3): scheduling alone takes as long, and a
 * window that is filled within it is too small.
 */
const shortestRoundTripMs = 10;

const nothing = () => {};

/** See the head of this file. */
export class AttachmentHold {
  readonly core: AttachmentCore;
  private readonly parts: HoldParts;
  private readonly handlers: HoldHandlers;
  private readonly endpoint: LabelEndpoint;
  private attempt = 0;
  private mediatorInstance: Uint8Array | undefined;
  private givenHoldMs = 0;
  private grant: AcceptedGrant | undefined;
  private suspension: RunningSuspension | undefined;
  /** Ends the label of now by DETACH. */
  private leaveLabel: (code?: ErrorCode) => void = nothing;

  constructor(parts: HoldParts, handlers: HoldHandlers) {
    this.parts = parts;
    this.handlers = handlers;
    const coreHandlers = { ...handlers, onOpen: () => this.onOpen() };
    this.core = new AttachmentCore(parts.resources, parts.clock, coreHandlers, parts.udp);
    this.endpoint = {
      receive: frame => this.core.receive(frame),
      onGone: (code, mayResume) => this.onGone(code, mayResume),
      onPortroute: message => this.core.routes.onPortroute(message),
    };
  }

  /** What the mediator has given (P4.6), in milliseconds. */
  get holdMs(): number {
    return this.givenHoldMs;
  }

  /** Id of the grant that it runs under. */
  get grantId(): string {
    return this.grant?.id ?? '';
  }

  /** Whether the grant contains that command. */
  mayRun(command: AcceptedGrant['commands'][number]): boolean {
    return this.grant?.commands.includes(command) === true;
  }

  /** While there is no label. */
  get suspended(): Suspension | undefined {
    if (this.suspension === undefined) return undefined;
    const { since, until, reason } = this.suspension;
    return { since, until, reason };
  }

  /**
   * Attaches for the first time. The attachment is usable at once: its first commands go right behind RESUME (P4.4).
   * @throws EntremiseError with the refusal of server or mediator, `proof-invalid`, `timed-out`, `link-lost`; AbortError
   */
  async begin(link: MemberLink, grant: AcceptedGrant, signal: AbortSignal | undefined): Promise<void> {
    await this.attach(link, grant, signal);
  }

  private async attach(
    link: MemberLink,
    grant: AcceptedGrant,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { desk, way, attachmentId, wantedHoldMs: holdMs } = this.parts;
    const { mediatorKey, mediatorName, purpose } = way;
    const whom = { mediatorKey, mediatorName, purpose, attachmentId };
    this.attempt++;
    const { attempt } = this;
    const attached = await desk.ask({ link, ...whom, grant, attempt, holdMs, signal }, this.endpoint);
    try {
      throwIfAborted(signal);
      this.bind(link, attached);
    } catch (thrown) {
      link.closeLabel(attached.label);
      throw thrown;
    }
    this.grant = grant;
    this.givenHoldMs = attached.agreement.holdMs;
    this.leaveLabel = code => link.closeLabel(attached.label, code);
  }

  private bind(link: MemberLink, { label, agreement, creditBytes }: AttachedLabel): void {
    const { driver } = link;
    const { keys, signature, peerInstance } = agreement;
    this.mediatorInstance ??= peerInstance;
    if (Buffer.compare(this.mediatorInstance, peerInstance) !== 0)
      throw new EntremiseError('mediator-restarted');
    const { way } = this.parts;
    try {
      const binding = {
        label,
        keys,
        signature,
        credit: new HopCredit(creditBytes),
        wake: (source: LabelSource) => driver.scheduler.wake(source),
        roundTripMs: () => Math.max(shortestRoundTripMs, (driver.roundTripMs ?? 0) + way.roundTripMs()),
      };
      this.core.bind(binding, message => link.sendPortroute(message));
    } catch (thrown) {
      this.core.suspend();
      throw thrown;
    }
  }

  private onGone(code: ErrorCode, mayResume: boolean): void {
    this.leaveLabel = nothing;
    const error = new EntremiseError(code);
    if (!this.mayGoOn(error, mayResume)) return this.end(error);
    this.core.suspend();
    if (this.suspension === undefined) this.suspend(error.code);
    else this.suspension.opening.reject(error);
  }

  /** An attempt that the mediator found too slow is no more; the attachment is (P4.2). */
  private mayGoOn(error: EntremiseError, mayResume: boolean): boolean {
    if (this.givenHoldMs === 0) return false;
    return mayResume ? !endsAttachment(error) : error.code === 'too-slow';
  }

  private suspend(reason: ErrorCode): void {
    const { clock, way } = this.parts;
    const { givenHoldMs, grant } = this;
    const [nowMs, wallMs] = [clock.now(), clock.wallTimeMs()];
    const cancels = [
      clock.after(givenHoldMs, () => this.expire()),
      clock.after((grant?.deadlineMs ?? nowMs) - nowMs, () => way.wake()),
    ];
    const suspension: RunningSuspension = {
      since: new Date(wallMs),
      until: new Date(wallMs + givenHoldMs),
      reason,
      sinceMs: nowMs,
      stopping: new AbortController(),
      opening: deferred(),
      failure: undefined,
      cancelTimers: () => {
        for (const cancel of cancels) cancel();
      },
    };
    this.suspension = suspension;
    callOut(() => this.handlers.onSuspended({ since: suspension.since, until: suspension.until, reason }));
    void this.comeBack(suspension);
  }

  private async comeBack(suspension: RunningSuspension): Promise<void> {
    const { signal } = suspension.stopping;
    // The server shed it for want of room (P2.3): not at once again.
    for (let failures = suspension.reason === 'limit' ? 1 : 0; !signal.aborted; failures++) {
      try {
        await this.tryOnce(suspension, retryDelayMs(failures));
        return;
      } catch (thrown) {
        if (signal.aborted) return;
        const error = asEntremiseError(thrown);
        if (endsAttachment(thrown)) return this.end(error);
        suspension.failure = error;
      }
    }
  }

  private async tryOnce(suspension: RunningSuspension, delayMs: number): Promise<void> {
    const { signal } = suspension.stopping;
    const { clock, way } = this.parts;
    if (delayMs > 0) await pauseBeforeAttempt(clock, way, delayMs, signal);
    const { link, grant } = await untilReachable(way, signal);
    suspension.opening = deferred();
    await this.attach(link, grant, signal);
    await suspension.opening.promise;
  }

  private onOpen(): void {
    const { suspension } = this;
    if (suspension === undefined) return;
    this.suspension = undefined;
    suspension.cancelTimers();
    suspension.opening.resolve();
    const afterMs = this.parts.clock.now() - suspension.sinceMs;
    callOut(() => this.handlers.onResumed(afterMs));
  }

  private expire(): void {
    const { failure, reason } = this.suspension ?? {};
    const why = failure?.message ?? (reason === undefined ? '' : new EntremiseError(reason).message);
    const seconds = Math.round(this.givenHoldMs / 1000);
    const message = `${this.parts.way.mediatorName} could not be reached again within ${seconds} s: ${why}`;
    this.leaveLabel('terminal-gone');
    this.end(new EntremiseError('terminal-gone', { message, by: 'terminal' }));
  }

  private end(error: EntremiseError): void {
    this.stopComingBack();
    this.core.end(error);
  }

  private stopComingBack(): void {
    this.suspension?.cancelTimers();
    this.suspension?.stopping.abort();
    this.suspension = undefined;
    this.leaveLabel = nothing;
  }

  /** This side ends it: DETACH, if there is a label to say it on; else the mediator waits for the end of its hold. */
  detach(): void {
    this.leaveLabel();
    this.stopComingBack();
    this.core.detach();
  }
}
