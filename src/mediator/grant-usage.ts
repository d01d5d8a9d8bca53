import { EntremiseError } from '../base/errors.ts';
import type { GrantLimits } from '../policy/grant.ts';
import { TokenBucket } from '../policy/rate.ts';

/** How much of what a grant bounds is in use (P6.3). One a grant, however many attachments show it. */

/** Bytes that may go at full speed before the rate of a grant is felt, as time at that rate. */
const burstMs = 200;

let nextNumber = 1;

/** See the head of this file. Times are monotonic milliseconds. */
export class GrantUsage {
  /** Tells it from others; the relay bounds the datagrams of its ports together by it. */
  readonly number = nextNumber++;
  private readonly limits: GrantLimits;
  private readonly streamStarts: TokenBucket;
  private openPorts = 0;
  private liveStreams = 0;
  private paidUntilMs = Number.NEGATIVE_INFINITY;

  constructor(limits: GrantLimits, nowMs: number) {
    this.limits = limits;
    this.streamStarts = new TokenBucket(limits.newStreamsPerSecond, limits.newStreamsPerSecond, nowMs);
  }

  /** Ports that are open. */
  get ports(): number {
    return this.openPorts;
  }

  /** Streams that live. */
  get streams(): number {
    return this.liveStreams;
  }

  /** What the grant allows. */
  get allowed(): GrantLimits {
    return this.limits;
  }

  /** @throws EntremiseError `limit` when the grant's number of ports is reached */
  addPort(): void {
    if (this.openPorts >= this.limits.ports) {
      throw new EntremiseError('limit', {
        by: 'grant',
        message: `The grant allows ${this.limits.ports} ports at once (limits.ports); CLOSE one first.`,
      });
    }
    this.openPorts++;
  }

  /** A port is closed. */
  removePort(): void {
    this.openPorts--;
  }

  /** Milliseconds until one more stream may begin; 0: now; infinite: when another has ended. */
  streamWaitMs(nowMs: number): number {
    if (this.liveStreams >= this.limits.streams) return Number.POSITIVE_INFINITY;
    return this.streamStarts.waitMs(1, nowMs);
  }

  /** @throws EntremiseError `limit` when the grant's number or rate of streams is reached */
  addStream(nowMs: number): void {
    if (this.liveStreams >= this.limits.streams) {
      throw new EntremiseError('limit', {
        by: 'grant',
        message: `The grant allows ${this.limits.streams} streams at once (limits.streams); end one first.`,
      });
    }
    if (!this.streamStarts.take(1, nowMs)) {
      throw new EntremiseError('limit', {
        by: 'grant',
        message: `The grant allows ${this.limits.newStreamsPerSecond} new streams a second (limits.newStreamsPerSecond); try again in a moment.`,
      });
    }
    this.liveStreams++;
  }

  /** A stream has ended. */
  removeStream(): void {
    this.liveStreams--;
  }

  /** Ports and streams come from another grant, with the attachment that has them. They may be more than this one allows. */
  take(ports: number, streams: number): void {
    this.openPorts += ports;
    this.liveStreams += streams;
  }

  /** `bytes` have moved: how long to wait before more may, in milliseconds. */
  paceMs(bytes: number, nowMs: number): number {
    const { bytesPerSecond } = this.limits;
    if (bytesPerSecond === undefined) return 0;
    this.paidUntilMs = Math.max(this.paidUntilMs, nowMs - burstMs) + (bytes / bytesPerSecond) * 1000;
    return Math.max(0, this.paidUntilMs - nowMs);
  }
}

/** What one attachment uses of its grant, and takes along to the grant that a later attempt shows (P4.2). */
export class UsageShare {
  private whole: GrantUsage;
  private ownPorts = 0;
  private ownStreams = 0;

  constructor(whole: GrantUsage) {
    this.whole = whole;
  }

  /** What all attachments use that show the same grant. */
  get ofGrant(): GrantUsage {
    return this.whole;
  }

  /** From now on that grant's. */
  moveTo(whole: GrantUsage): void {
    this.whole.take(-this.ownPorts, -this.ownStreams);
    whole.take(this.ownPorts, this.ownStreams);
    this.whole = whole;
  }

  /** @throws EntremiseError as {@link GrantUsage.addPort} */
  addPort(): void {
    this.whole.addPort();
    this.ownPorts++;
  }

  /** As {@link GrantUsage.removePort}. */
  removePort(): void {
    this.whole.removePort();
    this.ownPorts--;
  }

  /** As {@link GrantUsage.streamWaitMs}. */
  streamWaitMs(nowMs: number): number {
    return this.whole.streamWaitMs(nowMs);
  }

  /** @throws EntremiseError as {@link GrantUsage.addStream} */
  addStream(nowMs: number): void {
    this.whole.addStream(nowMs);
    this.ownStreams++;
  }

  /** As {@link GrantUsage.removeStream}. */
  removeStream(): void {
    this.whole.removeStream();
    this.ownStreams--;
  }

  /** As {@link GrantUsage.paceMs}. */
  paceMs(bytes: number, nowMs: number): number {
    return this.whole.paceMs(bytes, nowMs);
  }
}
