import type { Clock } from '../base/clock.ts';
import { asEntremiseError, EntremiseError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Transport } from '../transport/transport.ts';
import { GoawayError } from './goaway.ts';
import type { Enrolment, MemberIdentity, Welcomed } from './handshake.ts';
import { MemberLink, type MemberLinkHandlers } from './member-link.ts';

/** The first wait after a failed try; doubles with each. */
const firstWaitMs = 1_000;

/** The longest wait between tries. */
const longestWaitMs = 60_000;

/**
 * A link that was up and is lost is one more failure, but up to here only: that it is lost again and again is the network's
 * doing, not the server's. The wait is then one of 4 s at most.
 */
const mostFlaps = 3;

/** A link that lived this long was a good one: the next loss is answered at once again. */
const goodLinkMs = 10_000;

/** What the owner of a member is told, besides what its link tells. */
export interface MemberHandlers extends Omit<MemberLinkHandlers, 'onWelcome' | 'onClosed'> {
  /** A link is up. */
  onOnline(link: MemberLink, welcomed: Welcomed): void;
  /** A link that was up is gone, or a try has failed; the next begins in `retryInMs`. */
  onOffline(error: EntremiseError, retryInMs: number): void;
}

/** What a member needs. */
export interface MemberOptions {
  /** Opens a transport to the server, its pin compared. */
  connect(): Promise<Transport>;
  readonly identity: MemberIdentity;
  readonly clock: Clock;
  readonly log: Log;
  /** How long the next link may be silent. */
  keepaliveMs(): number;
  /** Between 0 and 1; spreads the tries of a fleet. */
  random(): number;
  /** Present while the member has no member statement (P6.5). */
  readonly enrolment?: Enrolment;
}

/**
 * Keeps one link to the server alive for as long as the member runs: at once after a good link is lost, then with full
 * jitter, and not before the server wants it (P1.10).
 */
export class Member {
  private readonly options: MemberOptions;
  private readonly handlers: MemberHandlers;
  private current: MemberLink | undefined;
  private linkNo = 0;
  private failures = 0;
  private upSinceMs: number | undefined;
  private stopped = false;
  private cancelRetry: (() => void) | undefined;

  constructor(options: MemberOptions, handlers: MemberHandlers) {
    this.options = options;
    this.handlers = handlers;
  }

  /** The link that is up, or undefined. */
  get link(): MemberLink | undefined {
    return this.upSinceMs === undefined ? undefined : this.current;
  }

  /** Begins, and goes on until {@link stop}. */
  start(): void {
    void this.tryOnce();
  }

  /** Ends the link with GOAWAY and tries no more. */
  stop(): void {
    this.stopped = true;
    this.cancelRetry?.();
    this.current?.driver.close('shutting-down');
  }

  /** Tries now instead of when the wait is over. Does nothing while a link is up or a try is under way. */
  retryNow(): void {
    if (this.cancelRetry === undefined || this.stopped) return;
    this.cancelRetry();
    this.cancelRetry = undefined;
    void this.tryOnce();
  }

  private async tryOnce(): Promise<void> {
    let transport: Transport | undefined;
    try {
      transport = await this.options.connect();
      if (this.stopped) return transport.destroy();
      this.open(transport);
    } catch (thrown) {
      transport?.destroy();
      this.failed(asEntremiseError(thrown));
    }
  }

  private open(transport: Transport): void {
    this.linkNo++;
    const { clock, log, identity, enrolment } = this.options;
    const keepaliveMs = this.options.keepaliveMs();
    const link = new MemberLink(
      { transport, clock, log, keepaliveMs },
      identity,
      this.linkNo,
      {
        ...this.handlers,
        onWelcome: welcomed => this.online(link, welcomed),
        onClosed: error => this.failed(error),
      },
      enrolment,
    );
    this.current = link;
    link.start();
  }

  private online(link: MemberLink, welcomed: Welcomed): void {
    this.upSinceMs = this.options.clock.now();
    this.handlers.onOnline(link, welcomed);
  }

  private failed(error: EntremiseError): void {
    const wasUp = this.upSinceMs !== undefined;
    const upForMs = this.upSinceMs === undefined ? 0 : this.options.clock.now() - this.upSinceMs;
    this.current = undefined;
    this.upSinceMs = undefined;
    if (this.stopped)
      return this.handlers.onOffline(new EntremiseError('shutting-down', { cause: error }), 0);
    const sentAway = error instanceof GoawayError;
    if (upForMs >= goodLinkMs) this.failures = 0;
    else this.failures = wasUp && !sentAway ? Math.min(this.failures + 1, mostFlaps) : this.failures + 1;
    const retryInMs = Math.max(this.nextWaitMs(), sentAway ? error.afterMs : 0);
    this.cancelRetry = this.options.clock.after(retryInMs, () => {
      this.cancelRetry = undefined;
      void this.tryOnce();
    });
    this.handlers.onOffline(error, retryInMs);
  }

  /** 0 after a good link, then full jitter over a doubling span, so that a fleet does not come back in step. */
  private nextWaitMs(): number {
    if (this.failures === 0) return 0;
    const span = Math.min(firstWaitMs * 2 ** (this.failures - 1), longestWaitMs);
    return Math.round(this.options.random() * span);
  }
}
