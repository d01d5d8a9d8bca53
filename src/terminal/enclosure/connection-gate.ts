import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import { canonicalIp } from '../../wire/ip.ts';
import { joinSockets } from '../join-sockets.ts';
import type { MediatorAttachment } from '../mediator-attachment.ts';
import { resetSocket } from '../reset-socket.ts';
import { reasonOf } from '../tunnel-error.ts';
import type { TunnelSocket } from '../tunnel-socket.ts';
import { type PacketEnds, withTcpChecksum } from './ip-packet.ts';
import { fate, fateFor, type Inject, type TellRefused } from './packet-port.ts';

/** What a {@link ConnectionGate} works with. */
export interface ConnectionGateOptions {
  /** @throws what there is no attachment for */
  readonly attachment: () => Promise<MediatorAttachment>;
  readonly inject: Inject;
  readonly refused: TellRefused;
  readonly clock: Clock;
}

interface Waiting {
  /** Undefined until the mediator has connected. */
  remote?: TunnelSocket;
}

/** SYNs that wait for the mediator, or for their connection to be accepted: more are dropped, and come again. */
const maxWaiting = 1024;

/** How long a connection may take from its SYN to be accepted: it is one machine's own. */
const acceptMs = 10_000;

/**
 * The TCP connections of an enclosed command. Its SYN is held until the mediator has connected; only then the kernel may
 * answer it. So a connection that stands is one that the device has accepted, and a refusal is one of connect(2).
 *
 *   SYN ─► held ─► CONNECT ─┬─ done ────► SYN given back ─► kernel accepts ─► joined
 *                           └─ refused ─► SYN given back as refused ─► RST or ICMP
 */
export class ConnectionGate {
  private readonly options: ConnectionGateOptions;
  private readonly waiting = new Map<string, Waiting>();
  private readonly sockets = new Set<Socket>();
  private whenEmpty: () => void = () => {};
  private closed = false;

  constructor(options: ConnectionGateOptions) {
    this.options = options;
  }

  /** A SYN of the command. One that comes again, because nothing has answered, changes nothing. */
  onSyn(ends: PacketEnds, packet: Buffer): void {
    const key = keyOf(ends);
    const known = this.waiting.get(key);
    // Given back once more where it was given already: the listener may have been full.
    if (known?.remote !== undefined) return this.options.inject(withTcpChecksum(packet), fate.admit);
    if (known !== undefined || this.closed || this.waiting.size >= maxWaiting) return;
    const waiting: Waiting = {};
    this.waiting.set(key, waiting);
    void this.connect(key, waiting, ends, packet);
  }

  private async connect(key: string, waiting: Waiting, ends: PacketEnds, packet: Buffer): Promise<void> {
    const target = { host: ends.target, port: ends.targetPort };
    try {
      const attachment = await this.options.attachment();
      const remote = attachment.connect({ ...target, allowHalfOpen: true });
      await once(remote, 'connect');
      if (this.closed) return void remote.resetAndDestroy();
      waiting.remote = remote;
      this.untilAccepted(key, remote);
      this.options.inject(withTcpChecksum(packet), fate.admit);
    } catch (thrown) {
      this.waiting.delete(key);
      if (this.closed) return;
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      this.options.inject(withTcpChecksum(packet), fateFor(reasonOf(error)));
      this.options.refused(target, error);
    }
  }

  /** A command that has given up does not say so: its kernel answers what comes late with RST. */
  private untilAccepted(key: string, remote: TunnelSocket): void {
    const forget = () => {
      cancel();
      if (this.waiting.get(key)?.remote === remote) this.waiting.delete(key);
    };
    const cancel = this.options.clock.after(acceptMs, () => {
      if (this.waiting.get(key)?.remote !== remote) return;
      forget();
      remote.resetAndDestroy();
    });
    remote.on('error', () => {}).once('close', forget);
  }

  /** A connection that the kernel has accepted, at the address and number that the command asked for. */
  onAccepted(socket: Socket): void {
    socket.on('error', () => {});
    const key = keyOf({
      source: plain(socket.remoteAddress),
      sourcePort: socket.remotePort ?? 0,
      target: plain(socket.localAddress),
      targetPort: socket.localPort ?? 0,
    });
    const remote = this.waiting.get(key)?.remote;
    this.waiting.delete(key);
    // The device may have ended it meanwhile.
    if (remote === undefined || this.closed) return void socket.resetAndDestroy();
    this.sockets.add(socket);
    socket.once('close', () => this.forget(socket));
    joinSockets(socket, remote);
  }

  private forget(socket: Socket): void {
    this.sockets.delete(socket);
    if (this.sockets.size === 0) this.whenEmpty();
  }

  /** Resolves when no connection is open: who has written and ended, and is gone, has said so to the device by then. */
  async drained(): Promise<void> {
    if (this.sockets.size === 0) return;
    await new Promise<void>(resolve => {
      this.whenEmpty = resolve;
    });
  }

  /** Resets what is open. */
  close(): void {
    this.closed = true;
    for (const { remote } of this.waiting.values()) remote?.resetAndDestroy();
    this.waiting.clear();
    for (const socket of this.sockets) resetSocket(socket);
  }
}

function keyOf({ source, sourcePort, target, targetPort }: PacketEnds): string {
  return `${source} ${sourcePort} ${target} ${targetPort}`;
}

/** As a packet has it: a listener of both families sees IPv4 addresses in IPv6 ones (RFC 4291 §2.5.5.2). */
function plain(address = ''): string {
  const inside = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  return canonicalIp(inside ?? address) ?? address;
}
