import { EventEmitter } from 'node:events';
import { isIP } from 'node:net';
import { canonicalIp, type IpText, ipFamilyOf } from '../wire/ip.ts';
import type { Datagram } from '../wire/messages/binary.ts';
import type { PortEvent } from '../wire/messages/event.ts';
import type { Carrier } from '../wire/messages/shared.ts';
import { maxDatagramBytes } from '../wire/spec.ts';
import { callOut } from './call-out.ts';
import { commandTimeoutMs } from './command-queue.ts';
import type { PortHost } from './port-host.ts';
import type { PortBypass } from './terminal-udp.ts';
import { failure, type TunnelError, tunnelError } from './tunnel-error.ts';
import type { ListenAddress } from './tunnel-server.ts';

/** Where a datagram came from, as dgram tells it. */
export interface RemoteInfo {
  readonly address: IpText;
  readonly family: 'IPv4' | 'IPv6';
  readonly port: number;
  /** Length of the message in bytes. */
  readonly size: number;
  /** The mediator's address that it was sent to, when the port is bound to a wildcard. */
  readonly localAddress: IpText | undefined;
}

/** The events of a {@link TunnelDatagramSocket}. */
export interface TunnelDatagramSocketEvents {
  message: [message: Buffer, remote: RemoteInfo];
  listening: [];
  /** A redirected port's datagrams go another way from now on: over UDP, the TCP channel, or nowhere. */
  channel: [channel: Carrier];
  /** ICMP told the mediator that the destination of a datagram cannot be reached. */
  unreachable: [peer: { readonly address: IpText; readonly port: number; readonly code: number | undefined }];
  error: [error: Error];
  close: [];
}

/** What can be sent: one piece, or several that make one datagram. */
export type DatagramContent = string | Uint8Array | readonly (string | Uint8Array)[];

/** As dgram: called when the datagram has been queued, or cannot be. */
export type SendCallback = (error: Error | null, bytes: number) => void;

/** How long the address of a name is kept. */
const nameLifeMs = 30_000;

/** The port whose socket it is. */
export interface DatagramPort {
  readonly id: number;
  /** What carries its datagrams now. */
  readonly channel: Carrier;
}

/**
 * A UDP port of the mediator, with the manners of a bound dgram.Socket. Datagrams have up to 65,507 bytes. They never
 * hold up a stream; too many waiting lose the oldest (P2.3), as on any UDP socket. The mediator asks the grant and the
 * owner about every new destination and drops what they do not allow (P5.9). When the attachment fails: 'error', then
 * 'close'.
 */
export class TunnelDatagramSocket extends EventEmitter<TunnelDatagramSocketEvents> {
  private readonly host: PortHost;
  private readonly port: DatagramPort;
  private readonly at: ListenAddress;
  private readonly unwatch: () => void;
  private readonly names = new Map<string, { readonly address: Promise<IpText>; readonly untilMs: number }>();
  private closed = false;

  /** `port` is an opened or redirected UDP port of `host`. */
  constructor(host: PortHost, port: DatagramPort, at: ListenAddress) {
    super();
    this.host = host;
    this.port = port;
    this.at = at;
    this.unwatch = host.watchPort(port.id, {
      onDatagram: datagram => this.onDatagram(datagram),
      onEvent: event => this.onEvent(event),
      onClosed: error => this.onAttachmentClosed(error),
    });
  }

  private onDatagram({ bytes, peerAddress, peerNumber, localAddress }: Datagram): void {
    const family = ipFamilyOf(peerAddress) === 4 ? 'IPv4' : 'IPv6';
    const remote = {
      address: peerAddress,
      family,
      port: peerNumber,
      size: bytes.length,
      localAddress,
    } as const;
    callOut(() => this.emit('message', bytes, remote));
  }

  private onEvent(event: PortEvent): void {
    if (event.kind === 'channel') callOut(() => this.emit('channel', event.channel));
    if (event.kind !== 'unreachable') return;
    const { peerAddress: address, peerNumber: port, code } = event;
    callOut(() => this.emit('unreachable', { address, port, code }));
  }

  /**
   * The mediator's address and number.
   * @throws TunnelError `wrong-state` when the socket is closed
   */
  address(): ListenAddress {
    if (this.closed) throw failure('wrong-state', 'The datagram socket is closed.');
    return this.at;
  }

  /** What carries its datagrams now: UDP, the TCP channel, or nothing. 'channel' tells changes. */
  get channel(): Carrier {
    return this.port.channel;
  }

