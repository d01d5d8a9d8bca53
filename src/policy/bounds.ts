import * as v from 'valibot';
import type { AddressEntry } from './address-entry.ts';
import type { NumberRange } from './number-range.ts';
import type { Ports, Targets } from './permissions.ts';
import {
  closedObject,
  numberRanges,
  type PermissionVerb,
  portAddresses,
  targetNetworks,
  verbList,
  wholeNumber,
} from './schema.ts';

/** What each limit of a grant may be. */
export const limitNumbers = {
  newStreamsPerSecond: wholeNumber(1, 10_000),
  bytesPerSecond: wholeNumber(1024, Number.MAX_SAFE_INTEGER),
  ports: wholeNumber(1, 65_535),
  streams: wholeNumber(1, 65_535),
} as const;

/**
 * What is said over other permissions: by a delegate's bounds over its grants (P6.2), by an owner over the default. Field by
 * field; what is absent is as it is there.
 */
export interface Bounds {
  readonly commands?: readonly PermissionVerb[] | undefined;
  readonly targets?: Partial<BoundSide<'networks'>> | undefined;
  readonly ports?: Partial<BoundSide<'addresses'>> | undefined;
  readonly limits?: BoundLimits | undefined;
}

type BoundSide<Where extends string> = {
  readonly [K in Where]: readonly AddressEntry[] | undefined;
} & {
  readonly [K in 'tcp' | 'udp']: readonly NumberRange[] | undefined;
};

/** Numbers that none may exceed. */
export interface BoundLimits {
  readonly newStreamsPerSecond?: number | undefined;
  readonly bytesPerSecond?: number | undefined;
  readonly ports?: number | undefined;
  readonly streams?: number | undefined;
}

const numbers = { tcp: v.optional(numberRanges), udp: v.optional(numberRanges) };

/** Members of a schema: {@link Bounds} as they stand in a document. */
export const boundEntries = {
  commands: v.optional(verbList),
  targets: v.optional(closedObject({ networks: v.optional(targetNetworks), ...numbers })),
  ports: v.optional(closedObject({ addresses: v.optional(portAddresses), ...numbers })),
  limits: v.optional(
    closedObject({
      newStreamsPerSecond: v.optional(limitNumbers.newStreamsPerSecond),
      bytesPerSecond: v.optional(limitNumbers.bytesPerSecond),
      ports: v.optional(limitNumbers.ports),
      streams: v.optional(limitNumbers.streams),
    }),
  ),
};

/** What a grant permits. */
export interface Permissions {
  readonly commands: readonly PermissionVerb[];
  readonly targets: Targets;
  readonly ports: Ports;
}

/** The bounds as permissions of their own: what they do not bound is as `base` says. */
export function boundPermissions({ commands, targets, ports }: Bounds, base: Permissions): Permissions {
  return {
    commands: commands ?? base.commands,
    targets: {
      networks: targets?.networks ?? base.targets.networks,
      tcp: targets?.tcp ?? base.targets.tcp,
      udp: targets?.udp ?? base.targets.udp,
    },
    ports: {
      addresses: ports?.addresses ?? base.ports.addresses,
      tcp: ports?.tcp ?? base.ports.tcp,
      udp: ports?.udp ?? base.ports.udp,
    },
  };
}

/** Of each limit the smaller. */
export function boundLimits<T extends BoundLimits>(limits: T, most: BoundLimits = {}): T {
  const smaller = (left: number | undefined, right: number | undefined) =>
    left === undefined || right === undefined ? (left ?? right) : Math.min(left, right);
  const names = ['newStreamsPerSecond', 'bytesPerSecond', 'ports', 'streams'] as const;
  const found = names.flatMap(name => {
    const value = smaller(limits[name], most[name]);
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...limits, ...Object.fromEntries(found) };
}
