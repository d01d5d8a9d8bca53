import { unreachable } from './errors.ts';
import {
  type Block,
  blockRules,
  type EgressOnlyTcp,
  egressOnlyTcpRules,
  type ForgeResets,
  forgeResetsRules,
} from './firewall.ts';
import {
  type Loss,
  lossRules,
  type PoliceUdp,
  policeUdpRules,
  type RefuseNewFlows,
  refuseNewFlowsRules,
} from './loss.ts';
import { type Masquerade, masqueradeRules, type RefuseFromOutside, refuseFromOutsideRules } from './nat.ts';

/** Everything that `Namespace.apply` takes: NATs and firewalls as values. */
export type Rules =
  | Masquerade
  | RefuseFromOutside
  | EgressOnlyTcp
  | Block
  | ForgeResets
  | Loss
  | PoliceUdp
  | RefuseNewFlows;

/** Rules in force in a namespace. */
export interface AppliedRules {
  readonly rules: Rules;
  /** How many packets they have refused or lost; of a NAT, strangers'. @throws LabError `command-failed` */
  hits(): Promise<number>;
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
    case 'forge-resets':
      return forgeResetsRules(rules, table);
    case 'loss':
      return lossRules(rules, table);
    case 'police-udp':
      return policeUdpRules(rules, table);
    case 'refuse-new-flows':
      return refuseNewFlowsRules(rules, table);
    default:
      return unreachable(rules);
  }
}

/** Rules in a few words, for the drawing. */
export function describeRules(rules: Rules): string {
  const at = rules.outside === undefined ? '' : ` at ${rules.outside}`;
  switch (rules.kind) {
    case 'masquerade':
      return `NAT${at}: ${describeNat(rules)}, ${rules.unsolicited}s strangers`;
    case 'refuse-from-outside':
      return `firewall${at}: ${rules.unsolicited}s strangers`;
    case 'egress-only-tcp':
      return `firewall${at}: only TCP ${rules.ports.join(', ')} out, ${rules.how}s the rest`;
    case 'block': {
      const ports = rules.ports ? ` ${rules.ports.join(', ')}` : '';
      const what = rules.protocol === 'any' ? 'everything' : rules.protocol.toUpperCase();
      return `firewall${at}: ${rules.how}s ${what}${ports}`;
    }
    case 'forge-resets':
      return `firewall${at}: resets TCP${rules.ports ? ` ${rules.ports.join(', ')}` : ''}`;
    case 'loss': {
      const burst = rules.burstPackets === 1 ? '' : ` by ${rules.burstPackets}`;
      return `loss${at}: ${rules.ratio * 100} %${burst}`;
    }
    case 'police-udp':
      return `police${at}: ${rules.packetsPerSecond} UDP packets a second`;
    case 'refuse-new-flows':
      return `firewall${at}: ${rules.how}s new flows`;
    default:
      return unreachable(rules);
  }
}

/** What Linux would do by itself goes without saying. */
function describeNat({ ports, mapping, filtering }: Masquerade): string {
  const own = ports === 'fully-random' ? 'address-and-port-dependent' : 'endpoint-independent';
  const maps = mapping === own ? '' : `, ${mapping} mapping`;
  const filters = filtering === 'address-and-port-dependent' ? '' : `, ${filtering} filter`;
  return `${ports}${maps}${filters}`;
}

/** Adds up the counters in what `nft list table` prints. */
export function countHits(listing: string): number {
  return [...listing.matchAll(/counter packets (\d+)/g)].reduce(
    (sum, [, packets]) => sum + Number(packets),
    0,
  );
}