  /** Sends one datagram; a name is resolved by the mediator. A failure without callback is an 'error'. */
  send(content: DatagramContent, port: number, address: string, callback?: SendCallback): void;
  send(
    content: string | Uint8Array,
    offset: number,
    length: number,
    port: number,
    address: string,
    callback?: SendCallback,
  ): void;
  send(content: DatagramContent, ...rest: readonly unknown[]): void {
    const { bytes, port, address, callback } = parseSend(content, rest);
    const done = (error: Error | null) => this.tell(error, bytes.length, callback);
    const literal = isIP(address) === 0 ? undefined : canonicalIp(address);
    if (literal !== undefined) return process.nextTick(done, this.sendTo(bytes, port, literal));
    // The caller may use its buffer again at once, as with dgram.
    const copy = Buffer.from(bytes);
    this.resolve(address).then(
      found => done(this.sendTo(copy, port, found)),
      thrown => done(tunnelError(thrown)),
    );
  }

  private tell(error: Error | null, bytes: number, callback: SendCallback | undefined): void {
    if (callback !== undefined) callOut(() => callback(error, bytes));
    else if (error !== null && !this.closed) callOut(() => this.emit('error', error));
  }

  /** Why it cannot be sent, or null. */
  private sendTo(bytes: Buffer, peerNumber: number, peerAddress: IpText): Error | null {
    if (this.closed) return failure('wrong-state', 'The datagram socket is closed.');
    if (bytes.length > maxDatagramBytes)
      return failure(
        'frame-too-large',
        `A datagram of ${bytes.length} bytes cannot be sent, ${maxDatagramBytes} can.`,
      );
    if (!Number.isInteger(peerNumber) || peerNumber < 1 || peerNumber > 65_535)
      return failure('bad-request', `${peerNumber} is no port number; 1 to 65535 are.`);
    this.host.routes.send({ port: this.port.id, peerAddress, peerNumber, bytes });
    return null;
  }

  private resolve(name: string): Promise<IpText> {
    const known = this.names.get(name);
    const nowMs = this.host.clock.now();
    if (known !== undefined && nowMs < known.untilMs) return known.address;
    const address = this.host
      .resolve(name)
      .then(found => found.find(each => ipFamilyOf(each) === ipFamilyOf(this.at.address)) ?? found[0]);
    this.names.set(name, { address, untilMs: nowMs + nameLifeMs });
    address.catch(() => this.names.delete(name));
    return address;
  }

  /**
   * What comes and goes by UDP on a redirected port passes this program from now on, in the relay that its routes lead to
   * (P7.6); what the TCP channel carries meanwhile is still this socket's. For the server's features.
   */
  bypass(bypass: PortBypass): void {
    this.host.routes.bypass(this.port.id, bypass);
  }

  /** Closes the port. */
  close(callback?: () => void): this {
    if (callback !== undefined) this.once('close', callback);
    if (this.closed) return this;
    this.closed = true;
    this.unwatch();
    this.host.routes.forget(this.port.id);
    const command = { verb: 'close', port: this.port.id, streams: 'reset' } as const;
    const { result } = this.host.commands.run(() => ({ command }), { timeoutMs: commandTimeoutMs });
    const told = () => callOut(() => this.emit('close'));
    result.then(told, told);
    return this;
  }

  /** Who has detached itself is not told that this went wrong. */
  private onAttachmentClosed(error: TunnelError): void {
    if (this.closed) return;
    this.closed = true;
    process.nextTick(() => {
      if (error.reason !== 'detached') this.emit('error', error);
      this.emit('close');
    });
  }

  /** Of dgram.Socket: the link decides whether the process lives. */
  ref(): this {
    return this;
  }

  /** Of dgram.Socket, as {@link ref}. */
  unref(): this {
    return this;
  }
}

interface ParsedSend {
  readonly bytes: Buffer;
  readonly port: number;
  readonly address: string;
  readonly callback: SendCallback | undefined;
}

function bytesOf(content: DatagramContent): Buffer {
  if (typeof content === 'string') return Buffer.from(content);
  if (content instanceof Uint8Array) return Buffer.from(content.buffer, content.byteOffset, content.length);
  return Buffer.concat(content.map(bytesOf));
}

/** Of the two forms of send(), the longer has a number in the place of the address. */
function parseSend(content: DatagramContent, rest: readonly unknown[]): ParsedSend {
  const withSlice = typeof rest[1] === 'number';
  const [port, address, callback] = withSlice ? rest.slice(2) : rest;
  const whole = bytesOf(content);
  const [offset, length] = [Number(rest[0]), Number(rest[1])];
  if (withSlice && (offset < 0 || length < 0 || offset + length > whole.length))
    throw failure('bad-request', `The message has ${whole.length} bytes, not ${offset} + ${length}.`);
  return {
    bytes: withSlice ? whole.subarray(offset, offset + length) : whole,
    port: Number(port),
    address: String(address),
    callback: typeof callback === 'function' ? (callback as SendCallback) : undefined,
  };
}
