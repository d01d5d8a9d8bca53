/**
 * How long a link may be silent (P8.1): 240 s, since the shortest timers for idle TCP that are in wide use end at 350 s, and
 * there is no way to try one that would not cost the link. Two losses out of silence that nothing explains halve it.
 */

/** The longest silence of a link (P8.1). */
export const longestTcpIntervalMs = 240_000;

/** The shortest that losses bring about (P8.1). */
export const shortestTcpIntervalMs = 20_000;

/** Losses that halve it. */
const lossesPerHalving = 2;

/** A server that answers this soon after the loss was not down: the path had forgotten the link. */
const promptMs = 30_000;

/** How a link that had been up ended. */
export interface LinkLoss {
  /** How long nothing had crossed the link before the write that was not answered. */
  readonly idleMs: number;
  /** Nobody said GOAWAY. */
  readonly unsaid: boolean;
  readonly atMs: number;
}

/** See the head of this file. */
export class TcpInterval {
  /** Losses that nothing explained, since the interval was last halved. */
  unexplainedLosses = 0;
  private readonly startMs: number;
  private readonly floorMs: number;
  private currentMs: number;
  private path: string | undefined;
  private loss: LinkLoss | undefined;

  /**
   * `startMs`: what the configuration says instead; losses halve that, too. `unitMs`: what a second of the numbers above is;
   * shorter in tests only.
   */
  constructor(startMs = longestTcpIntervalMs, unitMs = 1_000) {
    this.startMs = Math.min(startMs, (longestTcpIntervalMs * unitMs) / 1_000);
    this.floorMs = Math.min(this.startMs, (shortestTcpIntervalMs * unitMs) / 1_000);
    this.currentMs = this.startMs;
  }

  /** PING after that long without sending. */
  get intervalMs(): number {
    return this.currentMs;
  }

  /** A link that was up is gone. */
  onLost(loss: LinkLoss): void {
    this.loss = loss;
  }

  /** The server is reached again, by `path`. Another path is believed to be as patient as any. */
  onReached(path: string, nowMs: number): void {
    const { loss, path: before } = this;
    this.loss = undefined;
    this.path = path;
    if (before !== undefined && before !== path) {
      this.currentMs = this.startMs;
      this.unexplainedLosses = 0;
    } else if (loss !== undefined) this.judge(loss, nowMs);
  }

  private judge({ unsaid, idleMs, atMs }: LinkLoss, nowMs: number): void {
    // 0.9: what found the link dead may have been sent a moment early.
    if (!unsaid || idleMs < this.currentMs * 0.9 || nowMs - atMs > promptMs) return;
    this.unexplainedLosses++;
    if (this.unexplainedLosses < lossesPerHalving) return;
    this.unexplainedLosses = 0;
    this.currentMs = Math.max(this.floorMs, this.currentMs / 2);
  }
}
