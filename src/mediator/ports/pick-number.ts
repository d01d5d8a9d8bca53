import { EntremiseError } from '../../base/errors.ts';
import type { NumberWish } from '../../policy/check-port.ts';
import type { NumberRange } from '../../policy/number-range.ts';
import type { Denial } from '../../policy/verdict.ts';

/**
 * Which number a port gets (S7, P5.1): the very one, the first free one upwards, or any. A number is free when neither
 * the kernel nor a port of this mediator holds it; each candidate is authorised by itself.
 */

/** What picking needs to know and do. */
export interface NumberSource<T> {
  /** The numbers that grant and owner allow. */
  readonly ranges: readonly NumberRange[];
  /** Why that number may not be had, or undefined. */
  ask(number: number): Denial | undefined;
  /** True unless a port of this mediator holds it. */
  isFree(number: number): boolean;
  /**
   * Has the kernel hold it; 0: one of the kernel's choice.
   * @throws EntremiseError `port-in-use` and others
   */
  reserve(number: number): T;
  numberOf(reserved: T): number;
  release(reserved: T): void;
  /** From 0 up to 1. */
  random(): number;
}

/** How often the kernel is asked to choose before its choices are taken for outside the ranges. */
const kernelTries = 4;

/** Every candidate costs a system call or two; who finds this many taken in a row has other troubles. */
const maxCandidates = 8192;

function inUse(message: string): EntremiseError {
  return new EntremiseError('port-in-use', { by: 'mediator', message });
}

function tryReserve<T>(source: NumberSource<T>, number: number): T | undefined {
  if (!source.isFree(number) || source.ask(number) !== undefined) return undefined;
  try {
    return source.reserve(number);
  } catch (thrown) {
    if (thrown instanceof EntremiseError && thrown.code === 'port-in-use') return undefined;
    throw thrown;
  }
}

/** The ranges from `first` on, then (when `wrapping`) from the start up to it. */
function* candidatesFrom(
  ranges: readonly NumberRange[],
  first: number,
  wrapping: boolean,
): Generator<number> {
  for (const range of ranges)
    for (let number = Math.max(range.first, first); number <= range.last; number++) yield number;
  if (!wrapping) return;
  for (const range of ranges)
    for (let number = range.first; number <= Math.min(range.last, first - 1); number++) yield number;
}

function firstFree<T>(source: NumberSource<T>, candidates: Iterable<number>): T | undefined {
  let tried = 0;
  for (const number of candidates) {
    const reserved = tryReserve(source, number);
    if (reserved !== undefined) return reserved;
    tried++;
    if (tried >= maxCandidates) return undefined;
  }
  return undefined;
}

function pickMandatory<T>(source: NumberSource<T>, number: number): T {
  if (!source.isFree(number)) throw inUse(`Number ${number} is held by another port of this mediator.`);
  return source.reserve(number);
}

function pickPreferred<T>(source: NumberSource<T>, number: number): T {
  const reserved = firstFree(source, candidatesFrom(source.ranges, number, false));
  if (reserved !== undefined) return reserved;
  throw inUse(`No number from ${number} upwards is both free on the mediator and allowed.`);
}

/** The kernel knows best what is free; only when its choices are not allowed the ranges are gone through. */
function pickAny<T>(source: NumberSource<T>): T {
  for (let tries = 0; tries < kernelTries; tries++) {
    const reserved = source.reserve(0);
    const number = source.numberOf(reserved);
    if (source.isFree(number) && source.ask(number) === undefined) return reserved;
    source.release(reserved);
  }
  const total = source.ranges.reduce((sum, range) => sum + range.last - range.first + 1, 0);
  let skip = Math.floor(source.random() * total);
  const holding = source.ranges.find(range => {
    const size = range.last - range.first + 1;
    if (skip < size) return true;
    skip -= size;
    return false;
  });
  const reserved = firstFree(source, candidatesFrom(source.ranges, (holding?.first ?? 1) + skip, true));
  if (reserved !== undefined) return reserved;
  throw inUse('No number that is allowed is free on the mediator.');
}

/**
 * A number by the wish, reserved.
 * @throws EntremiseError `port-in-use`, and what `reserve` throws
 */
export function pickNumber<T>(wish: NumberWish, source: NumberSource<T>): T {
  switch (wish.choice) {
    case 'mandatory':
      return pickMandatory(source, wish.number);
    case 'preferred':
      return pickPreferred(source, wish.number);
    case 'any':
      return pickAny(source);
  }
}
