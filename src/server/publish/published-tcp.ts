import type { Server, Socket } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import type { SparingLog } from '../../base/sparing-log.ts';
import { type Network, networkContains } from '../../policy/network.ts';
import { TokenBucket } from '../../policy/rate.ts';
import type { ServerAddress } from '../../policy/server-address.ts';
import { parseAddress } from '../../policy/target.ts';
import { joinSockets, type MediatorAttachment, type TunnelSocket } from '../../terminal/index.ts';
import type { PacketPeer } from '../../wire/packet.ts';
import type { Flow } from '../features/flow.ts';
import type { AuditClient, ClientLimits, PublishedCounts } from './client-limits.ts';

/**
 * A published TCP port (P7.6): each connection of a plain client is one of the mediator's, from any number of it, with
 * bytes, half-close and resets both ways as a forward has them. Who may not, or cannot, be served gets a RST.
 */

/** What a published port is made of. */
export interface PublishedTcpOptions extends ClientLimits {
  /** Listens, with pauseOnConnect and allowHalfOpen. */
  readonly server: Server;
  readonly from: readonly Network[];
  /** The mediator, while it is there; with its way lost, connections wait for that. */
  attachment(): Pick<MediatorAttachment, 'connect'> | undefined;
  /** In the LAN. */
  readonly target: ServerAddress;
  readonly audit: AuditClient;
  readonly clock: Clock;
  readonly log: SparingLog;
}

type Reason = 'foreign' | 'full' | 'failed';

/** The client as the networks are written: IPv4 by an IPv6 socket is IPv4. */
function clientOf({ remoteAddress = '', remotePort = 0 }: Socket): PacketPeer {
  return { address: parseAddress(remoteAddress)?.text ?? remoteAddress, number: remotePort };
}

/** See the head of this file. */
export class PublishedTcp {
  private readonly options: PublishedTcpOptions;
  private readonly remotes = new Set<TunnelSocket>();
  private readonly newcomers: TokenBucket;
  private readonly totals = { served: 0, full: 0, failed: 0, foreign: 0 };
  private readonly bytes = { toLan: 0, fromLan: 0 };

  constructor(options: PublishedTcpOptions) {
    const { server, clock, newClientsPerSecond } = options;
    this.options = options;
    this.newcomers = new TokenBucket(newClientsPerSecond, newClientsPerSecond, clock.now());
    server.on('connection', socket => this.onConnection(socket));
    // Of accept(): too many open files. The next is tried all the same.
    server.on('error', error =>
      this.options.log.info({ reason: error.message }, 'a client could not be accepted'),
    );
  }

  get counts(): PublishedCounts {
    return { clients: this.remotes.size, expired: 0, ...this.totals };
  }

  /** What has gone through it. */
  flow(): Flow {
    const { toLan, fromLan } = this.bytes;
    return { ...this.totals, bytesToLan: toLan, bytesFromLan: fromLan };
  }

  private onConnection(socket: Socket): void {
    socket.on('error', () => {});
    const client = clientOf(socket);
    const refusal = this.refusalOf(client);
    const attachment = this.options.attachment();
    if (refusal !== undefined) return this.turnAway(socket, client, ...refusal);
    if (attachment === undefined)
      return this.turnAway(socket, client, 'failed', 'the mediator is not attached');
    try {
      this.options.audit(client);
    } catch {
      return this.turnAway(socket, client, 'failed', 'the audit line could not be written');
    }
    this.join(socket, client, attachment);
  }

  private refusalOf({ address }: PacketPeer): [Reason, string] | undefined {
    const { from, clients, clock } = this.options;
    const known = parseAddress(address);
    if (known === undefined || !from.some(network => networkContains(network, known)))
      return ['foreign', 'it is outside the networks'];
    if (this.remotes.size >= clients) return ['full', 'too many clients'];
    return this.newcomers.take(1, clock.now()) ? undefined : ['full', 'too many new clients'];
  }

  private turnAway(socket: Socket, client: PacketPeer, why: Reason, reason: string): void {
    this.tell(client, why, reason);
    socket.resetAndDestroy();
  }

  private tell(client: PacketPeer, why: Reason, reason: string): void {
    this.totals[why]++;
    this.options.log.info({ client, reason }, 'a client of a published port was not served');
  }

  private join(socket: Socket, client: PacketPeer, attachment: Pick<MediatorAttachment, 'connect'>): void {
    const { host, number: port } = this.options.target;
    const remote = attachment.connect({ host, port, allowHalfOpen: true });
    this.remotes.add(remote);
    remote.once('connect', () => void this.totals.served++);
    remote.once('error', error => {
      if (remote.pending) this.tell(client, 'failed', error.message);
    });
    remote.once('close', () => this.remotes.delete(remote));
    joinSockets(socket, remote);
    socket.on('data', ({ length }: Buffer) => {
      this.bytes.toLan += length;
    });
    remote.on('data', ({ length }: Buffer) => {
      this.bytes.fromLan += length;
    });
  }

  /** Listens no more, and resets what is open. */
  close(): void {
    this.options.server.close();
    for (const remote of this.remotes) remote.resetAndDestroy();
  }
}
