import { EntremiseError } from '../../base/errors.ts';
import type { NativeSockets } from '../../native/addon.ts';
import type { HeldTcp, HeldUdp } from '../../native/held-number.ts';
import { PlainTcp, PlainUdp } from '../../native/plain-numbers.ts';
import { ReservedTcp } from '../../native/reserved-tcp.ts';
import { ReservedUdp } from '../../native/reserved-udp.ts';
import type { Command as AccessCommand } from '../../policy/authorise.ts';
import type { NumberWish } from '../../policy/check-port.ts';
import type { CommandOf, Protocol } from '../../wire/messages/command.ts';
import { type BoundTo, boundTo } from './bound-to.ts';
import { type NumberSource, pickNumber } from './pick-number.ts';
import type { PortSurroundings } from './surroundings.ts';

export type { BoundTo } from './bound-to.ts';

/** OPEN (S7, P5.1): checks what is asked for, and has the number held by kernel and registry. */

/** A number that is held, and how both registries give it up. */
export type HeldNumber =
  | { readonly protocol: 'tcp'; readonly reserved: HeldTcp; readonly giveUp: () => void }
  | { readonly protocol: 'udp'; readonly reserved: HeldUdp; readonly giveUp: () => void };

/** The open port, before it has an id. */
export interface Opened {
  readonly held: HeldNumber;
  readonly bound: BoundTo;
}

function wishOf({ choice, number }: CommandOf<'open'>): NumberWish {
  if (choice === 'any') return { choice };
  if (number !== 0) return { choice, number };
  throw new EntremiseError('bad-request', { message: 'Number 0 is none; ask for `any` instead.' });
}

type Reserved =
  | { readonly protocol: 'tcp'; readonly number: HeldTcp }
  | { readonly protocol: 'udp'; readonly number: HeldUdp };

function reserve(
  protocol: Protocol,
  native: NativeSockets | undefined,
  { text, scope }: BoundTo,
  wanted: number,
): Reserved {
  if (protocol === 'tcp') {
    const number = native ? ReservedTcp.reserve(native, text, wanted) : PlainTcp.reserve(text, wanted);
    return { protocol, number };
  }
  const number = native
    ? ReservedUdp.reserve(native, text, wanted, scope)
    : PlainUdp.reserve(text, wanted, scope);
  return { protocol, number };
}

function reserveOf(
  protocol: Protocol,
  native: NativeSockets | undefined,
  bound: BoundTo,
): (number: number) => Reserved {
  return number => {
    try {
      return reserve(protocol, native, bound, number);
    } catch (thrown) {
      throw explained(thrown, bound.text, number);
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
  const { door, usage, native, numbers, holder, facts } = surroundings;
  const { protocol } = command;
  const bound = boundTo(command, facts());
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
    ...(bound.scope?.shared === true ? { interface: bound.scope.interface } : {}),
    number: command.number,
    choice: wish.choice,
  });
  // First, or a port that nobody uses could keep its own terminal out by the grant's limit.
  if (wish.choice !== 'any' && mayHave(wish.number) && ask(wish.number) === undefined) takeOver(wish.number);
  usage.addPort();
  try {
    const fromKernel = reserveOf(protocol, native, bound);
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
      numberOf: ({ number }) => number.port,
      release: ({ number }) => number.close(),
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
  const { protocol, number } = reserved;
  // A group's number is nobody's own.
  const isShared = bound.scope?.shared === true;
  const giveUpClaim = isShared ? () => {} : numbers.claim(protocol, bound.text, number.port, holder);
  let held = true;
  const giveUp = () => {
    if (!held) return;
    held = false;
    number.close();
    giveUpClaim();
    usage.removePort();
  };
  return reserved.protocol === 'tcp'
    ? { protocol: 'tcp', reserved: reserved.number, giveUp }
    : { protocol: 'udp', reserved: reserved.number, giveUp };
}
