/**
 * How long a member whose link is gone, or whose try has failed, waits before the next try (P1.10): a random part of a span,
 * full jitter, so that a fleet does not come back in step. What bounds a fleet is what the server says: one that is
 * full resets connections before TLS, and that is a failed try, for which spans double. Where a try costs the server nothing,
 * nobody need wait long: then the span follows the outage. Times are monotonic milliseconds.
 */

/** A good link that was lost is tried again within this long: at once, but not all of a fleet in one moment. */
const atOnceMs = 500;

/** The first span after a failed try; doubles with each. */
const firstSpanMs = 1_000;

/** The longest span. */
const longestSpanMs = 60_000;

/** With no way to anywhere, no longer than this. */
const waylessSpanMs = 2_000;

/** A link that lived this long was a good one: the next loss is answered at once again. */
const goodLinkMs = 10_000;

/** So many links in a row may be lost sooner before spans grow. */
const freeFlaps = 3;

/** That links are lost again and again is the network's doing, not the server's: no longer than this. */
const flapSpanMs = 4_000;

/** Why a try has failed, as far as it matters for the next. */
export type TryFailure =
  /** No packet has left this machine, since it knows no way there. */
  | 'wayless'
  /** The kernel over there has answered that nobody listens. */
  | 'refused'
  /** Anything else may have cost the server something. */
  | 'failed';

/** See the head of this file. */
export class ReturnLaw {
  /** Links in a row that did not live for long. */
  private flaps = 0;
  /** Tries in a row that may have cost the server something. */
  private failures = 0;
  /** When the link was lost; when the first try failed where there was none. */
  private outageSinceMs: number | undefined;

  /** The last link that was up lived for long. */
  get isGood(): boolean {
    return this.flaps === 0;
  }

  /** A link that was up is lost without a word. The next wait is shorter than what is returned. */
  onLost(upForMs: number, nowMs: number): number {
    this.beginOutage(upForMs, nowMs);
    if (this.flaps === 0) return atOnceMs;
    return Math.min(firstSpanMs * 2 ** Math.max(0, this.flaps - freeFlaps), flapSpanMs);
  }

  /** The server has ended a link that was up; one that does so again and again is not asked as often. As {@link onLost}. */
  onSentAway(upForMs: number, nowMs: number): number {
    this.beginOutage(upForMs, nowMs);
    return this.flaps === 0 ? atOnceMs : Math.min(firstSpanMs * 2 ** (this.flaps - 1), longestSpanMs);
  }

  /** A try has failed. As {@link onLost}. */
  onFailed(failure: TryFailure, nowMs: number): number {
    this.outageSinceMs ??= nowMs;
    switch (failure) {
      case 'wayless':
        return this.costlessSpanMs(waylessSpanMs, nowMs);
      case 'refused':
        return this.costlessSpanMs(longestSpanMs, nowMs);
      case 'failed':
        this.failures++;
        return Math.min(firstSpanMs * 2 ** (this.failures - 1), longestSpanMs);
    }
  }

  private beginOutage(upForMs: number, nowMs: number): void {
    this.flaps = upForMs >= goodLinkMs ? 0 : this.flaps + 1;
    this.failures = 0;
    this.outageSinceMs = nowMs;
  }

  /** A tenth of the outage: it is prolonged by no more, and costs few packets however long it lasts. */
  private costlessSpanMs(mostMs: number, nowMs: number): number {
    const outageMs = nowMs - (this.outageSinceMs ?? nowMs);
    return Math.min(Math.max(firstSpanMs, outageMs / 10), mostMs);
  }
}
