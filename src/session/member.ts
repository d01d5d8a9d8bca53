import type { Clock } from '../base/clock.ts';
import { asEntremiseError, EntremiseError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Transport } from '../transport/transport.ts';
import { GoawayError } from './goaway.ts';
import type { Enrolment, MemberIdentity, Welcomed } from './handshake.ts';
import { MemberLink, type MemberLinkHandlers } from './member-link.ts';

/** A good link that was lost is tried again within this long: at once, but not all of a fleet in one moment. */
const atOnceMs = 500;

/** The first wait after a failed try; doubles with each. */
const firstWaitMs = 1_000;

/** The longest wait between tries. */
const longestWaitMs = 60_000;

/**
 * A link that was up and is lost is one more failure, but up to here only: that it is lost again and again is the network's
 * doing, not the server's. The wait is then one of 4 s at most.
 */
const mostFlaps = 3;

/** With no way to anywhere the span grows no longer than that of so many failures: 2 s. */
const waylessFailures = 2;

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
  /** Opens a transport to a server, its pin compared. `server`: where the last one said to go, as `host:number`. */
  connect(server: string | undefined): Promise<Transport>;
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
 * jitter over spans that double, and not before the server wants it (P1.10). Where this machine has no way to anywhere, a
 * try costs nothing and tells nothing: then the span stays short, so that the way is used as soon as it is back.
 */
export class Member {
  private readonly options: MemberOptions;
  private readonly handlers: MemberHandlers;
  private current: MemberLink | undefined;
  private linkNo = 0;
  private failures = 0;
  private upSinceMs: number | undefined;
  private stopped = false;
  /** The last server does not want to be asked before. */
  private notBeforeMs = 0;
  /** Where the last server said to go. */
  private hintedServer: string | undefined;
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

  /**
   * Tries now instead of when the wait is over, for there is a reason to think that it helps. Does nothing while a link
   * is up or a try is under way, or before the time that the server has set.
   */
  retryNow(): void {
    if (this.cancelRetry === undefined || this.stopped) return;
    if (this.options.clock.now() < this.notBeforeMs) return;
    this.cancelRetry();
    this.cancelRetry = undefined;
    void this.tryOnce();
  }

  private async tryOnce(): Promise<void> {
    let transport: Transport | undefined;
    try {
      transport = await this.options.connect(this.hintedServer);
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
    const hint = error instanceof GoawayError ? error : undefined;
    const isFlap = wasUp && hint === undefined;
    const mostFailures = isWayless(error) ? waylessFailures : isFlap ? mostFlaps : Number.POSITIVE_INFINITY;
    this.failures = upForMs >= goodLinkMs ? 0 : Math.min(this.failures + 1, mostFailures);
    this.hintedServer = hint?.server;
    this.notBeforeMs = this.options.clock.now() + (hint?.afterMs ?? 0);
    // Who is sent away from a good link has been given a time of its own, or another server.
    const isSentOn =
      this.failures === 0 && hint !== undefined && (hint.afterMs > 0 || hint.server !== undefined);
    const retryInMs = Math.max(isSentOn ? 0 : this.nextWaitMs(), hint?.afterMs ?? 0);
    this.cancelRetry = this.options.clock.after(retryInMs, () => {
      this.cancelRetry = undefined;
      void this.tryOnce();
    });
    this.handlers.onOffline(error, retryInMs);
  }

  /** At once after a good link, then full jitter over a doubling span, so that a fleet does not come back in step. */
  private nextWaitMs(): number {
    const span =
      this.failures === 0 ? atOnceMs : Math.min(firstWaitMs * 2 ** (this.failures - 1), longestWaitMs);
    return Math.round(this.options.random() * span);
  }
}

/** No packet has left this machine, since it knows no way there. */
function isWayless({ cause }: EntremiseError): boolean {
  return (
    cause instanceof Error && 'code' in cause && (cause.code === 'ENETUNREACH' || cause.code === 'ENETDOWN')
  );
}
