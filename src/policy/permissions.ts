import * as v from 'valibot';
import type { AddressEntry } from './address-entry.ts';
import type { NumberRange } from './number-range.ts';
import {
  closedObject,
  key32,
  listOf,
  memberLabel,
  memberName,
  numberRanges,
  portAddresses,
  targetNetworks,
} from './schema.ts';

/** Where a terminal may connect and send to. What is not said is not allowed. */
export interface Targets {
  readonly networks: readonly AddressEntry[];
  readonly tcp: readonly NumberRange[];
  readonly udp: readonly NumberRange[];
}

/** What a terminal may bind on the gateway. What is not said is not allowed. */
export interface Ports {
  readonly addresses: readonly AddressEntry[];
  readonly tcp: readonly NumberRange[];
  readonly udp: readonly NumberRange[];
}

/** Some mediators: those that are everything the selector says. Says at least one thing. */
export interface MediatorSelector {
  readonly name?: string | undefined;
  readonly key?: string | undefined;
  readonly labels?: readonly string[] | undefined;
}

/** Schema of {@link Targets}. */
export const targetsSchema = closedObject({
  networks: v.optional(targetNetworks, []),
  tcp: v.optional(numberRanges, []),
  udp: v.optional(numberRanges, []),
});

/** Schema of {@link Ports}. */
export const portsSchema = closedObject({
  addresses: v.optional(portAddresses, []),
  tcp: v.optional(numberRanges, []),
  udp: v.optional(numberRanges, []),
});

/** Schema of {@link MediatorSelector}. */
export const selectorSchema = v.pipe(
  closedObject({
    name: v.optional(memberName),
    key: v.optional(key32),
    labels: v.optional(listOf(memberLabel, 1, 32)),
  }),
  v.check(
    selector => Object.values(selector).some(each => each !== undefined),
    'must say at least one of: name, key, labels',
  ),
);

/** True when some selector fits the mediator. */
export function selectorsFit(
  selectors: readonly MediatorSelector[],
  mediator: { readonly key: string; readonly name: string; readonly labels: readonly string[] },
): boolean {
  return selectors.some(
    ({ name, key, labels }) =>
      (name === undefined || name === mediator.name) &&
      (key === undefined || key === mediator.key) &&
      (labels === undefined || labels.every(label => mediator.labels.includes(label))),
  );
}
