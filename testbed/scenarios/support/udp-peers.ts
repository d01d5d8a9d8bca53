import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Namespace, Program } from 'netns-test-helpers';

/** Real programs that speak UDP. */

/** Starts a real tftpd on port 69 of an address; gives the folder that it reads and writes, as root. */
export async function startTftpServer(
  t: ExecutionContext,
  where: Namespace,
  address: string,
  folder: string,
): Promise<string> {
  const served = join(folder, 'tftp');
  mkdirSync(served, { recursive: true });
  // It changes its root to that folder, which has to let it in.
  chmodSync(folder, 0o755);
  const words = ['--foreground', '--address', `${address}:69`, '--user', 'root', '--secure'];
  const program = where.spawn(['/usr/sbin/in.tftpd', ...words, '--create', '--permissive', served]);
  t.teardown(() => program.stop('SIGKILL'));
  await where.untilListening('udp', 69);
  return served;
}

/** What iperf3 says of a flow of datagrams, as its receiver counted. */
export interface DatagramFlow {
  readonly packets: number;
  readonly lost: number;
  readonly disordered: number;
  readonly jitterMs: number;
}

/** Starts an iperf3 server that takes one client after the other. */
export async function startIperf(where: Namespace, port: number): Promise<Program> {
  const server = where.spawn(['iperf3', '--server', '--port', String(port)]);
  await where.untilListening('tcp', port);
  return server;
}

/** What `iperf3 --json` gives of a client's run with UDP. */
interface IperfJson {
  readonly error?: string;
  readonly end?: {
    readonly sum?: { readonly packets: number; readonly lost_packets: number; readonly jitter_ms: number };
    readonly streams?: readonly { readonly udp?: { readonly out_of_order?: number } }[];
  };
}

/** Sends datagrams by the real iperf3 for so long: to the server, or from it. */
export async function iperfDatagrams(
  where: Namespace,
  port: number,
  flow: {
    readonly way: 'there' | 'back';
    readonly bytes: number;
    readonly perSecond: number;
    readonly seconds: number;
  },
): Promise<DatagramFlow> {
  const { way, bytes, perSecond, seconds } = flow;
  const rate = ['--udp', '--bitrate', String(perSecond * bytes * 8), '--length', String(bytes)];
  const words = ['--client', '127.0.0.1', '--port', String(port), '--time', String(seconds), '--json'];
  const run = ['iperf3', ...words, ...rate, ...(way === 'back' ? ['--reverse'] : [])];
  const { stdout, stderr } = await where.exec(run, { deadlineMs: (seconds + 30) * 1_000 });
  const { error, end } = JSON.parse(stdout) as IperfJson;
  const sum = end?.sum;
  if (error !== undefined || sum === undefined) throw new Error(`iperf3: ${error ?? stderr}`);
  return {
    packets: sum.packets,
    lost: sum.lost_packets,
    disordered: end?.streams?.[0]?.udp?.out_of_order ?? 0,
    jitterMs: sum.jitter_ms,
  };
}
