import type { Clock } from '../../base/clock.ts';
import type { SparingLog } from '../../base/sparing-log.ts';
import { TokenBucket } from '../../policy/rate.ts';
import type { RelayPort } from '../../relay/relay.ts';
import type { PlainSide } from '../../switch/plain-side.ts';
import type { TunnelDatagramSocket } from '../../terminal/index.ts';
import type { PacketPeer } from '../../wire/packet.ts';
import type { AskRelay, Flow } from '../features/flow.ts';
import type { AuditClient, ClientLimits, PublishedCounts } from './client-limits.ts';

/**
 * A published UDP port (P7.6): plain clients of the server's port come out in a LAN, each from a port of its own on the
 * mediator, so that a target there tells them apart. Where UDP passes all the way a client's datagrams go from its
 * socket's port into the mediator's channel in the relay, and back, past this program; elsewhere over the TCP channel.
 */

/** Datagrams of one client that wait for its port on the mediator. */
const maxWaiting = 64;

/** A client's port on the mediator. */
export type ClientPort = Pick<TunnelDatagramSocket, 'on' | 'send' | 'bypass' | 'close'>;

/** What a published port is made of. */
export interface PublishedUdpOptions extends ClientLimits {
  /** A client that is silent both ways for so long is forgotten; at least 120,000 (RFC 4787). In milliseconds. */
  readonly idleMs: number;
  readonly side: Pick<PlainSide, 'relay' | 'listenToPort'>;
  /** A port of the relay that hears the allowed networks alone. */
  readonly port: RelayPort;
  /** False: the mediator is away, and what comes is lost, as on any network. */
  isAttached(): boolean;
  /** Opens a port on the mediator. */
  openPort(): Promise<ClientPort>;
  /** In the LAN. */
  readonly target: PacketPeer;
  readonly clock: Clock;
  readonly log: SparingLog;
  readonly audit: AuditClient;
}

const keyOf = ({ address, number }: PacketPeer) => `${address}|${number}`;

interface Client {
  readonly peer: PacketPeer;
  waiting: Buffer[];
  socket: ClientPort | undefined;
  isGone: boolean;
}

/** See the head of this file. */
export class PublishedUdp {
  private readonly options: PublishedUdpOptions;
  private readonly clients = new Map<string, Client>();
  private readonly newcomers: TokenBucket;
  private readonly totals = { served: 0, expired: 0, full: 0, failed: 0 };

  constructor(options: PublishedUdpOptions) {
    const { side, port, clock, newClientsPerSecond } = options;
    this.options = options;
    this.newcomers = new TokenBucket(newClientsPerSecond, newClientsPerSecond, clock.now());
    side.listenToPort(port, {
      onDatagram: (peer, bytes) => this.onDatagram(peer, bytes),
      onUnapproved: () => {},
      onUnreachable: () => {},
      onIdle: peer => this.onIdle(peer),
    });
  }

  get counts(): PublishedCounts {
    return { clients: this.clients.size, foreign: 0, ...this.totals };
  }

  /** What has gone through it, by what the relay has counted. */
  flow(relay: AskRelay): Flow {
    const { served, full, failed } = this.totals;
    const counted = relay()?.ports.get(this.options.port);
    const bytes = { bytesToLan: counted?.bytesIn ?? 0, bytesFromLan: counted?.bytesOut ?? 0 };
    return { served, full, failed, foreign: counted?.foreign ?? 0, ...bytes };
  }

  private onDatagram(peer: PacketPeer, bytes: Buffer): void {
    const client = this.clients.get(keyOf(peer)) ?? this.admit(peer);
    if (client === undefined) return;
    if (client.socket !== undefined) this.sendTo(client.socket, bytes);
    else if (client.waiting.length < maxWaiting) client.waiting.push(bytes);
  }

  private admit(peer: PacketPeer): Client | undefined {
    const { clients, clock, audit, isAttached, openPort } = this.options;
    if (!isAttached()) return this.turnAway('failed', peer, 'the mediator is not attached');
    if (this.clients.size >= clients) return this.turnAway('full', peer, 'too many clients');
    if (!this.newcomers.take(1, clock.now())) return this.turnAway('full', peer, 'too many new clients');
    try {
      audit(peer);
    } catch {
      return this.turnAway('failed', peer, 'the audit line could not be written');
    }
    const client: Client = { peer, waiting: [], socket: undefined, isGone: false };
    this.clients.set(keyOf(peer), client);
    this.lead(client, undefined);
    this.serve(client, openPort()).catch(thrown => {
      if (!client.isGone) this.turnAway('failed', peer, String(thrown));
      this.remove(client);
    });
    return client;
  }

  private turnAway(why: 'full' | 'failed', client: PacketPeer, reason: string): undefined {
    this.totals[why]++;
    this.options.log.info({ client: keyOf(client), reason }, 'a client of a published port was not served');
  }

  /** Where the client's datagrams go in the relay, which knows how long it has been silent whatever carries them. */
  private lead({ peer }: Client, route: { readonly cid: number; readonly route: number } | undefined): void {
    const { side, port, target, idleMs } = this.options;
    side.relay.bindPeer(port, peer, route === undefined ? 'script' : { ...route, peer: target }, idleMs);
  }

  private async serve(client: Client, opening: Promise<ClientPort>): Promise<void> {
    const { side, port, target } = this.options;
    const socket = await opening;
    socket.on('error', () => {});
    socket.on('close', () => this.remove(client));
    if (client.isGone) return void socket.close();
    socket.on('message', (bytes, from) => {
      const isTarget = from.address === target.address && from.port === target.number;
      if (isTarget && !client.isGone) side.relay.sendPlain(port, client.peer, bytes);
    });
    client.socket = socket;
    this.totals.served++;
    for (const bytes of client.waiting.splice(0)) this.sendTo(socket, bytes);
    socket.bypass({
      to: { port, peer: client.peer, only: target },
      onRoute: route => {
        if (!client.isGone) this.lead(client, route);
      },
    });
  }

  private sendTo(socket: ClientPort, bytes: Buffer): void {
    const { address, number } = this.options.target;
    socket.send(bytes, number, address, () => {});
  }

  private onIdle(peer: PacketPeer): void {
    const client = this.clients.get(keyOf(peer));
    if (client === undefined) return;
    this.totals.expired++;
    this.remove(client);
  }

  private remove(client: Client): void {
    if (client.isGone) return;
    client.isGone = true;
    this.clients.delete(keyOf(client.peer));
    const { side, port } = this.options;
    side.relay.bindPeer(port, client.peer, undefined);
    client.socket?.close();
  }

  /** Ends every client, and the port. */
  close(): void {
    for (const client of [...this.clients.values()]) this.remove(client);
    this.options.side.relay.removePort(this.options.port);
  }
}
