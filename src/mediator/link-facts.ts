import { type ErrorCode, errorNumber } from '../base/errors.ts';
import type { PathReport } from '../wire/messages/report.ts';

/** What a mediator knows of its links, for REPORT (P1.8). */
export type LinkReport = Pick<PathReport, 'server' | 'linkSinceMs' | 'lostReason' | 'lostAtMs'>;

/** Remembers which link there is and how the last one was lost. Times are milliseconds since 1970. */
export class LinkFacts {
  private current: { readonly server: string; readonly sinceMs: number } | undefined;
  private lost: { readonly code: ErrorCode; readonly atMs: number } | undefined;

  /** A link is up. */
  onOnline(server: string, nowMs: number): void {
    this.current = { server, sinceMs: nowMs };
  }

  /** It is gone; a try that failed is no loss. */
  onOffline(code: ErrorCode, nowMs: number): void {
    if (this.current !== undefined) this.lost = { code, atMs: nowMs };
    this.current = undefined;
  }

  /** For REPORT. */
  get report(): LinkReport {
    const { current, lost } = this;
    return {
      ...(current && { server: current.server, linkSinceMs: current.sinceMs }),
      ...(lost && { lostReason: errorNumber(lost.code), lostAtMs: lost.atMs }),
    };
  }
}
