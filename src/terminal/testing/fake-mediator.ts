import { randomInt } from 'node:crypto';
import dgram from 'node:dgram';
import net, { type Socket } from 'node:net';
import { systemClock } from '../../base/clock.ts';
import { type ErrorCode, errorNumber } from '../../base/errors.ts';
import { loadAddon } from '../../native/addon.ts';
import { WatchedSocket } from '../../native/watched-socket.ts';
import { Attachment } from '../../session/attachment.ts';
import { Budget } from '../../session/budget.ts';
import { SlabPool } from '../../session/slab.ts';
import type { Stream } from '../../session/stream.ts';
import type { Datagram } from '../../wire/messages/binary.ts';
import type { Command, CommandOf } from '../../wire/messages/command.ts';

/** A mediator for the SDK's tests only: real sockets on loopback, no policy, no reserved numbers. */

interface FakePort {
  readonly id: number;
  readonly protocol: 'tcp' | 'udp';
  readonly address: string;
  readonly number: number;
  readonly seq: number;
  server?: net.Server;
  socket?: dgram.Socket;
}

/** Names that it knows. */
const names: Readonly<Record<string, readonly string[]>> = {
  'device.lan': ['127.0.0.1'],
  'six.lan': ['::1'],
};

const native = loadAddon();
const clientCodes: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: 'refused',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  ETIMEDOUT: 'timed-out',
};

/** See the head of this file. Its terminal's attachment is {@link session}. */
export class FakeMediator {
  readonly receiveBudget = new Budget(8 * 1024 * 1024);
  readonly replayBudget = new Budget(4 * 1024 * 1024);
  readonly session: Attachment;
  /** Every command that has come. */
  readonly commands: Command[] = [];
  /** Answers instead of doing it, by verb. */
  readonly refusals = new Map<Command['verb'], ErrorCode>();
  /** OPENs are done but not answered. */
  muteOpen = false;
  /** Verbs that are neither done nor answered. */
  readonly silent = new Set<Command['verb']>();
  private readonly ports = new Map<number, FakePort>();
  private readonly sockets = new Set<Socket>();
  private nextPort = 1;

  constructor() {
    const { receiveBudget, replayBudget } = this;
    const resources = { pool: new SlabPool(), receiveBudget, replayBudget, now: () => systemClock.now() };
    this.session = new Attachment('mediator', resources, {
      onCommand: (command, seq) => this.onCommand(command, seq),
      onResult: () => {},
      onEvent: () => {},
      onDatagram: datagram => this.onDatagram(datagram),
      onOpen: () => {},
      onControlRoom: () => {},
    });
  }

  /** Closes every socket. */
  close(): void {
    for (const { server, socket } of this.ports.values()) {
      server?.close();
      socket?.close();
    }
    this.ports.clear();
    for (const socket of this.sockets) socket.destroy();
  }

  private onCommand(command: Command, seq: number): void {
    this.commands.push(command);
    const refusal = this.refusals.get(command.verb);
    if (this.silent.has(command.verb)) return;
    if (refusal !== undefined) return this.refuse(command.id, refusal);
    switch (command.verb) {
      case 'open':
        return void this.open(command, seq);
      case 'connect':
        return this.connect(command);
      case 'listen':
        return this.listen(command);
      case 'close':
        return this.closePort(command);
      case 'query':
        return this.query(command);
      case 'redirect':
        return this.refuse(command.id, 'unsupported');
    }
  }

  private refuse(id: number, code: ErrorCode): void {
    this.session.sendResult({ id, code: errorNumber(code), message: `refused: ${code}`, by: 'mediator' });
  }

  private portOf(command: { port?: number | undefined; portOf?: number | undefined }): FakePort | undefined {
    if (command.port !== undefined) return this.ports.get(command.port);
    return [...this.ports.values()].find(({ seq }) => seq === command.portOf);
  }

  private open(command: CommandOf<'open'>, seq: number): void {
    const { id, protocol } = command;
    const address = command.address ?? (command.family === 'ipv6' ? '::' : '0.0.0.0');
    // Below what the kernel gives out, and hardly another test's.
    const number = command.number === 0 ? randomInt(10_000, 30_000) : command.number;
    const port: FakePort = { id: this.nextPort++, protocol, address, number, seq };
    this.ports.set(port.id, port);
    const opened = { id, code: 0, port: port.id, address };
    if (this.muteOpen) return;
    if (protocol === 'tcp') return this.session.sendResult({ ...opened, number });
    const socket = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4');
    port.socket = socket;
    socket.on('error', () => this.refuse(id, 'port-in-use'));
    socket.on('message', (bytes, { address: peerAddress, port: peerNumber }) =>
      this.session.sendDatagram({ port: port.id, peerAddress, peerNumber, bytes }),
    );
    socket.bind(command.number, address, () =>
      this.session.sendResult({ ...opened, number: socket.address().port }),
    );
  }

