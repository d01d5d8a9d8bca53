import type { Clock } from '../base/clock.ts';
import { asEntremiseError, EntremiseError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Transport } from '../transport/transport.ts';
import { GoawayError } from './goaway.ts';
import type { Enrolment, MemberIdentity, Welcomed } from './handshake.ts';
import { MemberLink, type MemberLinkHandlers } from './member-link.ts';
import { ReturnLaw, type TryFailure } from './return-law.ts';

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
 * Keeps one link to the server alive for as long as the member runs: tries again when {@link ReturnLaw} says, and not before
 * the server wants it (P1.10).
 */
export class Member {
  private readonly options: MemberOptions;
  private readonly handlers: MemberHandlers;
  private current: MemberLink | undefined;
  private linkNo = 0;
  private readonly law = new ReturnLaw();
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
    const nowMs = this.options.clock.now();
    const upForMs = this.upSinceMs === undefined ? undefined : nowMs - this.upSinceMs;
    this.current = undefined;
    this.upSinceMs = undefined;
    if (this.stopped)
      return this.handlers.onOffline(new EntremiseError('shutting-down', { cause: error }), 0);
    const hint = error instanceof GoawayError ? error : undefined;
    this.hintedServer = hint?.server;
    this.notBeforeMs = nowMs + (hint?.afterMs ?? 0);
    const spanMs = this.spanMs(error, upForMs, nowMs);
    const retryInMs = Math.max(Math.round(this.options.random() * spanMs), hint?.afterMs ?? 0);
    this.cancelRetry = this.options.clock.after(retryInMs, () => {
      this.cancelRetry = undefined;
      void this.tryOnce();
    });
    this.handlers.onOffline(error, retryInMs);
  }

  /** `upForMs`: how long the link was up; undefined: a try has failed. */
  private spanMs(error: EntremiseError, upForMs: number | undefined, nowMs: number): number {
    if (upForMs === undefined) return this.law.onFailed(failureOf(error), nowMs);
    if (!(error instanceof GoawayError)) return this.law.onLost(upForMs, nowMs);
    const spanMs = this.law.onSentAway(upForMs, nowMs);
    // Who is sent away from a good link has been given a time of its own, or another server.
    const isSentOn = error.afterMs > 0 || error.server !== undefined;
    return isSentOn && this.law.isGood ? 0 : spanMs;
  }
}

/** Codes of a connection that no packet has been sent for. */
const waylessCodes: ReadonlySet<unknown> = new Set(['ENETUNREACH', 'ENETDOWN']);

function failureOf({ cause }: EntremiseError): TryFailure {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (waylessCodes.has(code)) return 'wayless';
  return code === 'ECONNREFUSED' ? 'refused' : 'failed';
}
