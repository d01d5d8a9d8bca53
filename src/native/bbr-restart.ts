import type { TcpInfo } from './addon.ts';

/**
 * BBR takes a path that loses a fifth of its packets for a policed one, and then sends for 48 round trips at the rate that got
 * through (Linux, tcp_bbr.c, "long-term bandwidth"). After a spell of heavy loss that may be one packet a second, which makes
 * a round trip a second long: a path that is good again would crawl for a minute. So BBR begins anew where nothing is lost any
 * more, and the path brings what is sent much sooner than BBR sends it (P2.1).
 */

/** Bytes a second; at more than this 48 round trips are over soon. */
const crawl = 32 * 1024;

/** How much faster than BBR sends the path must be. Where its own queue is what is slow, both are the same. */
const leastRatio = 4;

/** For so long nothing may have been sent again: a path that still loses would only be flooded. */
const leastPatienceMs = 900;

/** Doubled each time, up to this, where it did not help: there may be somebody who polices the path. */
const mostPatienceMs = 60_000;

/** Decides when BBR begins anew; one for each connection that has it. */
export class BbrRestart {
  private readonly restart: () => void;
  private retransmits = 0;
  private goodSinceMs = 0;
  private restartedAtMs = Number.NEGATIVE_INFINITY;
  private patienceMs = leastPatienceMs;

  /** `restart` has BBR begin anew. */
  constructor(restart: () => void) {
    this.restart = restart;
  }

  /** What the kernel says at `nowMs`; asked for about each second while something is under way. */
  onInfo(info: TcpInfo, nowMs: number): void {
    const { notSentBytes, pacingRate, deliveryRate, totalRetransmits } = info;
    const crawls = notSentBytes > 0 && pacingRate < crawl && deliveryRate >= leastRatio * pacingRate;
    if (totalRetransmits !== this.retransmits || !crawls) this.goodSinceMs = nowMs;
    this.retransmits = totalRetransmits;
    const longAgo = nowMs - this.restartedAtMs > 2 * mostPatienceMs;
    const patienceMs = longAgo ? leastPatienceMs : this.patienceMs;
    if (nowMs - this.goodSinceMs < patienceMs) return;
    this.goodSinceMs = nowMs;
    this.restartedAtMs = nowMs;
    this.patienceMs = Math.min(2 * patienceMs, mostPatienceMs);
    this.restart();
  }
}
