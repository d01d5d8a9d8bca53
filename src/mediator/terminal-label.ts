import type { Clock } from '../base/clock.ts';
import { EntremiseError, type ErrorCode } from '../base/errors.ts';
import type { AnsweredAttach } from '../session/attach-handshake.ts';
import type { Binding } from '../session/attachment.ts';
import { HopCredit } from '../session/hop-credit.ts';
import type { LabelEndpoint, MemberLink } from '../session/member-link.ts';
import { PendingAttempt } from '../session/pending-attempt.ts';
import type { LabelSource } from '../session/scheduler.ts';
import type { Frame } from '../wire/frame.ts';
import type { Portroute } from '../wire/messages/attach.ts';

/**
 * A label of a terminal at the mediator, from ATTACH to its end.
 *
 *   asked --prove()--> proving --RESUME with a good signature over T--> carrying --> gone
 *
 * Before it is carrying nothing of the terminal acts and nothing but ATTACHED is sent (P4.2), and the attachment that it
 * is for hears nothing of it; a proof that does not come in time ends it.
 */

/** How long a terminal may take to prove itself (P4.2). */
export const proofTimeoutMs = 10_000;

/** What a label that is proving is told. */
export interface ProofHandlers {
  /** The terminal has proved itself: whoever has the attachment takes the label, by {@link TerminalLabel.carry}. A throw ends the label. */
  onProven(attempt: PendingAttempt): void;
  /** The wait for the proof is over, with or without one. Once, and before {@link onProven}. */
  onSettled(): void;
}

/** What a label carries. */
export interface Carried {
  receive(frame: Frame): void;
  onPortroute(message: Portroute): void;
  /** WINDOWs that were put off are due. */
  tick(nowMs: number): void;
  onLabelGone(label: TerminalLabel, code: ErrorCode, mayResume: boolean): void;
}

/** The rest of the path is as long as our own link, as far as anybody here knows; processes take some time too. */
const leastRoundTripMs = 5;

/** See the head of this file. */
export class TerminalLabel implements LabelEndpoint {
  readonly link: MemberLink;
  private readonly label: number;
  private readonly clock: Clock;
  private proving: { readonly attempt: PendingAttempt; readonly handlers: ProofHandlers } | undefined;
  private carried: Carried | undefined;
  private source: LabelSource | undefined;
  private cancelDeadline = () => {};
  private over = false;

  /** @throws EntremiseError `protocol-error` when `label` is not a new one of the server's */
  constructor(link: MemberLink, label: number, clock: Clock) {
    this.link = link;
    this.label = label;
    this.clock = clock;
    link.takeLabel(label, this);
  }

  /** True when the label is no more. */
  get gone(): boolean {
    return this.over;
  }

  /** ATTACHED has gone: the terminal's RESUME may come. `creditBytes`: first hop credit towards the server (P2.3). */
  prove(answered: AnsweredAttach, creditBytes: number, handlers: ProofHandlers): void {
    this.proving = { attempt: new PendingAttempt(this.bindingOf(answered, creditBytes)), handlers };
    this.cancelDeadline = this.clock.after(proofTimeoutMs, () => this.end('too-slow'));
  }

  private bindingOf(answered: AnsweredAttach, creditBytes: number): Binding {
    const { label, link, clock } = this;
    return {
      label,
      credit: new HopCredit(creditBytes),
      keys: answered.keys,
      verify: signature => answered.verify(signature),
      wake: source => {
        if (this.over) return;
        this.source = source;
        link.driver.scheduler.wake(source);
      },
      requestTick: atMs => void clock.after(atMs - clock.now(), () => this.carried?.tick(clock.now())),
      roundTripMs: () => Math.max(leastRoundTripMs, 2 * (link.driver.roundTripMs ?? 0)),
    };
  }

  /** From now on its frames are those of `carried`. */
  carry(carried: Carried): void {
    this.carried = carried;
  }

  /** Of {@link LabelEndpoint}. */
  receive(frame: Frame): void {
    if (this.carried !== undefined) return this.carried.receive(frame);
    if (this.proving === undefined)
      throw new EntremiseError('protocol-error', { message: 'A frame came before ATTACHED.' });
    const { attempt, handlers } = this.proving;
    if (!attempt.receive(frame)) return;
    this.settle();
    handlers.onProven(attempt);
  }

  /** Of {@link LabelEndpoint}. */
  onPortroute(message: Portroute): void {
    this.carried?.onPortroute(message);
  }

  /** Says PORTROUTE (P7.2); false when the label is no more. */
  sendPortroute(message: Omit<Portroute, 'label'>): boolean {
    if (this.over) return false;
    this.link.sendPortroute({ label: this.label, ...message });
    return true;
  }

  private settle(): void {
    this.cancelDeadline();
    this.proving?.handlers.onSettled();
    this.proving = undefined;
  }

  /** Of {@link LabelEndpoint}. */
  onGone(code: ErrorCode, mayResume: boolean): void {
    this.leave();
    this.carried?.onLabelGone(this, code, mayResume);
  }

  /** Ends it from this side: DETACH says why. What it carries is not told. */
  end(code: ErrorCode): void {
    if (this.over) return;
    this.link.closeLabel(this.label, code);
    this.leave();
  }

  private leave(): void {
    this.over = true;
    this.settle();
    if (this.source !== undefined) this.link.driver.scheduler.remove(this.source);
  }
}
