import http, { type IncomingMessage, type Server } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Endpoint } from '../forward-tcp.ts';
import { joinSockets } from '../join-sockets.ts';
import type { MediatorAttachment } from '../mediator-attachment.ts';
import { tunnelError } from '../tunnel-error.ts';
import { connectFor } from './connect-request.ts';
import { answersFor } from './door-failure.ts';
import { type DoorPassword, isPassword } from './door-password.ts';
import { endWith } from './socks-client.ts';

/** What a {@link HttpProxy} needs. */
export interface HttpProxyParts {
  readonly password: DoorPassword | undefined;
  /** @throws TunnelError */
  readonly attachment: () => Promise<MediatorAttachment>;
  readonly refused: (client: Endpoint, target: Endpoint | undefined, error: Error) => void;
  /** How long the head of a request may take. */
  readonly headersMs: number;
}

const challenge = { 'Proxy-Authenticate': 'Basic realm="entremise", charset="UTF-8"' };

/** An HTTP proxy that knows CONNECT only (RFC 9110 §9.3.6), with Node's own HTTP server. */
export class HttpProxy {
  private readonly parts: HttpProxyParts;
  private readonly server: Server;

  constructor(parts: HttpProxyParts) {
    this.parts = parts;
    const { headersMs: headersTimeout } = parts;
    this.server = http.createServer({ headersTimeout, requestTimeout: headersTimeout });
    this.server.on('connect', (request, socket, head) => void this.onConnect(request, socket, head));
    this.server.on('request', (_request, response) => {
      response.writeHead(405, { 'Content-Type': 'text/plain', Allow: 'CONNECT', Connection: 'close' });
      response.end('This proxy knows CONNECT only: use it for https, or as socks5h://.\n');
    });
    // A server that never listens checks none of its time-outs.
    this.server.emit('listening');
  }

  /** A connection whose first bytes are not SOCKS. */
  serve(socket: Socket): void {
    this.server.emit('connection', socket);
  }

  private async onConnect(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    if (!(socket instanceof Socket)) return void socket.destroy();
    if (head.length > 0) socket.unshift(head);
    if (!this.isAllowed(request)) return answer(socket, 407, 'Name and password are needed.', challenge);
    const target = targetOf(request.url);
    if (target === undefined) return answer(socket, 400, 'CONNECT wants host:port.');
    const client = { host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    try {
      const remote = await connectFor(socket, await this.parts.attachment(), target);
      if (socket.destroyed) return void remote.resetAndDestroy();
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      joinSockets(socket, remote);
    } catch (thrown) {
      const error = tunnelError(thrown);
      answer(socket, answersFor(error).http, error.message);
      this.parts.refused(client, target, error);
    }
  }

  private isAllowed({ headers }: IncomingMessage): boolean {
    const { password } = this.parts;
    if (password === undefined) return true;
    const text = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(headers['proxy-authorization'] ?? '')?.[1];
    const [, user, said] = /^([^:]*):(.*)$/s.exec(Buffer.from(text ?? '', 'base64').toString()) ?? [];
    return user !== undefined && said !== undefined && isPassword(password, { user, password: said });
  }

  /** Ends its time-outs; connections are their owner's. */
  close(): void {
    this.server.close(() => {});
    this.server.closeAllConnections();
  }
}

function targetOf(text: string | undefined): Endpoint | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text ?? '') ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}

function answer(
  socket: Socket,
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = `${message}\n`;
  const fields = {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(body)),
    Connection: 'close',
    ...headers,
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
  const head = [`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}`, ...lines, '', body].join('\r\n');
  endWith(socket, head);
}
