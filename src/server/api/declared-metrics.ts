import type { Registry } from 'prom-client';
import type { Features } from '../features/features.ts';
import type { DeclaredFigures, Flow } from '../features/flow.ts';
import { addMetrics, type GaugeMaker, type MetricRow, type Series } from './metric-rows.ts';

/** Of both kinds; undefined until the server has begun. */
export type AskDeclared = () => ReturnType<Features['figures']> | undefined;

type AskFigures = () => DeclaredFigures | undefined;

const protocols = ['tcp', 'udp'] as const;

function byProtocol(figures: DeclaredFigures | undefined, read: (flow: Flow) => Series): Series {
  return protocols.flatMap(protocol => {
    const flow = figures?.flows[protocol];
    return (flow === undefined ? [] : read(flow)).map(
      ([labels, value]) => [{ protocol, ...labels }, value] as const,
    );
  });
}

const refusals = (flow: Flow): Series =>
  (['full', 'failed', 'foreign'] as const).map(reason => [{ reason }, flow[reason]]);

const bytes = ({ bytesToLan, bytesFromLan }: Flow): Series => [
  [{ way: 'to-lan' }, bytesToLan],
  [{ way: 'from-lan' }, bytesFromLan],
];

const states = (figures: DeclaredFigures | undefined): Series =>
  Object.entries(figures?.states ?? {}).map(([state, count]) => [{ state }, count]);

const peers = (figures: DeclaredFigures | undefined): Series =>
  Object.entries(figures?.peers ?? {}).map(([protocol, count]) => [{ protocol }, count]);

/** What both kinds have. */
function flowRows(kind: string, what: string, ask: AskFigures): MetricRow[] {
  return [
    [`entremise_${kind}_peers`, `${what} there are now.`, ['protocol'], () => peers(ask())],
    [
      `entremise_${kind}_peers_total`,
      `${what} that were served.`,
      ['protocol'],
      () => byProtocol(ask(), ({ served }) => [[{}, served]]),
    ],
    [
      `entremise_${kind}_refused_total`,
      `${what} that were turned away, by reason; of UDP from elsewhere, datagrams.`,
      ['protocol', 'reason'],
      () => byProtocol(ask(), refusals),
    ],
    [
      `entremise_${kind}_bytes_total`,
      'Bytes, by whether they went into a LAN or came from it.',
      ['protocol', 'way'],
      () => byProtocol(ask(), bytes),
    ],
  ];
}

/** Published ports and standing services (P7.6). One look serves all of a scrape's rows. */
export function addDeclaredMetrics(registry: Registry, gauge: GaugeMaker, declared: AskDeclared): void {
  let seen: ReturnType<AskDeclared>;
  const look = () => {
    if (seen === undefined)
      setImmediate(() => {
        seen = undefined;
      });
    seen ??= declared();
    return seen;
  };
  const published = () => look()?.published;
  const services = () => look()?.services;
  addMetrics(registry, gauge, [
    ['entremise_publications', 'Published ports, by state.', ['state'], () => states(published())],
    [
      'entremise_services',
      'Mediators of standing services, by how those stand there.',
      ['state'],
      () => states(services()),
    ],
    ...flowRows('published', 'Clients of published ports', published),
    ...flowRows('service', 'Devices of standing services by TCP', services),
  ]);
}
