import type { Clock } from '../../base/clock.ts';
import type { SparingLog } from '../../base/sparing-log.ts';
import { TokenBucket } from '../../policy/rate.ts';
import type { ServerAddress } from '../../policy/server-address.ts';
import { joinToTarget, type MediatorAttachment, type TunnelSocket } from '../../terminal/index.ts';
import { type Flow, noFlow } from '../features/flow.ts';
import type { StandingOpened, StandingWay } from './standing-port.ts';

/** What a standing TCP service is made of. */
export interface StandingTcpOptions {
  /** The plain server; a name is looked up here. */
  readonly target: ServerAddress;
  /** Devices at once, and new ones a second. */
  readonly maxPeers: number;
  readonly peersPerSecond: number;
  readonly clock: Clock;
  readonly log: SparingLog;
}

/** Connections that the mediator takes while this program cannot be asked (P4.7). */
const backlog = 64;

/**
 * A standing TCP service (P7.6): what devices connect to a port of the mediator comes out of this program at a plain
 * server, with bytes, half-close and resets both ways. Connections outlive a lost way; who is beyond the limits gets a RST.
 */
export class StandingTcp implements StandingWay {
  private readonly options: StandingTcpOptions;
  private readonly newcomers: TokenBucket;
  private readonly remotes = new Set<TunnelSocket>();
  private readonly totals = { ...noFlow };

  constructor(options: StandingTcpOptions) {
    const { peersPerSecond, clock } = options;
    this.options = options;
    this.newcomers = new TokenBucket(peersPerSecond, peersPerSecond, clock.now());
  }

  get devices(): number {
    return this.remotes.size;
  }

  flow(): Flow {
    return { ...this.totals };
  }

  async open(
    attachment: MediatorAttachment,
    { address, number }: { readonly address: string; readonly number: number },
  ): Promise<StandingOpened> {
    const wish = { address, port: number, choice: 'mandatory', allowHalfOpen: true, backlog } as const;
    const server = await attachment.listen(wish);
    server.on('error', () => {});
    server.on('connection', remote => this.onConnection(remote));
    // Not by events.once(), which an 'error' before it makes fail.
    const closed = new Promise<void>(resolve => server.once('close', resolve));
    return { closed, close: () => void server.close() };
  }

  private onConnection(remote: TunnelSocket): void {
    const { target, maxPeers, clock } = this.options;
    remote.on('error', () => {});
    if (this.remotes.size >= maxPeers) return this.turnAway(remote, 'too many devices');
    if (!this.newcomers.take(1, clock.now())) return this.turnAway(remote, 'too many new devices');
    this.join(remote, target);
  }

  private join(remote: TunnelSocket, { host, number: port }: ServerAddress): void {
    this.remotes.add(remote);
    remote.once('close', () => this.remotes.delete(remote));
    const local = joinToTarget(remote, { host, port }, error => this.tell(remote, 'failed', error.message));
    local.once('connect', () => {
      this.totals.served++;
      local.on('data', ({ length }: Buffer) => {
        this.totals.bytesToLan += length;
      });
      remote.on('data', ({ length }: Buffer) => {
        this.totals.bytesFromLan += length;
      });
    });
  }

  private turnAway(remote: TunnelSocket, reason: string): void {
    this.tell(remote, 'full', reason);
    remote.resetAndDestroy();
  }

  private tell({ remoteAddress, remotePort }: TunnelSocket, why: 'full' | 'failed', reason: string): void {
    this.totals[why]++;
    const device = { address: remoteAddress, number: remotePort };
    this.options.log.info({ device, reason }, 'a device was not served');
  }

  /** Resets what is open. */
  close(): void {
    for (const remote of this.remotes) remote.resetAndDestroy();
  }
}
