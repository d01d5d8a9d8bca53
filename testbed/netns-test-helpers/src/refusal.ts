/**
 * How a packet is refused. `drop`: silence, the sender waits. `reject`: TCP is answered with RST, anything
 * else with ICMP port unreachable, so the sender knows at once.
 */
export type Refusal = 'drop' | 'reject';

/** The nft commands that refuse what matches; `place` is family, table, chain and the match. */
export function refusalRules(place: string, how: Refusal): string[] {
  return refusalBodies(how).map(body => `add rule ${place} ${body}`);
}

/** The ends of rules that refuse and count what they refuse, one rule each. */
export function refusalBodies(how: Refusal): string[] {
  return how === 'drop'
    ? ['counter drop']
    : ['meta l4proto tcp counter reject with tcp reset', 'counter reject'];
}
