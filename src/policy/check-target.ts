import { classesOf, managementNumbers, reachesGateway } from './address-class.ts';
import { type AddressEntry, addressEntryText, entryCovering, faceNotAllowed } from './address-entry.ts';
import { facesOf } from './embedded-address.ts';
import type { GatewayFacts } from './gateway-facts.ts';
import { rangesContain, rangesName } from './number-range.ts';
import type { Targets } from './permissions.ts';
import type { CanonicalAddress } from './target.ts';
import { type Denial, denied, type Side } from './verdict.ts';

/** How a refused address is to be named, by what it is. */
function namingOf(
  face: CanonicalAddress,
  address: CanonicalAddress,
  facts: GatewayFacts | undefined,
): string {
  const classes = classesOf(face, facts);
  const words = classes.map(name => `"${name}"`).join(' and ');
  const inside = face === address ? '' : `, which ${address.text} carries inside`;
  return words === ''
    ? `name ${face.text}${inside}`
    : `name ${face.text}${inside}, by that address or by ${words}`;
}

/** Refuses a target number that the side does not allow. */
export function checkTargetNumber(
  by: Side,
  targets: Targets,
  protocol: 'tcp' | 'udp',
  number: number,
): Denial | undefined {
  if (rangesContain(targets[protocol], number)) return undefined;
  return denied(by, `targets.${protocol}`, `contain ${number}`);
}

/** Refuses an address that the side does not name. */
export function checkTargetAddress(
  by: Side,
  targets: Targets,
  address: CanonicalAddress,
  facts: GatewayFacts | undefined,
): Denial | undefined {
  const face = faceNotAllowed(targets.networks, address, facts);
  return face === undefined ? undefined : denied(by, 'targets.networks', namingOf(face, address, facts));
}

/** Refuses a target that the side does not name, and the gateway's own administration unless named number by number (P6.8). */
export function checkTarget(
  by: Side,
  targets: Targets,
  protocol: 'tcp' | 'udp',
  address: CanonicalAddress,
  number: number,
  facts: GatewayFacts | undefined,
): Denial | undefined {
  const refused =
    checkTargetAddress(by, targets, address, facts) ?? checkTargetNumber(by, targets, protocol, number);
  if (refused !== undefined) return refused;
  const atGateway = facesOf(address).some(each => reachesGateway(classesOf(each, facts)));
  if (!atGateway || !managementNumbers.has(number) || rangesName(targets[protocol], number)) return undefined;
  return denied(
    by,
    `targets.${protocol}`,
    `list ${number} by itself, since it is the gateway's own administration`,
  );
}

/** Refuses what the owner's deny list covers: deny wins over every allow. */
export function checkDenyList(
  deny: readonly AddressEntry[],
  address: CanonicalAddress,
  facts: GatewayFacts,
): Denial | undefined {
  const entry = entryCovering(deny, address, facts);
  if (entry === undefined) return undefined;
  return denied(
    'owner',
    'deny',
    `leave ${address.text} out, which it covers by "${addressEntryText(entry)}"`,
  );
}
