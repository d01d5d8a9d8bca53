import type { RelayCounters, RelayReport } from './relay.ts';

/** Counters while they are counted. */
export type Tally = { -readonly [Name in keyof RelayCounters]: RelayCounters[Name] };

/** All zero. */
export function newTally(): Tally {
  return {
    packetsIn: 0,
    bytesIn: 0,
    packetsOut: 0,
    bytesOut: 0,
    overflow: 0,
    unknown: 0,
    malformed: 0,
    forged: 0,
    replayed: 0,
    unbound: 0,
    pathless: 0,
    oversize: 0,
    unsent: 0,
    full: 0,
    halves: 0,
    foreign: 0,
    limited: 0,
  };
}

/** One packet more has come. */
export function tallyIn(tally: Tally, bytes: number): void {
  tally.packetsIn++;
  tally.bytesIn += bytes;
}

/** One packet more has gone. */
export function tallyOut(tally: Tally, bytes: number): void {
  tally.packetsOut++;
  tally.bytesOut += bytes;
}

type Tallied<K> = ReadonlyMap<K, { readonly tally: Tally }>;

/** All that is counted, as it is now. */
export function reportOf(
  doors: Tallied<number>,
  channels: Tallied<number>,
  ports: Tallied<number>,
): RelayReport {
  const copies = <K>(all: Tallied<K>) => new Map([...all].map(([id, { tally }]) => [id, { ...tally }]));
  return { doors: copies(doors), channels: copies(channels), ports: copies(ports), upcallsDropped: 0 };
}
