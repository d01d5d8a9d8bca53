import dgram, { type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import type { IpText } from '../../wire/ip.ts';
import { FacingPorts } from '../facing-ports.ts';
import type { Endpoint } from '../forward-tcp.ts';
import { addressOf } from './resolved-target.ts';
import type { SocksClient, SocksService } from './socks-client.ts';
import { datagramHeader, parseDatagram, replyBytes, socksReply } from './socks-messages.ts';

/** How long the address of a name is kept, and how many. */
const nameLifeMs = 30_000;
const maxNames = 256;

/** Datagrams that wait for a port of the mediator, or for the address of a name. */
const maxWaiting = 256;

/**
 * The datagrams of one client (RFC 1928 §7): it sends them with a header that says where to, to a local number that only
 * it may use. They leave from a port on that address of the mediator which faces the target, one for each such address;
 * whatever comes there goes to the client. Fragments, and what cannot be sent, are dropped without a word.
 */
class UdpAssociation {
  private readonly local: Socket;
  private readonly service: SocksService;
  /** Where the client sends from: its address from the first, its number from its first datagram on. */
  private readonly clientHost: string;
  private clientPort: number;
  private readonly ports: FacingPorts;
  private readonly names = new Map<string, Promise<IpText>>();
  private waiting = 0;
  private closed = false;

  constructor(local: Socket, client: Endpoint, service: SocksService) {
    this.local = local;
    this.service = service;
    this.clientHost = client.host;
    this.clientPort = client.port;
    this.ports = new FacingPorts({
      attachment: () => Promise.resolve(service.attachment),
      report: service.report,
      onMessage: (bytes, { address, port }) => this.give(bytes, address, port),
    });
    local.on('message', (bytes, from) => this.onLocal(bytes, from));
    local.on('error', () => {});
  }

  private onLocal(bytes: Buffer, { address, port }: RemoteInfo): void {
    if (address !== this.clientHost || (this.clientPort !== 0 && port !== this.clientPort)) return;
    const datagram = parseDatagram(bytes);
    if (datagram === undefined || this.waiting >= maxWaiting) return;
    this.clientPort = port;
    this.waiting++;
    this.send(datagram.target, datagram.content)
      .catch(() => {})
      .finally(() => this.waiting--);
  }

  private async send({ host, port }: Endpoint, content: Buffer): Promise<void> {
    await this.ports.send(content, port, await this.resolve(host));
  }

  private resolve(host: string): Promise<IpText> {
    const known = this.names.get(host);
    if (known !== undefined) return known;
    const found = addressOf(this.service.attachment, host);
    const forget = () => this.names.delete(host);
    found.then(() => setTimeout(forget, nameLifeMs).unref(), forget);
    if (this.names.size < maxNames) this.names.set(host, found);
    return found;
  }

  private give(bytes: Buffer, address: IpText, port: number): void {
    if (this.closed) return;
    this.local.send([datagramHeader(address, port), bytes], this.clientPort, this.clientHost, () => {});
  }

  close(): void {
    this.closed = true;
    this.local.close();
    this.ports.close();
  }
}

/** UDP ASSOCIATE (RFC 1928 §4): lasts as long as the connection that asked for it. */
export async function serveUdpAssociate(
  { socket, reader }: SocksClient,
  target: Endpoint,
  service: SocksService,
): Promise<void> {
  const { localAddress = '127.0.0.1', remoteAddress = '' } = socket;
  const local = dgram.createSocket(isIPv6(localAddress) ? 'udp6' : 'udp4');
  local.bind(0, localAddress);
  await once(local, 'listening');
  const association = new UdpAssociation(local, { host: remoteAddress, port: target.port }, service);
  socket.write(replyBytes(socksReply.succeeded, localAddress, local.address().port));
  await reader.gone;
  association.close();
  socket.destroy();
}
