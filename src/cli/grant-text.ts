import { addressEntryText } from '../policy/address-entry.ts';
import type { Grant } from '../policy/documents.ts';
import { numberRangeText } from '../policy/number-range.ts';
import type { MediatorSelector } from '../policy/permissions.ts';

/** `home-1`, a key, or `label a+b`. */
export function selectorText({ name, key, labels }: MediatorSelector): string {
  return name ?? key ?? `label ${labels?.join('+')}`;
}

/** A grant as --json gives it. */
export function describedGrant(grant: Grant): Record<string, unknown> {
  const { id, purpose, mediators, commands, limits, issuedAtMs, expiresAtMs } = grant;
  const where = (side: Grant['targets']) => ({
    addresses: ('networks' in side ? side.networks : []).map(addressEntryText),
    tcp: side.tcp.map(numberRangeText),
    udp: side.udp.map(numberRangeText),
  });
  const targets = where(grant.targets);
  const ports = { ...where({ ...grant.ports, networks: grant.ports.addresses }) };
  const times = {
    issuedAt: new Date(issuedAtMs).toISOString(),
    expiresAt: new Date(expiresAtMs).toISOString(),
  };
  return {
    id,
    purpose,
    terminal: grant.terminalThumbprint,
    mediators,
    commands,
    targets,
    ports,
    limits,
    ...times,
  };
}

/** A grant for people, a line for each of what it says. */
export function grantSentences(grant: Grant): string[] {
  const mediators = grant.mediators.map(selectorText);
  const numbers = (side: Grant['targets'] | Grant['ports']) =>
    `tcp ${side.tcp.map(numberRangeText).join(',') || 'none'}, udp ${side.udp.map(numberRangeText).join(',') || 'none'}`;
  return [
    `  opens     ${mediators.join(', ')}`,
    `  purpose   ${grant.purpose}`,
    `  commands  ${grant.commands.join(', ')}`,
    `  reaches   ${grant.targets.networks.map(addressEntryText).join(', ') || 'nothing'} (${numbers(grant.targets)})`,
    `  binds     ${grant.ports.addresses.map(addressEntryText).join(', ') || 'nothing'} (${numbers(grant.ports)})`,
    `  until     ${new Date(grant.expiresAtMs).toISOString()}`,
  ];
}
