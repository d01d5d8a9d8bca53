import type { Registry } from 'prom-client';
import type { SwitchFigures } from '../../switch/switch-figures.ts';
import type { SwitchStatus } from '../../switch/switch-status.ts';
import type { KeepaliveFigure } from '../keepalive-figures.ts';
import { addMetrics, type GaugeMaker, type MetricRow, type Series } from './metric-rows.ts';

/** Where the figures of {@link addTrafficMetrics} come from. */
export interface TrafficSources {
  readonly status: () => Pick<SwitchStatus, 'figures' | 'roundTripsMs'>;
  /** Of the mediators that are online. */
  readonly keepalives: () => readonly KeepaliveFigure[];
}

const quantiles = [0.5, 0.9, 0.99, 1];

/** Quantiles of what is measured now, as seconds; none where there is nothing. */
function quantilesOf(valuesMs: readonly number[]): Series {
  const sorted = [...valuesMs].sort((a, b) => a - b);
  return quantiles.flatMap(quantile => {
    const value = sorted[Math.max(0, Math.ceil(quantile * sorted.length) - 1)];
    return value === undefined ? [] : [[{ quantile: String(quantile) }, value / 1000] as const];
  });
}

const bySide = (counts: SwitchFigures['bytes']): Series =>
  Object.entries(counts).map(([from, count]) => [{ from }, count]);

const byReason = (counts: SwitchFigures['refusedCommands']): Series =>
  [...counts].map(([reason, count]) => [{ reason }, count]);

function byOrigin(keepalives: readonly KeepaliveFigure[]): Series {
  const counts = new Map<string, number>();
  for (const { origin } of keepalives) counts.set(origin, (counts.get(origin) ?? 0) + 1);
  return [...counts].map(([origin, count]) => [{ origin }, count]);
}

/** What passes through the switch, and what is learned of paths. */
export function addTrafficMetrics(
  registry: Registry,
  gauge: GaugeMaker,
  { status, keepalives }: TrafficSources,
): void {
  const figures = () => status().figures;
  const keepalivesMs = () => keepalives().map(each => each.udpKeepaliveMs);
  const one = (value: number): Series => [[{}, value]];
  const all: readonly MetricRow[] = [
    [
      'entremise_bytes_total',
      'Bytes of attachments passed on, by sender.',
      ['from'],
      () => bySide(figures().bytes),
    ],
    [
      'entremise_datagrams_total',
      'Datagrams on TCP channels, by sender.',
      ['from'],
      () => bySide(figures().datagrams),
    ],
    [
      'entremise_streams_total',
      'Streams of which something was passed on.',
      [],
      () => one(figures().streams),
    ],
    ['entremise_resumes_total', 'Attachments that came again (P4.4).', [], () => one(figures().resumes)],
    [
      'entremise_credit_waits_total',
      'Times that a member had to wait for credit.',
      [],
      () => one(figures().creditWaits),
    ],
    [
      'entremise_commands_refused_total',
      'COMMANDs refused at the server, by reason.',
      ['reason'],
      () => byReason(figures().refusedCommands),
    ],
    [
      'entremise_attaches_refused_total',
      'ATTACHes refused at the server, by reason.',
      ['reason'],
      () => byReason(figures().refusedAttaches),
    ],
    [
      'entremise_round_trip_seconds',
      'Smoothed round trips of the links of now.',
      ['quantile'],
      () => quantilesOf(status().roundTripsMs),
    ],
    [
      'entremise_udp_keepalive_seconds',
      'Silence that the UDP channels of mediators allow themselves, learned or not.',
      ['quantile'],
      () => quantilesOf(keepalivesMs()),
    ],
    [
      'entremise_mediators_by_keepalive',
      'Mediators, by where their keepalive comes from (P8.3).',
      ['origin'],
      () => byOrigin(keepalives()),
    ],
  ];
  addMetrics(registry, gauge, all);
}
