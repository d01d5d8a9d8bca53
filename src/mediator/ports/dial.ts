import type { Socket } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import { EntremiseError } from '../../base/errors.ts';
import type { HeldTcp } from '../../native/held-number.ts';
import type { SlabReader } from '../../native/slab-reader.ts';
import type { CanonicalAddress, TargetHost } from '../../policy/target.ts';

/**
 * CONNECT's own work (P5.2): from a target, by address or by name, to a connected socket. A name is resolved here, each
 * of its addresses is authorised, and the very address that was asked about is connected to: nothing resolves twice.
 */

/** How long a connection may take, all addresses together. */
export const connectTimeoutMs = 10_000;

/** What dialling needs. */
export interface DialOptions {
  readonly target: TargetHost;
  readonly number: number;
  readonly reserved: HeldTcp;
  /** Family of the port's own address. */
  readonly family: 4 | 6;
  readonly slabs: SlabReader;
  /** Aborted it gives up: by its owner, or here when time is over. */
  readonly attempt: AbortController;
  readonly clock: Clock;
  /** Throws the refusal, or leaves the audit line. */
  permit(address: CanonicalAddress): void;
  lookup(name: string): Promise<readonly CanonicalAddress[]>;
}

/** A connection that was made. */
export interface Dialled {
  readonly socket: Socket;
  readonly address: CanonicalAddress;
}

const familyName = { 4: 'IPv4', 6: 'IPv6' } as const;

function wrongFamily(what: string, family: 4 | 6): EntremiseError {
  const other = family === 4 ? 6 : 4;
  return new EntremiseError('unreachable', {
    by: 'mediator',
    message: `${what} has no ${familyName[family]} address and the port is ${familyName[family]}; OPEN one of family ${familyName[other]}.`,
  });
}

function fitting(what: string, all: readonly CanonicalAddress[], family: 4 | 6): readonly CanonicalAddress[] {
  const found = all.filter(address => address.family === family);
  if (found.length > 0) return found;
  throw wrongFamily(what, family);
}

/** The answer is there at once where there is nothing to look up: who waits for it lets everything else go first. */
function candidatesOf(
  options: DialOptions,
): readonly CanonicalAddress[] | Promise<readonly CanonicalAddress[]> {
  const { target, family, lookup, attempt } = options;
  if (target.kind === 'address') return fitting(target.address.text, [target.address], family);
  return unlessAborted(lookup(target.name), attempt.signal).then(all => fitting(target.name, all, family));
}

const sentences: Readonly<Record<string, string>> = {
  refused: 'refused the connection; nothing listens there, or it was turned away',
  unreachable: 'cannot be reached from the mediator; check the address, and that the device is up',
  'timed-out': 'did not answer; check the address, and whether a firewall on the device drops connections',
  'not-permitted': "is not let through by the gateway's own firewall",
  'address-in-use':
    'had a connection from this very number a moment ago; wait a minute, or OPEN another number',
};

/** The failure in words that name the target. */
function explained(thrown: unknown, address: CanonicalAddress, number: number): unknown {
  if (!(thrown instanceof EntremiseError)) return thrown;
  const sentence = sentences[thrown.code];
  if (sentence === undefined) return thrown;
  const message = `${address.text} port ${number} ${sentence}.`;
  return new EntremiseError(thrown.code, { by: 'mediator', message, cause: thrown });
}

async function connectOne(options: DialOptions, address: CanonicalAddress): Promise<Dialled> {
  const { reserved, number, slabs, attempt } = options;
  const { signal } = attempt;
  try {
    return { address, socket: await reserved.connect({ host: address.text, port: number, slabs, signal }) };
  } catch (thrown) {
    throw explained(thrown, address, number);
  }
}

/**
 * Goes through the addresses: the first that is permitted and answers. Denials count only when nothing was tried.
 * @throws EntremiseError as {@link dial}
 */
async function connectFirst(options: DialOptions, candidates: readonly CanonicalAddress[]): Promise<Dialled> {
  let denial: unknown;
  let failure: unknown;
  for (const address of candidates) {
    try {
      options.permit(address);
    } catch (thrown) {
      denial ??= thrown;
      continue;
    }
    try {
      return await connectOne(options, address);
    } catch (thrown) {
      failure = thrown;
      if (options.attempt.signal.aborted) break;
    }
  }
  throw failure ?? denial;
}

/** A resolver can take far longer than a connection may, and cannot be stopped. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(new EntremiseError('aborted'));
    signal.addEventListener('abort', giveUp, { once: true });
    const settled = () => signal.removeEventListener('abort', giveUp);
    promise.then(resolve, reject).finally(settled);
  });
}

/**
 * Connects.
 * @throws EntremiseError `refused`, `unreachable`, `timed-out`, `address-in-use`, `no-such-name`, `not-permitted`,
 * `audit-unavailable`, `aborted` (by the owner of the attempt)
 */
export async function dial(options: DialOptions): Promise<Dialled> {
  const { attempt, clock } = options;
  let isLate = false;
  const cancel = clock.after(connectTimeoutMs, () => {
    isLate = true;
    attempt.abort();
  });
  try {
    const candidates = candidatesOf(options);
    // The SYN leaves before what else this turn has to do, results and frames.
    return await connectFirst(options, candidates instanceof Promise ? await candidates : candidates);
  } catch (thrown) {
    if (!attempt.signal.aborted) throw thrown;
    throw isLate ? tooLate(options, thrown) : new EntremiseError('aborted', { cause: thrown });
  } finally {
    cancel();
  }
}

function tooLate({ target, number }: DialOptions, cause: unknown): EntremiseError {
  const host = target.kind === 'name' ? target.name : target.address.text;
  const seconds = connectTimeoutMs / 1000;
  const message = `${host} port ${number} did not answer within ${seconds} s; check the address, and whether a firewall drops connections.`;
  return new EntremiseError('timed-out', { by: 'mediator', message, cause });
}
