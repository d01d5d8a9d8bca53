import { type EntremiseError, type ErrorCode, errorNumber } from '../base/errors.ts';
import type { PathReport } from '../wire/messages/report.ts';
import { isoTime, type LinkStatus } from './control/status.ts';

/** What a mediator knows of its links, for REPORT (P1.8). */
export type LinkReport = Pick<PathReport, 'server' | 'linkSinceMs' | 'lostReason' | 'lostAtMs'>;

/** Remembers which link there is and how the last one was lost. Times are milliseconds since 1970. */
export class LinkFacts {
  private current: { readonly server: string; readonly sinceMs: number } | undefined;
  private lost: { readonly code: ErrorCode; readonly atMs: number } | undefined;
  private offlineSinceMs: number;
  private reason: string | undefined;

  /** `nowMs`: when the program began. */
  constructor(nowMs: number) {
    this.offlineSinceMs = nowMs;
  }

  /** A link is up. */
  onOnline(server: string, nowMs: number): void {
    this.current = { server, sinceMs: nowMs };
  }

  /** It is gone; a try that failed is no loss. True when this is news: a link was there, or it fails for another reason. */
  onOffline({ code, message }: Pick<EntremiseError, 'code' | 'message'>, nowMs: number): boolean {
    const isNews = this.current !== undefined || message !== this.reason;
    if (this.current !== undefined) {
      this.lost = { code, atMs: nowMs };
      this.offlineSinceMs = nowMs;
    }
    this.current = undefined;
    this.reason = message;
    return isNews;
  }

  /** For REPORT. */
  get report(): LinkReport {
    const { current, lost } = this;
    return {
      ...(current && { server: current.server, linkSinceMs: current.sinceMs }),
      ...(lost && { lostReason: errorNumber(lost.code), lostAtMs: lost.atMs }),
    };
  }

  /** For the gateway's owner. */
  get status(): LinkStatus {
    const { current, offlineSinceMs, reason } = this;
    if (current !== undefined)
      return { online: true, since: isoTime(current.sinceMs), server: current.server };
    return { online: false, since: isoTime(offlineSinceMs), ...(reason === undefined ? {} : { reason }) };
  }
}
