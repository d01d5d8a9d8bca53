import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { type Namespace, type Program, until } from 'netns-test-helpers';
import { EntremiseError } from '../../src/base/errors.ts';

/** The generator and sink of the bench of UDP (native/udp-load.cc): one for every way that is compared. */

/** What goes through a way. */
export interface Load {
  readonly bytes: number;
  /** Datagrams a second; 0: as fast as they arrive. */
  readonly rate: number;
  readonly seconds: number;
}

/** A way of datagrams from the device to the sink. */
export interface UdpWay {
  readonly what: string;
  /** Where the device sends to. */
  readonly to: { readonly address: string; readonly number: number };
  /** The device speaks TURN: `to` is the server. */
  readonly turn: boolean;
  /** The programs that carry them. */
  readonly programs: readonly Program[];
}

/** What came of a load. */
export interface Reading {
  /** Datagrams a second that arrived, in thousands. */
  readonly kpps: number;
  /** Share that did not arrive. */
  readonly loss: number;
  /** CPU time a datagram of one of the programs, their mean; NaN where the kernel alone carries them. */
  readonly cpuUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

/**
 * Datagrams on the way at once when they go as fast as they arrive. Queues differ, and so does what fills a program's
 * batches: each way gets the one of these with which it carries most without losing a thousandth.
 */
const onTheWay = [128, 256, 512, 1024] as const;

/** What may be lost. */
export const allowedLoss = 0.001;

/** The reading that counts: the fastest that lost little enough, else the one that lost least. */
export function bestOf(readings: readonly Reading[]): Reading {
  const good = readings.filter(({ loss }) => loss <= allowedLoss);
  const [best] =
    good.length > 0
      ? good.toSorted((one, other) => other.kpps - one.kpps)
      : readings.toSorted((one, other) => one.loss - other.loss);
  if (best === undefined) throw new RangeError('nothing was measured');
  return best;
}

/** The checkout, seen from dist/testbed/bench. */
const root = fileURLToPath(new URL('../../../', import.meta.url));

/**
 * Compiles the program.
 * @throws EntremiseError `environment-unfit` where there is no compiler
 */
export async function compileLoad(where: Namespace): Promise<string> {
  const program = join(root, '.tmp/bench/udp-load');
  mkdirSync(dirname(program), { recursive: true });
  const source = join(root, 'testbed/bench/native/udp-load.cc');
  const flags = ['-std=c++17', '-O2', '-Wall', '-Wextra', '-Werror'];
  const { code, stderr } = await where.exec(['g++', ...flags, source, '-o', program], {
    deadlineMs: 120_000,
  });
  if (code !== 0) throw new EntremiseError('environment-unfit', { message: `udp-load: ${stderr}` });
  return program;
}

/** Nanoseconds on a CPU of all threads of a process, as the scheduler counts them. */
function cpuNs(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  const times = readdirSync(tasks).map(id =>
    Number(readFileSync(`${tasks}/${id}/schedstat`, 'utf8').split(' ')[0]),
  );
  return times.reduce((sum, time) => sum + time, 0);
}

interface Printed {
  readonly sent: number;
  readonly received: number;
  readonly seconds: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

/** Sends loads from the device to a sink. */
export class UdpLoad {
  private readonly program: string;
  private readonly device: Namespace;
  private readonly deviceAddress: string;
  private readonly sink: { readonly address: string; readonly number: number };
  private readonly file: string;

  private constructor(
    program: string,
    device: Namespace,
    deviceAddress: string,
    sink: { readonly address: string; readonly number: number },
  ) {
    this.program = program;
    this.device = device;
    this.deviceAddress = deviceAddress;
    this.sink = sink;
    this.file = `/dev/shm/entremise-udp-load-${process.pid}`;
  }

  /** Starts the sink; the lab ends it. */
  static async start(
    from: { readonly device: Namespace; readonly address: string },
    at: { readonly sink: Namespace; readonly address: string; readonly number: number },
  ): Promise<UdpLoad> {
    const program = await compileLoad(from.device);
    const load = new UdpLoad(program, from.device, from.address, at);
    const sink = at.sink.spawn([program, 'sink', load.file, at.address, String(at.number)]);
    await until(() => sink.stdout.includes('ready'), {
      what: 'the sink to be ready',
      explain: () => sink.stderr,
    });
    return load;
  }

  /** Removes what generator and sink share. */
  end(): void {
    rmSync(this.file, { force: true });
  }

  /** Sends a load through a way. @throws EntremiseError `internal` when nothing arrives */
  async send(way: UdpWay, load: Load): Promise<Reading> {
    if (load.rate > 0) return this.sendOnce(way, load, 0);
    const readings: Reading[] = [];
    for (const window of onTheWay)
      readings.push(await this.sendOnce(way, { ...load, seconds: load.seconds / onTheWay.length }, window));
    return bestOf(readings);
  }

  private async sendOnce(
    { what, to, turn, programs }: UdpWay,
    { bytes, rate, seconds }: Load,
    window: number,
  ): Promise<Reading> {
    const before = programs.map(({ pid }) => cpuNs(pid));
    const words = [this.file, this.deviceAddress, to.address, to.number, bytes, rate, seconds, window];
    const peer = turn ? [this.sink.address, this.sink.number] : [];
    const printed = await this.device.run([this.program, 'send', ...[...words, ...peer].map(String)], {
      deadlineMs: (seconds + 30) * 1000,
    });
    const { sent, received, seconds: took, p50Us, p99Us } = JSON.parse(printed) as Printed;
    if (received === 0) throw new EntremiseError('internal', { message: `Nothing arrived through ${what}.` });
    const used = programs.map(({ pid }, index) => cpuNs(pid) - (before[index] ?? 0));
    const cpuUs = used.reduce((sum, ns) => sum + ns, 0) / programs.length / 1000 / received;
    return { kpps: received / took / 1000, loss: 1 - received / sent, cpuUs, p50Us, p99Us };
  }
}
