import type { Registry } from 'prom-client';
import type { SwitchStatus } from '../../switch/switch-status.ts';
import type { TlsListenerCounters } from '../../transport/tls.ts';

import { type AskDeclared, addDeclaredMetrics } from './declared-metrics.ts';
import { addTrafficMetrics, type TrafficSources } from './traffic-metrics.ts';

/** Where the figures come from. */
export interface MetricSources extends TrafficSources {
  readonly status: () => SwitchStatus;
  /** Undefined until the server listens. */
  readonly listener: () => TlsListenerCounters | undefined;
  readonly apiAttachments: () => number;
  readonly declared: AskDeclared;
}

/** Figures for Prometheus: names end in their unit; those that only rise end in `_total`. */
export async function createMetrics(sources: MetricSources): Promise<Registry> {
  const { collectDefaultMetrics, Gauge, Registry } = await import('prom-client');
  const registry = new Registry();
  // CPU, memory, file descriptors, event-loop delay.
  collectDefaultMetrics({ register: registry, prefix: 'entremise_server_' });
  const { status, listener } = sources;
  const figures: Readonly<Record<string, readonly [help: string, read: () => number]>> = {
    entremise_members: ['Members that are connected.', () => status().members],
    entremise_attachments: ['Attachments that are routed.', () => status().attachments],
    entremise_api_attachments: ['Attachments made by the HTTP API.', sources.apiAttachments],
    entremise_queued_bytes: ['Bytes that wait in queues.', () => status().queuedBytes],
    entremise_grown_credit_bytes: ['Hop credit beyond the first of labels.', () => status().grownCreditBytes],
    entremise_dropped_datagrams_total: [
      'Datagrams dropped because too many waited.',
      () => status().droppedDatagrams,
    ],
    entremise_udp_channels: ['UDP channels that are up.', () => status().channels?.live ?? 0],
    entremise_udp_received_total: [
      'Packets of UDP channels that were good.',
      () => status().channels?.received ?? 0,
    ],
    entremise_udp_dropped_total: [
      'Packets that nobody was answered for.',
      () => status().channels?.dropped ?? 0,
    ],
    entremise_connections_accepted_total: ['TCP connections taken.', () => listener()?.accepted ?? 0],
    entremise_connections_handed_over_total: [
      'Connections whose TLS handshake was done.',
      () => listener()?.handedOver ?? 0,
    ],
    entremise_connections_unauthenticated: [
      'Connections that have not authenticated yet.',
      () => listener()?.unauthenticated ?? 0,
    ],
  };
  for (const [name, [help, read]] of Object.entries(figures)) {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  }
  new Gauge({
    name: 'entremise_connections_refused_total',
    help: 'Connections refused, by reason.',
    labelNames: ['reason'],
    registers: [registry],
    collect() {
      for (const [reason, count] of Object.entries(listener()?.refused ?? {})) this.set({ reason }, count);
    },
  });
  addTrafficMetrics(registry, { Gauge }, sources);
  addDeclaredMetrics(registry, { Gauge }, sources.declared);
  return registry;
}
