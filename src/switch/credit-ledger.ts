import { EntremiseError } from '../base/errors.ts';
import { headerBytes, maxBodyBytes } from '../wire/spec.ts';

/** The first credit of a label (P2.3). */
export const firstCreditBytes = 256 * 1024;

/** Credit never grows beyond this (P2.3). */
const creditCeilingBytes = 4 * 1024 * 1024;

/** On busy machines, bytes wait for processes at least this long, however short the path. */
const busyRoundTripMs = 8;

/** What all ledgers of a process draw their growth from. */
export interface CreditBudget {
  /** Promises `bytes`, or nothing and false when they are not free. */
  reserve(bytes: number): boolean;
  release(bytes: number): void;
}

/**
 * The server's side of hop credit (P2.3), for one label of one link in the direction towards the server: how much the
 * member was told it may send, and whether it kept to that.
 *
 *     0 ........ left ............ received ......... told ..... left + window
 *                 |  in our queues  |  may still come  |  not told yet  |
 *
 * `left` rises when bytes have been written to the far socket, never earlier, so a queue never holds more than the
 * window.
 */
export class CreditLedger {
  private readonly budget: CreditBudget;
  private window = firstCreditBytes;
  private told = firstCreditBytes;
  private waits = false;
  private received = 0;
  private left = 0;
  private windowStartedAt: number;
  private windowStart = 0;

  constructor(budget: CreditBudget, nowMs: number) {
    this.budget = budget;
    this.windowStartedAt = nowMs;
  }

  /** Bytes the window has at the moment. */
  get windowBytes(): number {
    return this.window;
  }

  /**
   * A counted frame has come. True when the member may send no whole frame more, the first time until it is told again.
   * @throws EntremiseError `over-credit`: the link must close
   */
  onReceived(frameBytes: number): boolean {
    this.received += frameBytes;
    if (this.received > this.told) throw new EntremiseError('over-credit');
    if (this.waits || this.told - this.received >= headerBytes + maxBodyBytes) return false;
    this.waits = true;
    return true;
  }

  /**
   * A counted frame has been written to the far socket. `far`: whether it was the last that waited there. `roundTripMs`: of
   * the member's link.
   */
  onLeft(frameBytes: number, far: { readonly empty: boolean }, nowMs: number, roundTripMs = 0): void {
    this.left += frameBytes;
    if (!far.empty || this.left - this.windowStart < this.window) return;
    if (nowMs - this.windowStartedAt <= 2 * Math.max(roundTripMs, busyRoundTripMs)) this.grow();
    this.windowStartedAt = nowMs;
    this.windowStart = this.left;
  }

  /**
   * The far socket took a whole window within two round trips: the member waits for CREDIT, which takes one to come, and not
   * for the far link (P2.3).
   */
  private grow(): void {
    const more = Math.min(this.window, creditCeilingBytes - this.window);
    if (more > 0 && this.budget.reserve(more)) this.window += more;
  }

  /** True when a CREDIT is worth sending: a quarter of the window has become free. */
  get due(): boolean {
    return this.left + this.window - this.told >= this.window / 4;
  }

  /** What the CREDIT that goes now allows, as a total. */
  tell(): number {
    this.told = this.left + this.window;
    this.waits = false;
    return this.told;
  }

  /** The label is gone. */
  release(): void {
    this.budget.release(this.window - firstCreditBytes);
    this.window = firstCreditBytes;
  }
}
