import dgram, { type RemoteInfo, type Socket } from 'node:dgram';
import { EventEmitter, once } from 'node:events';
import { isIP, isIPv6 } from 'node:net';
import { meetsMany } from '../policy/address-class.ts';
import { canonicalAddress } from '../policy/target.ts';
import { canonicalIp, type IpText } from '../wire/ip.ts';
import type { Carrier } from '../wire/messages/shared.ts';
import type { AttachmentKeeper } from './attachment-keeper.ts';
import { udpSocketBestWay } from './best-way.ts';
import type { Endpoint, ForwardOptions } from './forward-tcp.ts';
import { sourceAddressFor } from './lan-address.ts';
import type { MediatorAttachment } from './mediator-attachment.ts';
import { PeerTable } from './peer-table.ts';
import { SideDoors } from './side-doors.ts';
import type { TunnelDatagramSocket } from './tunnel-datagram-socket.ts';
import { tunnelError } from './tunnel-error.ts';

/** The events of a {@link UdpForward}. */
export interface UdpForwardEvents {
  /** A local client could not be served. */
  refused: [refusal: { readonly client: Endpoint; readonly error: Error }];
  /** What carries the clients' datagrams from now on; first when the first client has its port. */
  channel: [channel: Carrier];
  close: [];
}

/** Datagrams of one client that wait for its port on the mediator. */
const maxWaiting = 64;

/** The port on the mediator that stands for one local client. */
class Client {
  private readonly target: Endpoint;
  private readonly sideDoors: SideDoors;
  /** As the mediator sees the target. */
  private address: IpText = '';
  private port: TunnelDatagramSocket | undefined;
  private waiting: Buffer[] = [];
  closed = false;

  /** `from`: the client; `at`: the local address at which it is served. */
  constructor(from: RemoteInfo, at: string, target: Endpoint) {
    this.target = target;
    this.sideDoors = new SideDoors({
      client: { host: from.address, port: from.port },
      at,
      onAnswer: (bytes, number) => this.send(bytes, number),
    });
  }

  take(bytes: Buffer): void {
    if (this.port !== undefined) this.send(bytes, this.target.port);
    else if (this.waiting.length < maxWaiting) this.waiting.push(bytes);
  }

  private send(bytes: Buffer, number: number): void {
    this.port?.send(bytes, number, this.address, () => {});
  }

  open(port: TunnelDatagramSocket, address: IpText): void {
    if (this.closed) return void port.close();
    this.port = port;
    this.address = address;
    for (const bytes of this.waiting) this.send(bytes, this.target.port);
    this.waiting = [];
  }

  /** The target has sent this from one of its numbers; `plain` takes what came from the one that was asked. */
  deliver(bytes: Buffer, number: number, plain: (bytes: Buffer) => void): void {
    if (this.closed) return;
    if (number === this.target.port) plain(bytes);
    else this.sideDoors.deliver(bytes, number);
  }

  close(): void {
    this.closed = true;
    this.waiting = [];
    this.sideDoors.close();
    this.port?.close();
  }
}

/**
 * A local UDP port whose datagrams leave from a mediator: every local client gets a port of its own there, from which
 * only the target's answers come back, or where that is a group or 255.255.255.255 everybody's. What the target sends from
 * another number comes from a local socket of its own, as where there is no tunnel ({@link SideDoors}). A client that is
 * silent for 120 s is forgotten; 256 at once.
 */
export class UdpForward extends EventEmitter<UdpForwardEvents> {
  private readonly socket: Socket;
  private readonly source: AttachmentKeeper;
  private readonly target: Endpoint;
  private readonly clients: PeerTable<Client>;
  private carrier: Carrier | undefined;

  /** Use {@link forwardUdp}. */
  constructor(socket: Socket, { source, target }: ForwardOptions) {
    super();
    this.socket = socket;
    this.source = source;
    this.target = target;
    this.clients = new PeerTable(source.clock, client => client.close());
    socket.on('message', (bytes, from) => this.onMessage(bytes, from));
    // ICMP errors of clients that are gone.
    socket.on('error', () => {});
  }

  /** The local address and number. */
  address(): Endpoint {
    const { address, port } = this.socket.address();
    return { host: address, port };
  }

  /** Clients that were turned away because there were too many. */
  get refusedClients(): number {
    return this.clients.refused;
  }

  /** What carries the clients' datagrams, as said last; undefined before the first client. */
  get channel(): Carrier | undefined {
    return this.carrier;
  }

  private onChannel(carrier: Carrier): void {
    if (carrier === this.carrier) return;
    this.carrier = carrier;
    this.emit('channel', carrier);
  }

  private onMessage(bytes: Buffer, from: RemoteInfo): void {
    const attachment = this.source.current;
    // While there is no attachment datagrams are lost, as on any network.
    if (attachment === undefined) return;
    this.clients.get(from.address, from.port, () => this.addClient(attachment, from))?.take(bytes);
  }

  private addClient(attachment: MediatorAttachment, from: RemoteInfo): Client {
    const client = new Client(from, this.address().host, this.target);
    const answer = (bytes: Buffer) => this.socket.send(bytes, from.port, from.address);
    const serve = async () => {
      const targetAddress = await this.targetAddress(attachment);
      const address = sourceAddressFor(this.source.mediator?.report, targetAddress);
      const family = isIPv6(targetAddress) ? 6 : 4;
      const isGroup = meetsMany(canonicalAddress(targetAddress), undefined);
      const port = await udpSocketBestWay(attachment, address === undefined ? { family } : { address });
      port.on('error', () => {});
      port.on('close', () => this.clients.remove(from.address, from.port, client));
      port.on('message', (bytes, { address: sender, port: number }) => {
        if (client.closed || (!isGroup && sender !== targetAddress)) return;
        this.clients.touch(from.address, from.port);
        if (isGroup) answer(bytes);
        else client.deliver(bytes, number, answer);
      });
      port.on('channel', carrier => this.onChannel(carrier));
      this.onChannel(port.channel);
      client.open(port, targetAddress);
    };
    serve().catch(thrown => {
      this.clients.remove(from.address, from.port, client);
      this.emit('refused', {
        client: { host: from.address, port: from.port },
        error: tunnelError(thrown),
      });
    });
    return client;
  }

  private async targetAddress(attachment: MediatorAttachment): Promise<IpText> {
    const { host } = this.target;
    const literal = isIP(host) === 0 ? undefined : canonicalIp(host);
    return literal ?? (await attachment.resolve(host))[0] ?? host;
  }

  /** Receives no more. */
  async close(): Promise<void> {
    this.clients.clear();
    const closed = once(this.socket, 'close');
    this.socket.close();
    await closed;
    this.emit('close');
  }
}

/**
 * Forwards a local UDP port.
 * @throws Node's error of binding: EADDRINUSE, EACCES, EADDRNOTAVAIL
 */
export async function forwardUdp(options: ForwardOptions): Promise<UdpForward> {
  const { host = '127.0.0.1', port = 0 } = options.listen;
  const socket = dgram.createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  socket.bind(port, host);
  await once(socket, 'listening');
  return new UdpForward(socket, options);
}
