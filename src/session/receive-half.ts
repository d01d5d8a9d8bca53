import { EntremiseError } from '../base/errors.ts';
import type { Window } from '../wire/messages/binary.ts';
import { type Budget, floorBytes } from './budget.ts';

/**
 * The receiving half of a stream (P3): counts what reached this process (`received`), what the application took
 * (`taken`), and what the peer may send (`limit`). Holds no bytes: they go to the application at once, which says
 * when it has taken them. `limit - taken` never exceeds the window that was reserved from the budget.
 */

/** WINDOW is sent at the latest when this much has come since the last one, or a sixteenth of a large window (P3.1). */
const reportBytes = 32 * 1024;
const reportsPerWindow = 16;

/** WINDOW is sent at the latest this long after bytes have come (P3.1). */
export const windowDelayMs = 50;

/** The ceiling of a window on short paths (P3.3): what ssh gives a channel. 512 KiB cost a fifth of the throughput. */
const windowCeilingBytes = 2 * 1024 * 1024;

/** Round trips are measured on idle links; on busy machines, bytes wait for processes at least this long (P3.3). */
const busyRoundTripMs = 8;

/** On long paths the window follows rate and round trip up to this. */
const longPathCeilingBytes = 8 * 1024 * 1024;

/** A path on which {@link windowCeilingBytes} a round trip would limit ordinary lines. */
const longPathMs = 40;

/** The receiving half of one stream; see the head of this file. */
export class ReceiveHalf {
  private readonly budget: Budget;
  private window: number;
  private received = 0;
  private taken = 0;
  private limit: number;
  private finAt: number | undefined;
  private toldReceived = 0;
  private toldLimit: number;
  private askedNow = false;
  private yields = 0;
  private windowStartedAt = 0;
  private windowStartOffset = 0;

  /**
   * `window`: bytes reserved from `budget`, given back by {@link release}. `announced`: how much of it the peer was
   * told of as its first limit; the rest is told with the first WINDOW, which is then due.
   */
  constructor(budget: Budget, window: number, announced = window) {
    this.budget = budget;
    this.window = window;
    this.limit = window;
    this.toldLimit = Math.min(announced, window);
  }

  /** Contiguous stream bytes that have come. */
  get receivedBytes(): number {
    return this.finAt === undefined ? this.received : this.finAt;
  }

  /** True when the peer's FIN has come. */
  get finished(): boolean {
    return this.finAt !== undefined;
  }

  /** True when the application has taken all there will ever be. */
  get delivered(): boolean {
    return this.finAt !== undefined && this.taken >= this.finAt;
  }

  /**
   * DATA has come: returns the part that is new.
   * @throws EntremiseError `protocol-error` on a gap or after FIN, `stream-limit` beyond the window
   */
  onData(offset: number, bytes: Buffer, now: boolean): Buffer {
    if (offset > this.received) throw new EntremiseError('protocol-error', { message: 'DATA leaves a gap.' });
    if (now) this.askedNow = true;
    const end = offset + bytes.length;
    if (end <= this.receivedBytes) return bytes.subarray(0, 0);
    if (this.finAt !== undefined) throw new EntremiseError('protocol-error', { message: 'DATA after FIN.' });
    if (end > this.limit) throw new EntremiseError('stream-limit', { message: 'DATA beyond the window.' });
    const fresh = offset === this.received ? bytes : bytes.subarray(this.received - offset);
    this.received = end;
    return fresh;
  }

  /**
   * FIN has come. False when it is one already seen.
   * @throws EntremiseError `protocol-error` when it does not stand right behind the bytes that have come
   */
  onFin(offset: number): boolean {
    if (this.finAt !== undefined && offset === this.finAt) return false;
    if (offset !== this.received || this.finAt !== undefined) {
      throw new EntremiseError('protocol-error', { message: 'FIN does not stand behind the last byte.' });
    }
    this.finAt = offset;
    this.received = offset + 1;
    this.askedNow = true;
    return true;
  }

  /**
   * YIELD has come: the sender will not go beyond `upTo` before it is told of a limit that was made knowing this (P3.3).
   * @throws EntremiseError `protocol-error` when it gives back what it has used, or never had
   */
  onYield(upTo: number): void {
    if (upTo < this.receivedBytes || upTo > this.limit || this.finAt !== undefined) {
      throw new EntremiseError('protocol-error', { message: 'YIELD gives back what is not there.' });
    }
    this.yields++;
    this.askedNow = true;
    const kept = Math.max(upTo - this.taken, floorBytes);
    if (kept >= this.window) return;
    this.budget.release(this.window - kept);
    this.window = kept;
    this.limit = this.taken + kept;
  }

  /** Bytes that the peer may send, and the application has not taken. */
  get promisedBytes(): number {
    return this.limit - this.taken;
  }

  /** The application has taken `bytes` more. `roundTripMs`: of the whole path, for the window's growth. */
  onTaken(bytes: number, nowMs: number, roundTripMs: number): void {
    this.taken += bytes;
    this.growWindow(nowMs, roundTripMs);
    this.limit = Math.max(this.limit, this.taken + this.window);
  }

  /** A window filled within two round trips is too small for the path (P3.3). */
  private growWindow(nowMs: number, roundTripMs: number): void {
    if (this.taken - this.windowStartOffset < this.window) return;
    const ceiling = roundTripMs > longPathMs ? longPathCeilingBytes : windowCeilingBytes;
    const growthMs = 2 * Math.max(roundTripMs, busyRoundTripMs);
    if (nowMs - this.windowStartedAt <= growthMs) this.window = this.budget.grow(this.window, ceiling);
    this.windowStartedAt = nowMs;
    this.windowStartOffset = this.taken;
  }

  /** True when a WINDOW should go at once (P3.1). */
  get windowDue(): boolean {
    const step = Math.min(Math.max(reportBytes, this.window / reportsPerWindow), this.window / 2);
    if (this.askedNow || this.received - this.toldReceived >= step) return true;
    return this.finAt === undefined && this.limit - this.toldLimit >= this.window / 2;
  }

  /** True when a WINDOW should go within {@link windowDelayMs}. */
  get windowPending(): boolean {
    return this.received > this.toldReceived || (this.finAt === undefined && this.limit > this.toldLimit);
  }

  /** The WINDOW to send now. */
  takeWindow(): Window {
    this.askedNow = false;
    this.toldReceived = this.received;
    this.toldLimit = this.limit;
    return { received: this.received, limit: this.limit, yields: this.yields };
  }

  /** Gives the window back to the budget. */
  release(): void {
    this.budget.release(this.window);
    this.window = 0;
  }
}
