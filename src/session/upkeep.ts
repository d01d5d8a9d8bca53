import type { PathFacts } from '../transport/transport.ts';
import { PathSilence } from './path-silence.ts';

/**
 * When a side speaks, and when it gives its link up (P8.1). A PING makes an answer due from a process, not only from a
 * kernel; it is itself a write, so an idle link is judged by the same rule as a busy one ({@link PathSilence}).
 */

/** Silence after which a PING is sent although other bytes wait (P8.1). */
const suspectMs = 3_000;

/** Silence after which the link is dead (P8.1): noticed within 6 s, timers and the marks of writes included. */
const deadMs = 5_800;

/** A peer of which not one byte comes for so long after a PING is stopped, were its kernel to take every byte (P8.1). */
const muteMs = 30_000;

/** How often the machine is asked what has become of what is under way. */
const lookMs = 1_000;

/** How long after the promised time the server waits (P8.1). */
const promiseSlackMs = 10_000;

const never = Number.POSITIVE_INFINITY;

/** What is to be done. */
export type UpkeepAction = 'ping' | 'dead' | 'idle-timeout';

/** See the head of this file. Times are monotonic milliseconds. */
export class Upkeep {
  private readonly keepaliveMs: number | undefined;
  private readonly silence: PathSilence;
  private lastSentMs: number;
  private lastReceivedMs: number;
  private promise: { readonly withinMs: number; byMs: number } | undefined;
  private pinged: { readonly id: number; readonly atMs: number } | undefined;
  /** The first PING since a byte came: until one comes, another would tell no more. */
  private askedSinceMs: number | undefined;
  /** The verdict has been reached, and waits for what may lie unread in the socket of a process that was stopped. */
  private condemned = false;
  private nextId = 1;
  private smoothedMs: number | undefined;
  private pathMs = 0;
  /** When the machine was asked last; undefined: it tells nothing. */
  private lookedAtMs: number | undefined;
  /** While true no PING is asked for: it may not stand in a handshake (P6.1). */
  pingsHeld = false;

  /** `keepaliveMs`: this side pings after that long without sending (members); undefined: it does not (the server). `facts`: as for {@link tick}. */
  constructor(keepaliveMs: number | undefined, nowMs: number, facts?: PathFacts) {
    this.keepaliveMs = keepaliveMs;
    this.silence = new PathSilence(facts);
    this.lookedAtMs = facts === undefined ? undefined : nowMs;
    this.lastSentMs = nowMs;
    this.lastReceivedMs = nowMs;
  }

  /** Smoothed round trip of the link, or undefined before the first PONG. */
  get roundTripMs(): number | undefined {
    return this.smoothedMs;
  }

  /** True while a PING is unanswered. */
  get isAsking(): boolean {
    return this.pinged !== undefined;
  }

  /** Bytes have come: whatever they are, the peer has spoken as it promised. */
  onReceived(nowMs: number): void {
    this.lastReceivedMs = nowMs;
    this.askedSinceMs = undefined;
    this.condemned = false;
    this.silence.onReceived(nowMs);
    if (this.promise !== undefined) this.promise.byMs = nowMs + this.promise.withinMs + promiseSlackMs;
  }

  /** Bytes have been written, `writtenBytes` in all. `asks`: there is more among them than PONGs. */
  onSent(nowMs: number, writtenBytes: number, asks = true): void {
    this.lastSentMs = nowMs;
    this.silence.onSent(nowMs, writtenBytes, asks);
  }

  /** The peer says how many bytes it has received in all (PONG, CREDIT). */
  onAcknowledged(totalBytes: number): void {
    this.silence.onAcknowledged(totalBytes);
  }

  /** The peer has promised that it will not be silent for longer than `withinMs`. */
  onPromise(withinMs: number, nowMs: number): void {
    this.promise = { withinMs, byMs: nowMs + withinMs + promiseSlackMs };
  }

  /** The id of a PING that goes now, or as soon as the transport takes it: until then no other is asked for. */
  ping(nowMs: number): number {
    this.lastSentMs = nowMs;
    this.askedSinceMs ??= nowMs;
    const id = this.nextId++;
    this.pinged = { id, atMs: nowMs };
    this.silence.onAsked(nowMs);
    return id;
  }

  /** A PONG has come: the peer has had `receivedBytes` in all. Gives the round trip, if it answers the last PING. */
  onPong(id: number, receivedBytes: number, nowMs: number): number | undefined {
    let sampleMs: number | undefined;
    if (this.pinged?.id === id) {
      sampleMs = nowMs - this.pinged.atMs;
      this.pinged = undefined;
      this.silence.onAnswered();
      this.smoothedMs = this.smoothedMs === undefined ? sampleMs : this.smoothedMs * 0.875 + sampleMs * 0.125;
    }
    this.silence.onAcknowledged(receivedBytes);
    return sampleMs;
  }

  private allowed(baseMs: number, roundTrips: number): number {
    return Math.max(baseMs, roundTrips * Math.max(this.smoothedMs ?? 0, this.pathMs));
  }

  private get deadAtMs(): number {
    const { sinceMs } = this.silence;
    const silentMs = sinceMs === undefined ? never : sinceMs + this.allowed(deadMs, 4);
    return Math.min(silentMs, this.muteAtMs);
  }

  private get muteAtMs(): number {
    if (this.askedSinceMs === undefined) return never;
    return Math.max(this.askedSinceMs, this.lastReceivedMs) + this.allowed(muteMs, 4);
  }

  private get pingAtMs(): number {
    if (this.pingsHeld) return never;
    const idleMs = this.idlePingAtMs;
    const { sinceMs } = this.silence;
    if (sinceMs === undefined || this.askedSinceMs !== undefined) return idleMs;
    return Math.min(idleMs, sinceMs + this.allowed(suspectMs, 2));
  }

  /** Who hears nothing asks too, however much it says: a kernel may still take bytes that nobody reads. */
  private get idlePingAtMs(): number {
    if (this.keepaliveMs === undefined) return never;
    const unheardSinceMs = this.askedSinceMs === undefined ? this.lastReceivedMs : never;
    return Math.min(this.lastSentMs, unheardSinceMs) + this.keepaliveMs;
  }

  private get promisedByMs(): number {
    return this.promise?.byMs ?? never;
  }

  /** When {@link tick} has something to say, unless things change before. */
  get deadlineMs(): number {
    return Math.min(this.deadAtMs, this.pingAtMs, this.promisedByMs, this.lookAtMs);
  }

  /** What is under way is looked after by whoever reads the machine's facts, too. */
  private get lookAtMs(): number {
    const { sinceMs } = this.silence;
    if (this.lookedAtMs === undefined || sinceMs === undefined) return never;
    return Math.max(sinceMs, this.lookedAtMs) + lookMs;
  }

  /** What is to be done at `nowMs`, if anything. `facts`: what the machine knows of the path, where it tells. */
  tick(nowMs: number, facts?: PathFacts): UpkeepAction | undefined {
    if (facts !== undefined) {
      this.pathMs = facts.roundTripMs;
      this.lookedAtMs = nowMs;
      this.silence.learn(nowMs, facts);
    }
    if (nowMs >= this.deadAtMs) {
      if (this.condemned) return 'dead';
      this.condemned = true;
      return undefined;
    }
    this.condemned = false;
    if (nowMs >= this.promisedByMs) return 'idle-timeout';
    return nowMs < this.pingAtMs ? undefined : 'ping';
  }
}
