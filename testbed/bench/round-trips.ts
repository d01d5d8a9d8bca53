import process from 'node:process';
import type { Namespace } from 'netns-test-helpers';
import { EntremiseError } from '../../src/base/errors.ts';
import { programPath } from '../scenarios/support/peers.ts';

/** Small messages there and back, by `testbed/programs/round-trips.mjs`. */

/** What is sent where. */
export interface RoundTripRun {
  readonly client: Namespace;
  readonly address: string;
  readonly port: number;
  /** `ping`: one connection, a message each `everyMs`; `stream`: a new connection for each message, `atOnce` at a time. */
  readonly manner:
    | { readonly ping: { readonly everyMs: number } }
    | { readonly stream: { readonly atOnce: number } };
  /** Milliseconds that do not count, and then those that do. */
  readonly warmUpMs: number;
  readonly durationMs: number;
  /** How much longer than that it may take before it is given up; 30 s. */
  readonly patienceMs?: number;
}

/** What came of it. */
export interface RoundTrips {
  readonly count: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Bytes of a message. */
export const messageBytes = 64;

/** Starts a service that sends everything back, and waits until it listens. The lab ends it. */
export async function startEcho(namespace: Namespace, address: string, port: number): Promise<void> {
  namespace.node(programPath('tcp-service.mjs'), ['echo', address, String(port)]);
  await namespace.untilListening('tcp', port);
}

/**
 * Measures once.
 * @throws LabError `command-failed` when a connection fails; EntremiseError `internal` when nothing came back in time
 */
export async function roundTrips(run: RoundTripRun): Promise<RoundTrips> {
  const { client, address, port, manner, warmUpMs, durationMs, patienceMs = 30_000 } = run;
  const [name, third] = 'ping' in manner ? ['ping', manner.ping.everyMs] : ['stream', manner.stream.atOnce];
  const words = [name, address, port, messageBytes, third, warmUpMs, durationMs].map(String);
  const argv = [process.execPath, programPath('round-trips.mjs'), ...words];
  const printed = await client.run(argv, { deadlineMs: warmUpMs + durationMs + patienceMs });
  const result = JSON.parse(printed) as RoundTrips;
  if (result.count > 0) return result;
  throw new EntremiseError('internal', { message: `No message came back within ${durationMs} ms.` });
}
