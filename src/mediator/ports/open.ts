import { EntremiseError } from '../../base/errors.ts';
import type { NativeSockets } from '../../native/addon.ts';
import { ReservedTcp } from '../../native/reserved-tcp.ts';
import { ReservedUdp } from '../../native/reserved-udp.ts';
import type { Command as AccessCommand } from '../../policy/authorise.ts';
import type { NumberWish, PortAddress } from '../../policy/check-port.ts';
import { type CanonicalAddress, canonicalAddress } from '../../policy/target.ts';
import type { CommandOf, Protocol } from '../../wire/messages/command.ts';
import { type NumberSource, pickNumber } from './pick-number.ts';
import type { PortSurroundings } from './surroundings.ts';

/** OPEN (S7, P5.1): checks what is asked for, and has the number held by kernel and registry. */

/** A number that is held, and how both registries give it up. */
export type HeldNumber =
  | { readonly protocol: 'tcp'; readonly reserved: ReservedTcp; readonly giveUp: () => void }
  | { readonly protocol: 'udp'; readonly reserved: ReservedUdp; readonly giveUp: () => void };

/** What a port is bound to. */
export interface BoundTo {
  /** For authorise(). */
  readonly address: PortAddress;
  /** For the kernel: an IP literal, a link-local one with its zone. */
  readonly text: string;
  readonly family: 4 | 6;
}

/** The open port, before it has an id. */
export interface Opened {
  readonly held: HeldNumber;
  readonly bound: BoundTo;
}

function isWildcard(address: CanonicalAddress): boolean {
  return address.bytes.every(byte => byte === 0);
}

function boundTo(command: CommandOf<'open'>): BoundTo {
  const { address: text, zone, family } = command;
  const wildcardFamily = family === 'ipv6' ? 6 : 4;
  if (text === undefined)
    return { address: 'wildcard', text: wildcardFamily === 6 ? '::' : '0.0.0.0', family: wildcardFamily };
  const address = canonicalAddress(zone === undefined ? text : `${text}%${zone}`);
  if (family !== undefined && family !== (address.family === 6 ? 'ipv6' : 'ipv4')) {
    throw new EntremiseError('bad-request', { message: `${address.text} is no ${family} address.` });
  }
  if (zone === undefined && /^fe[89ab]/.test(address.text)) {
    throw new EntremiseError('bad-request', {
      message: `${address.text} is link-local; say on which interface by \`zone\`.`,
    });
  }
  return {
    address: isWildcard(address) ? 'wildcard' : address,
    text: address.text,
    family: address.family,
  };
}

function wishOf({ choice, number }: CommandOf<'open'>): NumberWish {
  if (choice === 'any') return { choice };
  if (number !== 0) return { choice, number };
  throw new EntremiseError('bad-request', { message: 'Number 0 is none; ask for `any` instead.' });
}

type Reserved = ReservedTcp | ReservedUdp;

function reserveOf(protocol: Protocol, native: NativeSockets, address: string): (number: number) => Reserved {
  const kind = protocol === 'tcp' ? ReservedTcp : ReservedUdp;
  return number => {
    try {
      return kind.reserve(native, address, number);
    } catch (thrown) {
      throw explained(thrown, address, number);
    }
  };
}

/** The kernel's refusal as a sentence that says what to do. */
function explained(thrown: unknown, address: string, number: number): unknown {
  if (!(thrown instanceof EntremiseError)) return thrown;
  const by = 'mediator';
  switch (thrown.code) {
    case 'port-in-use':
      return new EntremiseError('port-in-use', {
        by,
        message: `Number ${number} of ${address} is taken on the mediator; ask for another, or for \`preferred\`.`,
        cause: thrown,
      });
    case 'address-not-available':
      return new EntremiseError('address-not-available', {
        by,
        message: `The mediator does not have the address ${address}; its REPORT lists those it has.`,
        cause: thrown,
      });
    case 'not-permitted':
      return new EntremiseError('not-permitted', {
        by,
        message: `The mediator's user may not bind number ${number}; below 1024 it needs CAP_NET_BIND_SERVICE.`,
        cause: thrown,
      });
    default:
      return thrown;
  }
}

/**
 * Opens; `verb` is what grant and owner are asked about.
 * @throws EntremiseError `bad-request`, `not-permitted`, `consent-required`, `limit`, `port-in-use`,
 * `address-not-available`, `audit-unavailable`
 */
export function openNumber(
  command: CommandOf<'open'>,
  verb: 'open' | 'redirect',
  surroundings: PortSurroundings,
): Opened {
  const { door, usage, native, numbers, holder } = surroundings;
  const { protocol } = command;
  const bound = boundTo(command);
  const wish = wishOf(command);
  const { address } = bound;
  const asked = (number: NumberWish): AccessCommand =>
    verb === 'open' ? { verb, protocol, address, number } : { verb, port: { address, number } };
  const ask = (number: number) => door.ask(asked({ choice: 'mandatory', number }));
  const mayHave = (number: number) => numbers.mayTakeOver(protocol, bound.text, number, holder);
  const takeOver = (number: number) => numbers.takeOver(protocol, bound.text, number, holder);
  door.permit(asked(wish), {
    verb,
    protocol,
    address: bound.text,
    number: command.number,
    choice: wish.choice,
  });
  // First, or a port that nobody uses could keep its own terminal out by the grant's limit.
  if (wish.choice !== 'any' && mayHave(wish.number) && ask(wish.number) === undefined) takeOver(wish.number);
  usage.addPort();
  try {
    const fromKernel = reserveOf(protocol, native, bound.text);
    const reserve = (number: number) => {
      if (number !== 0) takeOver(number);
      return fromKernel(number);
    };
    const source: NumberSource<Reserved> = {
      get ranges() {
        return door.portNumbers(protocol);
      },
      ask,
      // Who takes any number takes it from nobody.
      isFree: number =>
        wish.choice === 'any' ? numbers.isFree(protocol, bound.text, number) : mayHave(number),
      reserve,
      numberOf: reserved => reserved.port,
      release: reserved => reserved.close(),
      random: Math.random,
    };
    return { bound, held: heldNumber(pickNumber(wish, source), bound, surroundings) };
  } catch (thrown) {
    usage.removePort();
    throw thrown;
  }
}

function heldNumber(
  reserved: Reserved,
  bound: BoundTo,
  { usage, numbers, holder }: PortSurroundings,
): HeldNumber {
  const protocol = reserved instanceof ReservedTcp ? 'tcp' : 'udp';
  const giveUpClaim = numbers.claim(protocol, bound.text, reserved.port, holder);
  let held = true;
  const giveUp = () => {
    if (!held) return;
    held = false;
    reserved.close();
    giveUpClaim();
    usage.removePort();
  };
  return reserved instanceof ReservedTcp
    ? { protocol: 'tcp', reserved, giveUp }
    : { protocol: 'udp', reserved, giveUp };
}
