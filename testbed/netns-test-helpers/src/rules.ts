import { unreachable } from './errors.ts';
import { type Block, blockRules, type EgressOnlyTcp, egressOnlyTcpRules } from './firewall.ts';
import { type Masquerade, masqueradeRules, type RefuseFromOutside, refuseFromOutsideRules } from './nat.ts';

/** Everything that `Namespace.apply` takes: NATs and firewalls as values. */
export type Rules = Masquerade | RefuseFromOutside | EgressOnlyTcp | Block;

/** Rules in force in a namespace. */
export interface AppliedRules {
  readonly rules: Rules;
  /** Takes them out again; a second call does nothing. */
  remove(): Promise<void>;
}

/** The nft commands that put rules in force, one a line, in a table of their own. */
export function nftCommands(rules: Rules, table: string): string[] {
  return [`add table inet ${table}`, ...bodyOf(rules, table)];
}

function bodyOf(rules: Rules, table: string): string[] {
  switch (rules.kind) {
    case 'masquerade':
      return masqueradeRules(rules, table);
    case 'refuse-from-outside':
      return refuseFromOutsideRules(rules, table);
    case 'egress-only-tcp':
      return egressOnlyTcpRules(rules, table);
    case 'block':
      return blockRules(rules, table);
    default:
      return unreachable(rules);
  }
}

/** Rules in a few words, for the drawing. */
export function describeRules(rules: Rules): string {
  const at = rules.outside === undefined ? '' : ` at ${rules.outside}`;
  switch (rules.kind) {
    case 'masquerade':
      return `NAT${at}: ${rules.ports}, ${rules.unsolicited}s strangers`;
    case 'refuse-from-outside':
      return `firewall${at}: ${rules.unsolicited}s strangers`;
    case 'egress-only-tcp':
      return `firewall${at}: only TCP ${rules.ports.join(', ')} out, ${rules.how}s the rest`;
    case 'block': {
      const ports = rules.ports ? ` ${rules.ports.join(', ')}` : '';
      return `firewall${at}: ${rules.how}s ${rules.protocol.toUpperCase()}${ports}`;
    }
    default:
      return unreachable(rules);
  }
}
