import type { Duplex } from 'node:stream';
import { EntremiseError } from '../../base/errors.ts';
import type {
  MediatorAttachment,
  PortEvent,
  TunnelDatagramSocket,
  TunnelPort,
  TunnelSocket,
} from '../../terminal/index.ts';
import { EventFeed } from './event-feed.ts';

/** A connection that a request may name. */
export interface ApiConnection {
  readonly id: number;
  readonly socket: TunnelSocket;
}

/** Connections of one attachment at once: each holds a window of memory in the server. */
const maxConnections = 256;

function plainEvent(event: PortEvent): Record<string, unknown> {
  const { timeMs, attachment, ...rest } = event;
  const time = new Date(timeMs).toISOString();
  return { ...rest, time, ...(attachment === undefined ? {} : { attachment: hex(attachment) }) };
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** An attachment made by requests, with what was opened on it: ports, listeners, datagram sockets, connections. */
export class ApiAttachment {
  readonly attachment: MediatorAttachment;
  /** The token that made it: nobody else's sees it. */
  readonly tokenId: string;
  readonly feed = new EventFeed();
  private readonly ports = new Map<number, TunnelPort>();
  private readonly datagramSockets = new Map<number, TunnelDatagramSocket>();
  private readonly connections = new Map<number, ApiConnection>();
  private nextConnection = 1;

  constructor(attachment: MediatorAttachment, tokenId: string) {
    this.attachment = attachment;
    this.tokenId = tokenId;
    attachment.on('event', event => this.feed.add(event.kind, plainEvent(event)));
    attachment.on('suspended', ({ reason, until }) => this.feed.add('suspended', { reason, until }));
    attachment.on('resumed', ({ afterMs }) => this.feed.add('resumed', { afterMs: Math.round(afterMs) }));
    attachment.on('closed', ({ reason }) => {
      this.feed.add('closed', { reason });
      this.feed.end();
    });
  }

  /** Adds a port. */
  keepPort(port: TunnelPort): void {
    this.ports.set(port.id, port);
  }

  /** The port with that id. @throws EntremiseError `no-such-port` */
  port(id: number): TunnelPort {
    const port = this.ports.get(id);
    if (port === undefined) throw new EntremiseError('no-such-port', { by: 'terminal' });
    return port;
  }

  /** Closes a port and what belongs to it. @throws EntremiseError `no-such-port`; TunnelError */
  async closePort(id: number): Promise<void> {
    const port = this.port(id);
    await port.close();
    this.ports.delete(id);
    this.datagramSockets.delete(id);
  }

  /** Makes it listen (S10): what comes is a connection, told by the event `accepted`. @throws TunnelError */
  async listen(id: number): Promise<void> {
    const server = await this.port(id).listen({ allowHalfOpen: true });
    server.on('error', () => {});
    server.on('connection', socket => {
      const { id: connection } = this.keepConnection(socket);
      const { remoteAddress, remotePort } = socket;
      this.feed.add('accepted', { port: id, connection, remoteAddress, remotePort });
    });
  }

  /** The datagrams of a UDP port from now on: told by the event `datagram`, with the bytes in base64. */
  datagrams(id: number): TunnelDatagramSocket {
    const known = this.datagramSockets.get(id);
    if (known !== undefined) return known;
    const port = this.port(id);
    if (port.protocol !== 'udp')
      throw new EntremiseError('wrong-state', { message: `Port ${id} is no UDP port.`, by: 'terminal' });
    const socket = port.createSocket();
    socket.on('error', () => {});
    socket.on('message', (bytes, { address, port: number }) =>
      this.feed.add('datagram', { port: id, address, number, content: bytes.toString('base64') }),
    );
    this.datagramSockets.set(id, socket);
    return socket;
  }

  /** Keeps a connection until both directions have ended. @throws EntremiseError `limit` */
  keepConnection(socket: TunnelSocket): ApiConnection {
    if (this.connections.size >= maxConnections) {
      socket.on('error', () => {}).resetAndDestroy();
      throw new EntremiseError('limit', {
        message: `An attachment of the API has at most ${maxConnections} connections.`,
        by: 'terminal',
      });
    }
    const connection = { id: this.nextConnection++, socket };
    this.connections.set(connection.id, connection);
    socket.on('error', () => {});
    socket.once('close', () => this.connections.delete(connection.id));
    return connection;
  }

  /** The connection with that id. @throws EntremiseError `wrong-state` */
  connection(id: number): TunnelSocket & Duplex {
    const found = this.connections.get(id);
    if (found !== undefined) return found.socket;
    throw new EntremiseError('wrong-state', { message: `There is no connection ${id}.`, by: 'terminal' });
  }
}
