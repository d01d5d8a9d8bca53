import { everywhere, type FirewallOptions, judged } from './firewall.ts';
import { checkNumber, checkWhole } from './input.ts';
import { type Refusal, refusalBodies } from './refusal.ts';

/*
 * What a router can do to a flow without stopping it, by nftables. These rules see what the kernel forwards: a train of
 * TCP segments that it kept together counts as one packet. To lose TCP segments one by one, use an impaired link.
 */

/** Loses packets in both directions: a value, applied by `Namespace.apply`. */
export interface Loss {
  readonly kind: 'loss';
  /** Share of packets, from 0 to 1. */
  readonly ratio: number;
  /** How many in a row: 1 is each for itself, at random; more come at even distances. */
  readonly burstPackets: number;
  readonly outside: string | undefined;
}

/** Lets only so many packets of UDP a second pass, each direction for itself: a value, applied by `Namespace.apply`. */
export interface PoliceUdp {
  readonly kind: 'police-udp';
  readonly packetsPerSecond: number;
  /** How many may come at once after a pause. */
  readonly burstPackets: number;
  readonly outside: string | undefined;
}

/** Lets flows go on that conntrack knows, and begins no others: a value, applied by `Namespace.apply`. */
export interface RefuseNewFlows {
  readonly kind: 'refuse-new-flows';
  readonly how: Refusal;
  readonly outside: string | undefined;
}

/**
 * Each packet is lost with this chance, by the kernel's own random numbers.
 *
 * @throws LabError `bad-input`
 */
export function randomLoss(options: { readonly ratio: number; readonly outside?: string }): Loss {
  return burstLoss({ ...options, burstPackets: 1 });
}

/**
 * So many packets in a row are lost, at even distances, that together they have this share.
 *
 * @throws LabError `bad-input`
 */
export function burstLoss(options: {
  readonly ratio: number;
  readonly burstPackets: number;
  readonly outside?: string;
}): Loss {
  const ratio = checkNumber(options.ratio, 'ratio', 0.000_001, 1);
  const burstPackets = checkWhole(options.burstPackets, 'burstPackets', 1, 1_000);
  return { kind: 'loss', ratio, burstPackets, outside: judged(options).outside };
}

/**
 * A network that slows UDP down by dropping what is above a rate. `burstPackets` is 5 when left out.
 *
 * @throws LabError `bad-input`
 */
export function policeUdp(options: {
  readonly packetsPerSecond: number;
  readonly burstPackets?: number;
  readonly outside?: string;
}): PoliceUdp {
  return {
    kind: 'police-udp',
    packetsPerSecond: checkWhole(options.packetsPerSecond, 'packetsPerSecond', 1, 1_000_000),
    burstPackets: checkWhole(options.burstPackets ?? 5, 'burstPackets', 1, 1_000_000),
    outside: judged(options).outside,
  };
}

/**
 * A table that is full, a firewall that has been told to close: what runs goes on, nothing new begins. Flows count as
 * running that began while the namespace had a NAT or another rule that tracks connections.
 *
 * @throws LabError `bad-input`
 */
export function refuseNewFlows(options: FirewallOptions = {}): RefuseNewFlows {
  return { kind: 'refuse-new-flows', ...judged(options) };
}

/** The nft commands of a loss, in a table of the given name. */
export function lossRules({ ratio, burstPackets, outside }: Loss, table: string): string[] {
  const chance = `numgen random mod 1000000 < ${Math.round(ratio * 1_000_000)}`;
  const turn = `numgen inc mod ${Math.round(burstPackets / ratio)} < ${burstPackets}`;
  return everywhere(table, outside, [`${burstPackets === 1 ? chance : turn} counter drop`]);
}

/** The nft commands of a policer, in a table of the given name. */
export function policeUdpRules(police: PoliceUdp, table: string): string[] {
  const { packetsPerSecond, burstPackets, outside } = police;
  const over = `limit rate over ${packetsPerSecond}/second burst ${burstPackets} packets`;
  return everywhere(table, outside, [`meta l4proto udp ${over} counter drop`]);
}

/** The nft commands that keep new flows from beginning, in a table of the given name. */
export function refuseNewFlowsRules({ how, outside }: RefuseNewFlows, table: string): string[] {
  return everywhere(
    table,
    outside,
    refusalBodies(how).map(body => `ct state new ${body}`),
  );
}
