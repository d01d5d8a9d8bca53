import { readFileSync } from 'node:fs';
import test from 'ava';
import { createMetrics, type MetricSources } from './metrics.ts';

const noRefusals = {
  'over-limit': 0,
  'over-source-limit': 0,
  'too-slow': 0,
  'tls-failed': 0,
  'no-alpn': 0,
  internal: 0,
};

const sources: MetricSources = {
  status: () => ({ members: 3, attachments: 2, queuedBytes: 5, grownCreditBytes: 0, droppedDatagrams: 7 }),
  listener: () => ({
    accepted: 11,
    handedOver: 10,
    unauthenticated: 1,
    refused: { ...noRefusals, 'tls-failed': 4 },
  }),
  apiAttachments: () => 1,
};
test('figures are those of their sources, each with its help', async t => {
  const text = await (await createMetrics(sources)).metrics();
  for (const line of [
    'entremise_members 3',
    'entremise_dropped_datagrams_total 7',
    'entremise_connections_refused_total{reason="tls-failed"} 4',
    '# HELP entremise_queued_bytes Bytes that wait in queues.',
  ])
    t.true(text.split('\n').includes(line), line);
});

test('before the server listens there are figures too', async t => {
  const text = await (await createMetrics({ ...sources, listener: () => undefined })).metrics();
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