  private onDatagram({ port, bytes, peerAddress, peerNumber }: Datagram): void {
    this.ports.get(port)?.socket?.send(bytes, peerNumber, peerAddress);
  }

  private connect(command: CommandOf<'connect'>): void {
    const port = this.portOf(command);
    const accepted = this.session.acceptStream(command.stream, command.limit);
    const known = command.name === undefined ? undefined : (names[command.name] ?? []);
    const family = port?.address.includes(':') ? 6 : 4;
    const address = command.address ?? known?.find(each => net.isIP(each) === family);
    const give = (code: ErrorCode) => {
      this.refuse(command.id, code);
      accepted?.stream.abort(code);
    };
    if (port === undefined) return give('no-such-port');
    if (accepted === undefined) return this.refuse(command.id, 'limit');
    if (address === undefined) return give('no-such-name');
    const socket = net.connect({ host: address, port: command.number, allowHalfOpen: true });
    const onError = (error: NodeJS.ErrnoException) => give(clientCodes[error.code ?? ''] ?? 'internal');
    socket.once('error', onError);
    socket.once('connect', () => {
      socket.off('error', onError);
      this.session.sendResult({ id: command.id, code: 0, limit: accepted.limit, address });
      this.join(socket, accepted.stream, port.id);
    });
  }

  private listen(command: CommandOf<'listen'>): void {
    const port = this.portOf(command);
    if (port === undefined) return this.refuse(command.id, 'no-such-port');
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, socket => {
      const made = this.session.createStream(command.limit);
      if (made === undefined) return void socket.resetAndDestroy();
      const { remoteAddress = '', remotePort = 0 } = socket;
      const peer = { peerAddress: remoteAddress, peerNumber: remotePort, localAddress: port.address };
      const where = { port: port.id, timeMs: Date.now(), direction: 'from-device' as const };
      this.session.sendEvent(
        { kind: 'connected', ...where, ...peer, stream: made.stream.id, limit: made.limit },
        made.stream,
      );
      this.join(socket, made.stream, port.id);
    });
    port.server = server;
    server.once('error', () => this.refuse(command.id, 'port-in-use'));
    server.listen(port.number, port.address, () => this.session.sendResult({ id: command.id, code: 0 }));
  }

  private closePort(command: CommandOf<'close'>): void {
    const port = this.portOf(command);
    if (port === undefined) return this.refuse(command.id, 'no-such-port');
    this.ports.delete(port.id);
    port.server?.close();
    port.socket?.close();
    this.session.sendResult({ id: command.id, code: 0 });
  }

  private query(command: CommandOf<'query'>): void {
    const { id, what, name = '', cursor = 0 } = command;
    const addresses = names[name];
    if (what === 'events') return this.session.sendResult({ id, code: 0 });
    if (what === 'resolve')
      return addresses === undefined
        ? this.refuse(id, 'no-such-name')
        : this.session.sendResult({ id, code: 0, addresses });
    // One a page, so that paging is seen.
    const all = [...this.ports.values()];
    const page = all.slice(cursor, cursor + 1).map(port => ({
      port: port.id,
      protocol: port.protocol,
      address: port.address,
      number: port.number,
      state: 'opened' as const,
      streams: 0,
    }));
    const more = cursor + 1 < all.length ? { cursor: cursor + 1 } : {};
    this.session.sendResult({ id, code: 0, ports: page, ...more });
  }

  /** Bytes, ends and aborts between a real socket and a stream. */
  private join(socket: Socket, stream: Stream, port: number): void {
    this.sockets.add(socket);
    const tell = (kind: 'fin' | 'rst') =>
      this.session.sendEvent({
        kind,
        port,
        timeMs: Date.now(),
        direction: 'from-device',
        stream: stream.id,
        offset: stream.sentOffset,
      });
    const local = new WatchedSocket(
      socket,
      {
        onData(chunk) {
          stream.send(chunk);
          if (stream.roomBytes === 0) local.pause();
        },
        onFin() {
          tell('fin');
          stream.finish();
        },
        onReset() {
          tell('rst');
          stream.abort('peer-reset');
        },
        onClose: () => this.sockets.delete(socket),
      },
      { native },
    );
    stream.setHandlers({
      onData: bytes => void local.write(bytes, () => stream.taken(bytes.length)),
      onFin: () => local.end(),
      onReset: () => void local.write(Buffer.alloc(0), () => local.reset()),
      onRoom: () => local.resume(),
      onFinished: () => {},
    });
    local.resume();
  }
}
