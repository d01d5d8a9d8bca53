/**
 * How a packet is refused. `drop`: silence, the sender waits. `reject`: TCP is answered with RST, anything
 * else with ICMP port unreachable, so the sender knows at once.
 */
export type Refusal = 'drop' | 'reject';

/** The nft commands that refuse what matches; `place` is family, table, chain and the match. */
export function refusalRules(place: string, how: Refusal): string[] {
  if (how === 'drop') return [`add rule ${place} drop`];
  return [`add rule ${place} meta l4proto tcp reject with tcp reset`, `add rule ${place} reject`];
}
