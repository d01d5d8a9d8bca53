import { Duplex, type DuplexOptions } from 'node:stream';
import type { Clock } from '../base/clock.ts';
import type { IpText } from '../wire/ip.ts';
import { callOut } from './call-out.ts';
import { IdleTimer } from './idle-timer.ts';

/** Both ends of a connection, as far as known. */
export interface ConnectionEnds {
  readonly remoteAddress: IpText;
  readonly remotePort: number;
  readonly localAddress: IpText;
  readonly localPort: number;
}

/** What net.Socket has beside its bytes: addresses, counters, time-out, and switches that mean nothing here. */
export abstract class SocketManners extends Duplex {
  /** True until the target has answered. */
  connecting = true;
  /** Milliseconds set by {@link setTimeout}, 0 when none. */
  timeout = 0;
  protected readonly idle: IdleTimer;
  protected ends: ConnectionEnds | undefined;
  protected pushedBytes = 0;
  protected writtenBytes = 0;

  constructor(clock: Clock, options: DuplexOptions) {
    super(options);
    this.idle = new IdleTimer(clock, () => callOut(() => this.emit('timeout')));
  }

  /** Emits 'timeout' after `timeoutMs` without anything read or written; 0 switches it off. Does nothing else. */
  setTimeout(timeoutMs: number, callback?: () => void): this {
    this.timeout = timeoutMs;
    this.idle.set(timeoutMs);
    if (callback === undefined) return this;
    return timeoutMs === 0 ? this.off('timeout', callback) : this.once('timeout', callback);
  }

  /** Of net.Socket: nothing is ever delayed here. */
  setNoDelay(_noDelay?: boolean): this {
    return this;
  }

  /** Of net.Socket: the link keeps itself alive. */
  setKeepAlive(_enable?: boolean, _initialDelayMs?: number): this {
    return this;
  }

  /** Of net.Socket: the link decides whether the process lives. */
  ref(): this {
    return this;
  }

  /** Of net.Socket, as {@link ref}. */
  unref(): this {
    return this;
  }

  /** The target's address that was used, once connected. */
  get remoteAddress(): string | undefined {
    return this.ends?.remoteAddress;
  }

  get remotePort(): number | undefined {
    return this.ends?.remotePort;
  }

  /** 'IPv4' or 'IPv6'. */
  get remoteFamily(): string | undefined {
    return this.ends && familyName(this.ends.remoteAddress);
  }

  /** The mediator's address; the wildcard for a port that was opened on none. */
  get localAddress(): string | undefined {
    return this.ends?.localAddress;
  }

  get localPort(): number | undefined {
    return this.ends?.localPort;
  }

  /** 'IPv4' or 'IPv6'. */
  get localFamily(): string | undefined {
    return this.ends && familyName(this.ends.localAddress);
  }

  /** The mediator's end, as net.Socket has it. */
  address(): { address: string; family: string; port: number } | Record<string, never> {
    if (this.ends === undefined) return {};
    const { localAddress: address, localPort: port } = this.ends;
    return { address, family: familyName(address), port };
  }

  /** Stream bytes that have come. */
  get bytesRead(): number {
    return this.pushedBytes;
  }

  /** Bytes that were written, those that wait included. */
  get bytesWritten(): number {
    return this.writtenBytes + this.writableLength;
  }

  /** True until there is a connection. */
  get pending(): boolean {
    return this.ends === undefined;
  }

  /** Of net.Socket. */
  get readyState(): 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.connecting) return 'opening';
    if (this.readable) return this.writable ? 'open' : 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }
}

function familyName(address: IpText): 'IPv4' | 'IPv6' {
  return address.includes(':') ? 'IPv6' : 'IPv4';
}
