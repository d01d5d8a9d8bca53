import { readFileSync } from 'node:fs';
import net, { type Server, type Socket } from 'node:net';
import { endianness, networkInterfaces } from 'node:os';
import { EntremiseError } from '../base/errors.ts';
import { bindError, connectError, errnoOf } from './errno.ts';
import type { ConnectTarget, HeldTcp, HeldUdp, PortTaker, UdpScope } from './held-number.ts';
import { asEntremise, connected, listening } from './settled.ts';
import { socketToConnect } from './slab-reader.ts';

/**
 * Numbers without the addon. Node cannot bind without listening, so a TCP number is looked for in the kernel's tables when
 * it is opened and bound when it listens or connects: in between another program may take it. A UDP number is bound by the
 * relay in the same turn.
 */

type Protocol = 'tcp' | 'udp';

/** Numbers that are chosen from when any will do (RFC 6335 §6). */
const dynamic = { first: 49_152, count: 16_384 } as const;

const tries = 64;

/** State of a socket in /proc/net/tcp whose number can be had all the same. */
const timeWait = '06';

const wildcards: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/** How the kernel's tables write an IPv4 address. */
function tableText(address: string): string {
  const bytes = address.split('.').map(Number);
  const ordered = endianness() === 'LE' ? bytes.reverse() : bytes;
  return Buffer.from(ordered).toString('hex').toUpperCase();
}

function table(name: string): string {
  try {
    return readFileSync(`/proc/net/${name}`, 'latin1');
  } catch {
    return '';
  }
}

/** True when the kernel lists a socket that has that number of that address, or of the wildcard. Pure. */
export function listsNumber(text: string, address: string, port: number): boolean {
  const own = net.isIPv4(address) ? tableText(address) : undefined;
  return text
    .split('\n')
    .slice(1)
    .some(line => {
      const [, local = '', , state] = line.trim().split(/\s+/);
      const [at = '', number = ''] = local.split(':');
      if (state === timeWait || Number.parseInt(number, 16) !== port) return false;
      // Of IPv6 the number decides alone.
      return own === undefined || wildcards.has(address) || /^0+$/.test(at) || at.length > 8 || at === own;
    });
}

function isTaken(protocol: Protocol, address: string, port: number): boolean {
  const names = net.isIPv4(address) ? [protocol] : [`${protocol}6`];
  return names.some(name => listsNumber(table(name), address, port));
}

function isOwn(address: string): boolean {
  const bare = address.split('%')[0] ?? '';
  if (wildcards.has(bare) || bare.startsWith('127.')) return true;
  return Object.values(networkInterfaces()).some(each => each?.some(own => own.address === bare));
}

/** A number that nobody has, as far as the kernel tells: this one, or with 0 any. @throws as the reserved numbers */
function freeNumber(protocol: Protocol, address: string, port: number): number {
  if (!isOwn(address)) throw bindError('EADDRNOTAVAIL', address, port);
  if (port !== 0 && !isTaken(protocol, address, port)) return port;
  if (port === 0) return anyNumber(protocol, address);
  throw bindError('EADDRINUSE', address, port);
}

function anyNumber(protocol: Protocol, address: string): number {
  for (let count = 0; count < tries; count++) {
    const candidate = dynamic.first + Math.floor(Math.random() * dynamic.count);
    if (!isTaken(protocol, address, candidate)) return candidate;
  }
  throw bindError('EADDRINUSE', address, 0);
}

/** A TCP number without the addon: see the head of this file. */
export class PlainTcp implements HeldTcp {
  readonly address: string;
  readonly port: number;
  #state: 'held' | 'handing-over' | 'handed-over' | 'closed' = 'held';
  #letGo = () => {};

  private constructor(address: string, port: number) {
    this.address = address;
    this.port = port;
  }

  /** @throws EntremiseError port-in-use, address-not-available */
  static reserve(address: string, port: number): PlainTcp {
    return new PlainTcp(address, freeNumber('tcp', address, port));
  }

  /** @throws EntremiseError wrong-state, aborted, port-in-use, not-permitted, address-not-available */
  async listen(server: Server, backlog: number): Promise<void> {
    this.#begin(() => server.close());
    const { address: host, port } = this;
    server.listen({ host, port, backlog: Math.max(backlog, 1), exclusive: true, ipv6Only: true });
    try {
      await listening(server);
    } catch (cause) {
      throw this.#failed(cause, bindError(errnoOf(cause), host, port, cause));
    }
    this.#done();
  }

  /** Who connects is refused from now on. Until `server` listens again another program may take the number. */
  takeBack(server: Server): void {
    server.close();
    this.#state = 'held';
  }

  /** @throws EntremiseError refused, unreachable, timed-out, address-in-use, aborted, wrong-state, bad-request, port-in-use */
  async connect({ host, port, slabs, signal }: ConnectTarget): Promise<Socket> {
    if (net.isIP(host) === 0)
      throw new EntremiseError('bad-request', { message: `${host} is not an IP address` });
    if (signal?.aborted) throw new EntremiseError('aborted');
    const socket = socketToConnect(slabs);
    const giveUp = () => void socket.destroy();
    this.#begin(giveUp);
    signal?.addEventListener('abort', giveUp, { once: true });
    socket.connect({ host, port, localAddress: this.address, localPort: this.port });
    try {
      await connected(socket);
    } catch (cause) {
      throw this.#failed(cause, connectError(errnoOf(cause), host, port, cause));
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
    this.#done();
    return socket;
  }

  /** Gives it up, unless it was handed over. Idempotent. */
  close(): void {
    if (this.#state === 'handing-over') this.#letGo();
    if (this.#state !== 'handed-over') this.#state = 'closed';
  }

  #begin(letGo: () => void): void {
    if (this.#state !== 'held')
      throw new EntremiseError('wrong-state', { message: `the number is ${this.#state}` });
    this.#state = 'handing-over';
    this.#letGo = letGo;
  }

  #done(): void {
    if (this.#state === 'handing-over') this.#state = 'handed-over';
  }

  #failed(cause: unknown, otherwise: EntremiseError): EntremiseError {
    if (this.#state === 'handing-over') this.#state = 'held';
    return asEntremise(cause, otherwise);
  }
}

/** A UDP number without the addon: see the head of this file. */
export class PlainUdp implements HeldUdp {
  readonly address: string;
  readonly port: number;
  readonly #scope: UdpScope | undefined;
  #state: 'held' | 'handed-over' | 'closed' = 'held';

  private constructor(address: string, port: number, scope: UdpScope | undefined) {
    this.address = address;
    this.port = port;
    this.#scope = scope;
  }

  /** @throws EntremiseError port-in-use, address-not-available */
  static reserve(address: string, port: number, scope?: UdpScope): PlainUdp {
    // A group's number may be had by others, too.
    const chosen =
      scope?.shared === true ? port || anyNumber('udp', address) : freeNumber('udp', address, port);
    return new PlainUdp(address, chosen, scope);
  }

  /** @throws EntremiseError wrong-state, and as the relay */
  handTo<Options>(relay: PortTaker<Options>, options: Options): number {
    if (this.#state !== 'held')
      throw new EntremiseError('wrong-state', { message: `the number is ${this.#state}` });
    const { address, port } = this;
    const taken = relay.addPort({ address, port, scope: this.#scope }, options);
    this.#state = 'handed-over';
    return taken;
  }

  /** See {@link HeldUdp.close}. */
  close(): void {
    if (this.#state === 'held') this.#state = 'closed';
  }
}
