import type { Clock } from '../base/clock.ts';

/**
 * One question to the NATs on the way (P8.3, in the manner of RFC 5780 §4.6): a binding of its own is made and warmed,
 * nothing crosses it for a while, and then the server speaks. Nothing of it touches the binding that is in use.
 *
 *     warming --answers--> silent --ECHO--> held
 *                             └──no ECHO──> control --all answered--> expired
 *                                              └──────else─────────> unclear: the path loses packets
 */

/** How a trial ended. `unclear`: the path lost packets, so that the silence says nothing. */
export type TrialOutcome = 'held' | 'expired' | 'unclear';

/** Answers before the silence, and how far the questions are apart: Linux tells a flow from a query after 2 s. */
const warmAnswers = 2;
const warmGapMs = 1_100;

/** After that a question at once is lost. */
const answerMs = 2_000;

/** Questions of the warming that may be lost. */
const warmLosses = 4;

/** How much later than asked for the ECHO may come: round trip, and a busy server. */
const lateMs = 3_000;

/** Questions that tell loss from expiry, and how far they are apart. */
const controls = 3;
const controlGapMs = 200;

/** What a trial needs. */
export interface TrialOptions {
  readonly clock: Clock;
  readonly silenceMs: number;
  /** Sends an ECHO-AFTER from the trial's own place and gives its id. */
  ask(afterMs: number): number;
  /** Called once, unless cancelled. */
  onOutcome(outcome: TrialOutcome): void;
}

/** See the head of this file. */
export class LifetimeTrial {
  private readonly options: TrialOptions;
  private cancelTimer: () => void;
  private phase: 'warming' | 'silent' | 'control' | 'over' = 'warming';
  private waitingFor: number | undefined;
  private answers = 0;
  private losses = 0;
  private readonly controlIds = new Set<number>();

  constructor(options: TrialOptions) {
    this.options = options;
    this.cancelTimer = options.clock.after(0, () => this.warm());
  }

  /** An ECHO has come to the trial's place. */
  onEcho(id: number): void {
    if (this.phase === 'control') this.onControlAnswer(id);
    if (id !== this.waitingFor) return;
    this.waitingFor = undefined;
    if (this.phase === 'silent') this.end('held');
    else if (this.phase === 'warming') this.warmed();
  }

  /** The trial is of no use any more; nobody is told. */
  cancel(): void {
    this.phase = 'over';
    this.cancelTimer();
  }

  private wait(ms: number, then: () => void): void {
    this.cancelTimer();
    this.cancelTimer = this.options.clock.after(ms, then);
  }

  private warm(): void {
    this.waitingFor = this.options.ask(0);
    this.wait(answerMs, () => this.warmingLost());
  }

  private warmingLost(): void {
    this.losses++;
    if (this.losses > warmLosses) this.end('unclear');
    else this.warm();
  }

  private warmed(): void {
    this.answers++;
    this.wait(warmGapMs, () => (this.answers < warmAnswers ? this.warm() : this.fallSilent()));
  }

  private fallSilent(): void {
    this.phase = 'silent';
    this.waitingFor = this.options.ask(this.options.silenceMs);
    this.wait(this.options.silenceMs + lateMs, () => this.control());
  }

  private control(): void {
    this.phase = 'control';
    this.controlIds.add(this.options.ask(0));
    if (this.controlIds.size < controls) this.wait(controlGapMs, () => this.control());
    else this.wait(answerMs, () => this.end('unclear'));
  }

  private onControlAnswer(id: number): void {
    // The ECHO itself, later than allowed: it has passed, but as what, a second one would have to show.
    if (id === this.waitingFor) return this.end('unclear');
    if (!this.controlIds.has(id)) return;
    this.answers++;
    if (this.answers === warmAnswers + controls) this.end('expired');
  }

  private end(outcome: TrialOutcome): void {
    if (this.phase === 'over') return;
    this.cancel();
    this.options.onOutcome(outcome);
  }
}
