import * as v from 'valibot';
import { EntremiseError } from '../base/errors.ts';
import { type AddressEntry, parseAddressEntry } from './address-entry.ts';
import { boundEntries, boundPermissions } from './bounds.ts';
import { type Hours, parseHours } from './hours.ts';
import { allNumbers, firstOrdinaryNumber, type NumberRange } from './number-range.ts';
import type { Ports, Targets } from './permissions.ts';
import {
  closedObject,
  firstIssue,
  listOf,
  oneOf,
  type PermissionVerb,
  parsedText,
  permissionVerbs,
  purposes,
  targetNetworks,
} from './schema.ts';

/**
 * What the owner of the gateway allows, over and above any grant (P6.2, P6.8): the table `[owner]` of mediator.toml. Its
 * keys mirror the fields of a grant; `[owner.assistance]` and `[owner.service]` say otherwise for one purpose.
 */
export interface OwnerPolicy {
  /** Interfaces that are the LAN; found by rule when absent (gateway-facts.ts). */
  readonly lan: readonly string[] | undefined;
  /** Never, whatever else is said. */
  readonly deny: readonly AddressEntry[];
  /** What REPORT leaves out, and whether QUERY devices is refused. */
  readonly hide: readonly HideableFact[];
  readonly assistance: PurposePolicy;
  readonly service: PurposePolicy;
}

/** The owner's policy for one purpose. */
export interface PurposePolicy {
  readonly allowed: boolean;
  /** `always`: given once and for all. `window`: only while the owner has opened the consent window. */
  readonly consent: Consent;
  /** When anybody is let in at all; undefined: at any time. */
  readonly hours: readonly Hours[] | undefined;
  readonly commands: readonly PermissionVerb[];
  readonly targets: Targets;
  readonly ports: Ports;
}

const consents = ['always', 'window'] as const;

/** How the owner consents. */
export type Consent = (typeof consents)[number];

const hideableFacts = ['hostname', 'model', 'release', 'interfaces', 'routes', 'devices'] as const;

/** Parts of a REPORT that an owner may keep private, and the devices of the LAN (QUERY devices). */
export type HideableFact = (typeof hideableFacts)[number];

const lanOnly: readonly AddressEntry[] = [parseAddressEntry('lan')];
const ordinaryNumbers: readonly NumberRange[] = [{ first: firstOrdinaryNumber, last: allNumbers.last }];

/**
 * When the owner wrote nothing: both purposes, any number of the devices on directly attached LAN networks; ports on the
 * gateway's LAN addresses, from 1024 up. Nothing of the gateway itself, nothing outside the LAN.
 */
export const defaultPurposePolicy: PurposePolicy = {
  allowed: true,
  consent: 'always',
  hours: undefined,
  commands: permissionVerbs,
  targets: { networks: lanOnly, tcp: [allNumbers], udp: [allNumbers] },
  ports: { addresses: lanOnly, tcp: ordinaryNumbers, udp: ordinaryNumbers },
};

/** The policy of an owner who wrote nothing. */
export const defaultOwnerPolicy: OwnerPolicy = {
  lan: undefined,
  deny: [],
  hide: [],
  assistance: defaultPurposePolicy,
  service: defaultPurposePolicy,
};

const { commands, targets, ports } = boundEntries;

const purposeEntries = {
  consent: v.optional(oneOf(consents)),
  hours: v.optional(listOf(parsedText(parseHours), 0, 64)),
  commands,
  targets,
  ports,
};

const interfaceName = v.pipe(
  v.string('must be text'),
  v.regex(/^[0-9A-Za-z._-]{1,15}$/, 'must be the name of an interface, like br-lan'),
);

const purposeSchema = closedObject(purposeEntries);
const ownerSchema = closedObject({
  ...purposeEntries,
  purposes: v.optional(listOf(oneOf(purposes), 0, purposes.length), [...purposes]),
  lan: v.optional(listOf(interfaceName, 1, 64)),
  deny: v.optional(targetNetworks, []),
  hide: v.optional(listOf(oneOf(hideableFacts), 0, hideableFacts.length), []),
  assistance: v.optional(purposeSchema),
  service: v.optional(purposeSchema),
});

type Overrides = v.InferOutput<typeof purposeSchema>;

function overridden(base: PurposePolicy, said: Overrides): PurposePolicy {
  return {
    allowed: base.allowed,
    consent: said.consent ?? base.consent,
    hours: said.hours ?? base.hours,
    ...boundPermissions(said, base),
  };
}

/**
 * Reads the `[owner]` table. `where` names it in errors, e.g. `/etc/entremise/mediator.toml`.
 * @throws EntremiseError `bad-config`, naming file and key, and what is allowed there
 */
export function parseOwnerPolicy(table: unknown, where: string): OwnerPolicy {
  const parsed = v.safeParse(ownerSchema, table, { abortEarly: true });
  if (!parsed.success) {
    throw new EntremiseError('bad-config', { message: `${where}: owner.${firstIssue(parsed.issues)}.` });
  }
  const said = parsed.output;
  const both = overridden(defaultPurposePolicy, said);
  const forPurpose = (purpose: 'assistance' | 'service') => ({
    ...overridden(both, said[purpose] ?? {}),
    allowed: said.purposes.includes(purpose),
  });
  return {
    lan: said.lan,
    deny: said.deny,
    hide: said.hide,
    assistance: forPurpose('assistance'),
    service: forPurpose('service'),
  };
}
