/**
 * Whether a link still lives (P8.1). Silence counts only while an answer is due: from the first write after the last
 * byte that came. After a third of what is allowed a PING makes sure that an answer is due from a process, not only
 * from a kernel; a PING is itself a write, so an idle link is judged by the same rule.
 */

/** Silence after which a PING is sent although other bytes wait (P8.1). */
const suspectMs = 3_000;

/** Silence after which the link is dead (P8.1). */
const deadMs = 6_000;

/** How long after the promised time the server waits (P8.1). */
const promiseSlackMs = 10_000;

/** What is to be done. */
export type UpkeepAction = 'ping' | 'dead' | 'idle-timeout';

/** See the head of this file. Times are monotonic milliseconds. */
export class Upkeep {
  private readonly keepaliveMs: number | undefined;
  private lastSentMs: number;
  private silentSinceMs: number | undefined;
  private promise: { readonly withinMs: number; byMs: number } | undefined;
  private pinged: { readonly id: number; readonly atMs: number } | undefined;
  private suspectPinged = false;
  private nextId = 1;
  private smoothedMs: number | undefined;
  /** While true no PING is asked for: it may not stand in a handshake (P6.1). */
  pingsHeld = false;

  /** `keepaliveMs`: this side pings after that long without sending (members); undefined: it does not (the server). */
  constructor(keepaliveMs: number | undefined, nowMs: number) {
    this.keepaliveMs = keepaliveMs;
    this.lastSentMs = nowMs;
  }

  /** Smoothed round trip of the link, or undefined before the first PONG. */
  get roundTripMs(): number | undefined {
    return this.smoothedMs;
  }

  /** Bytes have come: whatever they are, the peer has spoken as it promised. */
  onReceived(nowMs: number): void {
    this.silentSinceMs = undefined;
    this.suspectPinged = false;
    if (this.promise !== undefined) this.promise.byMs = nowMs + this.promise.withinMs + promiseSlackMs;
  }

  /** Bytes have been written. */
  onSent(nowMs: number): void {
    this.lastSentMs = nowMs;
    this.silentSinceMs ??= nowMs;
  }

  /** The peer has promised that it will not be silent for longer than `withinMs`. */
  onPromise(withinMs: number, nowMs: number): void {
    this.promise = { withinMs, byMs: nowMs + withinMs + promiseSlackMs };
  }

  /** The id of a PING that goes now, or as soon as the transport takes it: until then no other is asked for. */
  ping(nowMs: number): number {
    this.lastSentMs = nowMs;
    const id = this.nextId++;
    this.pinged = { id, atMs: nowMs };
    return id;
  }

  /** A PONG has come. */
  onPong(id: number, nowMs: number): void {
    if (this.pinged?.id !== id) return;
    const sampleMs = nowMs - this.pinged.atMs;
    this.pinged = undefined;
    this.smoothedMs = this.smoothedMs === undefined ? sampleMs : this.smoothedMs * 0.875 + sampleMs * 0.125;
  }

  private allowed(baseMs: number, roundTrips: number): number {
    return Math.max(baseMs, roundTrips * (this.smoothedMs ?? 0));
  }

  private get deadAtMs(): number {
    return this.silentSinceMs === undefined
      ? Number.POSITIVE_INFINITY
      : this.silentSinceMs + this.allowed(deadMs, 4);
  }

  private get pingAtMs(): number {
    if (this.pingsHeld) return Number.POSITIVE_INFINITY;
    const idle =
      this.keepaliveMs === undefined ? Number.POSITIVE_INFINITY : this.lastSentMs + this.keepaliveMs;
    if (this.silentSinceMs === undefined || this.suspectPinged) return idle;
    return Math.min(idle, this.silentSinceMs + this.allowed(suspectMs, 2));
  }

  private get promisedByMs(): number {
    return this.promise?.byMs ?? Number.POSITIVE_INFINITY;
  }

  /** When {@link tick} has something to say, unless things change before. */
  get deadlineMs(): number {
    return Math.min(this.deadAtMs, this.pingAtMs, this.promisedByMs);
  }

  /** What is to be done at `nowMs`, if anything. */
  tick(nowMs: number): UpkeepAction | undefined {
    if (nowMs >= this.deadAtMs) return 'dead';
    if (nowMs >= this.promisedByMs) return 'idle-timeout';
    if (nowMs < this.pingAtMs) return undefined;
    if (this.silentSinceMs !== undefined) this.suspectPinged = true;
    return 'ping';
  }
}
