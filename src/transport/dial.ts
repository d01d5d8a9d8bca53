import { lookup } from 'node:dns/promises';
import { connect, isIP, type Socket, type TcpNetConnectOpts } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { deferred } from '../base/deferred.ts';
import { firstOf } from '../base/staggered.ts';

/**
 * A TCP connection to a name, as RFC 8305 has it: IPv6 and IPv4 in turn, each a little after the one before and none given
 * up for it, the first that is up wins. A satellite's round trip is longer than that little: its first attempt goes on.
 */

/** The recommended delay between attempts (RFC 8305 §5, §8). */
const nextAddressAfterMs = 250;

/**
 * A kernel doubles the time from one SYN to the next, 1, 2, 4 s: after so long a connection of its own is begun beside one
 * that is not answered, so that a path that is good again is found within a second or two.
 */
const besideAfterMs = 2_000;

/** When DNS has not answered for so long, the addresses that were good before are used. */
const lookupPatienceMs = 2_000;

/** Where to connect. */
export interface DialOptions {
  /** Name or IP address. */
  readonly host: string;
  readonly port: number;
  /** IP address of this machine to connect from. */
  readonly localAddress?: string | undefined;
  /** Addresses that the name had when they were last good: for a time in which DNS does not answer. */
  readonly knownAddresses?: readonly string[] | undefined;
  readonly clock: Clock;
  /** Resolves a name; the machine's own way by default. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
  /** Begins a connection; Node's own way by default. */
  readonly begin?: (options: TcpNetConnectOpts) => Socket;
}

async function byMachine(host: string): Promise<readonly string[]> {
  const found = await lookup(host, { all: true, verbatim: true });
  return found.map(({ address }) => address);
}

/** The families in turn, beginning with that of the first (RFC 8305 §4). */
function interleaved(addresses: readonly string[]): string[] {
  const first = isIP(addresses[0] ?? '');
  const [one, other] = [true, false].map(same => addresses.filter(each => (isIP(each) === first) === same));
  return addresses.flatMap((_, at) => [one?.[at] ?? [], other?.[at] ?? []].flat());
}

async function addressesOf(options: DialOptions): Promise<readonly string[]> {
  const { host, knownAddresses = [], clock, resolve = byMachine } = options;
  if (isIP(host) !== 0) return [host];
  if (knownAddresses.length === 0) return resolve(host);
  const late = deferred<readonly string[]>();
  const cancel = clock.after(lookupPatienceMs, () => late.resolve(knownAddresses));
  try {
    return await Promise.race([resolve(host).catch(() => knownAddresses), late.promise]);
  } finally {
    cancel();
  }
}

function givenUp(): Error {
  return new Error('given up');
}

/** The connection that is up first. One that fails fails for all: they are to the same place. */
function dialAddress(host: string, options: DialOptions, signal: AbortSignal): Promise<Socket> {
  const { port, localAddress, clock, begin = connect } = options;
  const from = localAddress === undefined ? {} : { localAddress };
  const sockets = new Set<Socket>();
  return new Promise((resolve, reject) => {
    let cancelNext = () => {};
    const finish = (kept?: Socket) => {
      cancelNext();
      signal.removeEventListener('abort', giveUp);
      for (const socket of sockets) if (socket !== kept) socket.destroy();
    };
    const fail = (error: unknown) => {
      finish();
      reject(error);
    };
    const giveUp = () => fail(givenUp());
    const beginOne = () => {
      const socket = begin({ host, port, noDelay: true, ...from });
      sockets.add(socket);
      socket.on('error', fail);
      socket.once('connect', () => {
        finish(socket);
        resolve(socket);
      });
      cancelNext = clock.after(besideAfterMs, beginOne);
    };
    signal.addEventListener('abort', giveUp);
    beginOne();
  });
}

/** Of several failures the one that says most: no way to one family is no news on a machine that has the other. */
function mostTelling(errors: readonly unknown[]): unknown {
  const wayless = ['ENETUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT'];
  const codeOf = (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : '');
  return errors.find(error => !wayless.includes(codeOf(error))) ?? errors[0];
}

/**
 * See the head of this file. `signal` gives up.
 * @throws what Node says of the name or of the attempt that tells most
 */
export async function dial(options: DialOptions, signal: AbortSignal): Promise<Socket> {
  const { localAddress, clock } = options;
  const family = isIP(localAddress ?? '');
  const found = (await addressesOf(options)).filter(each => family === 0 || isIP(each) === family);
  const attempts = interleaved(found).map(
    address => (giveUp: AbortSignal) => dialAddress(address, options, giveUp),
  );
  try {
    return await firstOf(attempts, {
      clock,
      delayMs: nextAddressAfterMs,
      signal,
      discard: late => late.destroy(),
    });
  } catch (thrown) {
    throw thrown instanceof AggregateError ? (mostTelling(thrown.errors) ?? givenUp()) : thrown;
  }
}
