import type { ErrorCode } from '../../base/errors.ts';
import type { Endpoint } from '../forward-tcp.ts';

/**
 * What becomes of a packet that is given to an enclosed command's kernel: the number that its rules know it by. A packet of
 * the command that begins something bears none, and goes no further until it is given back with one of these.
 */
export const fate = {
  /** As it is: an answer. */
  pass: 1,
  /** A SYN: to the listener that stands for every address. */
  admit: 2,
  /** To its sender as an error: nobody listens there. */
  refuse: 3,
  unreachable: 4,
  prohibit: 5,
} as const;

/** One of {@link fate}. */
export type Fate = (typeof fate)[keyof typeof fate];

/** Gives a whole IP packet to the command's kernel. */
export type Inject = (packet: Uint8Array, what: Fate) => void;

/** Told of what could not be done, in terms of the mediator. */
export type TellRefused = (target: Endpoint, error: Error) => void;

const refusals: Partial<Record<ErrorCode, Fate>> = {
  refused: fate.refuse,
  'not-permitted': fate.prohibit,
  'consent-required': fate.prohibit,
  'outside-hours': fate.prohibit,
  'grant-missing': fate.prohibit,
  'grant-expired': fate.prohibit,
  'grant-revoked': fate.prohibit,
};

/** How a command learns that the mediator, or the way to it, has refused; what no ICMP message says is `unreachable`. */
export function fateFor(reason: ErrorCode): Fate {
  return refusals[reason] ?? fate.unreachable;
}
