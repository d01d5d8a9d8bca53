import { readFileSync } from 'node:fs';
import test from 'ava';
import { SwitchFigures } from '../../switch/switch-figures.ts';
import { noFlow } from '../features/flow.ts';
import { createMetrics, type MetricSources } from './metrics.ts';

const noRefusals = {
  'over-limit': 0,
  'over-source-limit': 0,
  'too-slow': 0,
  'tls-failed': 0,
  'no-alpn': 0,
  internal: 0,
};

const figures = new SwitchFigures();
figures.bytes.terminal = 1234;
figures.streams = 9;
figures.onRefused('refusedCommands', 'not-permitted');

const sources: MetricSources = {
  status: () => ({
    members: 3,
    attachments: 2,
    queuedBytes: 5,
    grownCreditBytes: 0,
    droppedDatagrams: 7,
    figures,
    roundTripsMs: [40, 10, 20, 30],
  }),
  listener: () => ({
    accepted: 11,
    handedOver: 10,
    unauthenticated: 1,
    refused: { ...noRefusals, 'tls-failed': 4 },
  }),
  apiAttachments: () => 1,
  declared: () => ({
    published: {
      states: { applied: 2, pending: 1, refused: 0 },
      peers: { tcp: 3, udp: 4 },
      flows: { tcp: { ...noFlow, served: 5, foreign: 6, bytesToLan: 700 }, udp: noFlow },
    },
    services: {
      states: { applied: 8, pending: 0, refused: 9 },
      peers: { tcp: 1 },
      flows: { tcp: noFlow, udp: { ...noFlow, bytesFromLan: 1000 } },
    },
  }),
  keepalives: () => [{ udpKeepaliveMs: 96_000, origin: 'learned' }],
};
test('figures are those of their sources, each with its help', async t => {
  const text = await (await createMetrics(sources)).metrics();
  for (const line of [
    'entremise_members 3',
    'entremise_dropped_datagrams_total 7',
    'entremise_bytes_total{from="terminal"} 1234',
    'entremise_streams_total 9',
    'entremise_publications{state="applied"} 2',
    'entremise_published_peers{protocol="udp"} 4',
    'entremise_published_peers_total{protocol="tcp"} 5',
    'entremise_published_refused_total{protocol="tcp",reason="foreign"} 6',
    'entremise_published_bytes_total{protocol="tcp",way="to-lan"} 700',
    'entremise_services{state="refused"} 9',
    'entremise_service_peers{protocol="tcp"} 1',
    'entremise_service_bytes_total{protocol="udp",way="from-lan"} 1000',
    'entremise_commands_refused_total{reason="not-permitted"} 1',
    'entremise_round_trip_seconds{quantile="0.5"} 0.02',
    'entremise_round_trip_seconds{quantile="1"} 0.04',
    'entremise_udp_keepalive_seconds{quantile="0.99"} 96',
    'entremise_mediators_by_keepalive{origin="learned"} 1',
    'entremise_connections_refused_total{reason="tls-failed"} 4',
    '# HELP entremise_queued_bytes Bytes that wait in queues.',
  ])
    t.true(text.split('\n').includes(line), line);
});

test('before the server listens there are figures too', async t => {
  const text = await (
    await createMetrics({ ...sources, listener: () => undefined, declared: () => undefined })
  ).metrics();
  t.true(text.includes('\nentremise_connections_accepted_total 0\n'));
});

test('every metric that the dashboard shows is there', async t => {
  const text = await (await createMetrics(sources)).metrics();
  const dashboard = readFileSync(
    new URL('../../../../docs/grafana/entremise-server.json', import.meta.url),
    'utf8',
  );
  const { panels } = JSON.parse(dashboard) as { panels: { targets: { expr: string }[] }[] };
  const names = panels.flatMap(({ targets }) =>
    targets.flatMap(({ expr }) => expr.match(/entremise_\w+/g) ?? []),
  );
  t.true(names.length >= 15);
  for (const name of names) t.true(text.includes(`# TYPE ${name} `), name);
});
