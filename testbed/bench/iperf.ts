import { type Namespace, type Program, until } from 'netns-test-helpers';
import { EntremiseError } from '../../src/base/errors.ts';

/** iperf3 as load generator: it moves bytes as fast as they go and says at the receiving end how many came. */

/** Which way the bytes go, seen from the client. */
export type Flow = 'from-client' | 'to-client';

/** One measurement with one TCP stream. */
export interface IperfRun {
  readonly client: Namespace;
  readonly address: string;
  readonly port: number;
  readonly flow: Flow;
  /** Seconds that count; one more goes before them, in which windows grow. */
  readonly seconds: number;
}

/** Starts a server that takes one client after the other. The lab ends it. */
export async function startIperfServer(namespace: Namespace, port: number): Promise<Program> {
  const server = namespace.spawn(['iperf3', '--server', '--port', String(port)]);
  await namespace.untilListening('tcp', port);
  return server;
}

/** Starts one stream from the client that goes on until it is stopped. */
export function startStream({
  client,
  address,
  port,
}: Pick<IperfRun, 'client' | 'address' | 'port'>): Program {
  return client.spawn(['iperf3', '--client', address, '--port', String(port), '--time', '0']);
}

const warmUpSeconds = 1;

/**
 * Measures once; Gbit/s at the receiver.
 * @throws EntremiseError `internal` with iperf3's own words when it fails
 */
export async function iperfGbits(run: IperfRun): Promise<number> {
  const { client, address, port, flow, seconds } = run;
  const argv = ['iperf3', '--client', address, '--port', String(port), '--json'];
  argv.push('--time', String(seconds), '--omit', String(warmUpSeconds), '--connect-timeout', '5000');
  if (flow === 'to-client') argv.push('--reverse');
  const attempt = async () => {
    const result = await client.exec(argv, { deadlineMs: (seconds + warmUpSeconds + 20) * 1000 });
    return isBusy(result.stdout) ? undefined : result;
  };
  const what = `the iperf3 server behind ${address} ${port} to be done with the client before`;
  const { stdout, stderr } = await until(attempt, { what, intervalMs: 100 });
  return receivedGbits(stdout, stderr);
}

/** Through a tunnel the server learns a little later than the client that a measurement is over. */
function isBusy(json: string): boolean {
  return json.includes('the server is busy running a test');
}

/**
 * Gbit/s from iperf3's JSON, as counted by the receiver.
 * @throws EntremiseError `internal` when iperf3 reports an error, or what it wrote cannot be read
 */
export function receivedGbits(json: string, stderr = ''): number {
  const report = parsed(json, stderr);
  if (typeof report.error === 'string')
    throw new EntremiseError('internal', { message: `iperf3: ${report.error}` });
  const bitsPerSecond = report.end?.sum_received?.bits_per_second;
  if (typeof bitsPerSecond !== 'number' || !(bitsPerSecond > 0))
    throw new EntremiseError('internal', { message: 'iperf3 received nothing.' });
  return bitsPerSecond / 1e9;
}

interface IperfReport {
  readonly error?: unknown;
  readonly end?: { readonly sum_received?: { readonly bits_per_second?: unknown } };
}

function parsed(json: string, stderr: string): IperfReport {
  try {
    return JSON.parse(json) as IperfReport;
  } catch (cause) {
    const message = `iperf3 wrote no JSON. ${stderr.trim()}`.trim();
    throw new EntremiseError('internal', { message, cause });
  }
}
