import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createLab, type Namespace, type Program, until } from 'netns-test-helpers';
import { EntremiseError } from '../../src/base/errors.ts';
import { jsonLines } from '../scenarios/support/verbs.ts';
import type { Bench, BenchContext } from './bench.ts';
import { startIperfServer, startStream } from './iperf.ts';
import { median } from './median.ts';
import { errorOfMedian, pairedRatios } from './pairs.ts';
import { atLeast, atMost, type Figure } from './report.ts';
import { measureRounds, type Variant, valuesOf, warmUp } from './rounds.ts';
import { requireRoot } from './with-home.ts';

/**
 * The addon's capture on the gateway of a LAN, as a mediator runs it, with a hundred opened ports:
 *
 *   storm   device ── 20,000 connections a second, each ended by a RST ──► a listener on the gateway
 *   link    device ── one saturated TCP stream ──► gateway, while the capture is switched on and off every quarter of a
 *           second: what came in each such while is compared with what came in the next, every second pair the other way round
 *
 * Lost is what was made and was not handed to JavaScript, whoever lost it: ring, queue or filter.
 */

const gatewayAddress = '10.9.9.1';
const stormNumber = 7000;
const iperfNumber = 5201;
const openedPorts = 100;
const connectionsPerSecond = 20_000;

/** One half of a pair: short, since what else the machine does changes within seconds. What it does to a stream that a ring is opened or closed passes before it. */
const whileMs = 150;
const settleMs = 100;

interface Lan {
  readonly gateway: Namespace;
  readonly device: Namespace;
  readonly capture: Capturing;
  readonly storm: string;
}

/** testbed/programs/capture.mjs, asked and answering one thing at a time. */
class Capturing {
  private readonly program: Program;
  private answers = 0;

  constructor(gateway: Namespace) {
    const script = fileURLToPath(new URL('../../../testbed/programs/capture.mjs', import.meta.url));
    this.program = gateway.spawn([process.execPath, script], { stdin: 'pipe' });
  }

  /** Of the process, which is in the gateway's network. */
  get pid(): number {
    return this.program.pid;
  }

  private async answer(): Promise<Record<string, unknown>> {
    const next = this.answers++;
    const lines = () => jsonLines(this.program.stdout);
    return until(() => lines()[next], {
      what: 'the capture to answer',
      explain: () => this.program.stderr.slice(-1000),
      intervalMs: 5,
    });
  }

  async begin(): Promise<void> {
    await this.answer();
    this.program.write('{"count": true}\n');
  }

  /** Captures on the LAN, or nowhere. */
  async set(on: boolean): Promise<void> {
    const targets = Array.from({ length: openedPorts }, (_none, index) => [
      gatewayAddress,
      stormNumber + index,
    ]);
    this.program.write(`${JSON.stringify({ watch: on ? ['lan0'] : [], targets })}\n`);
    await this.answer();
  }

  /** SYNs and losses since it was asked last. */
  async counts(): Promise<{ readonly syn: number; readonly lost: number }> {
    this.program.write('{"counts": true}\n');
    const { counts } = await this.answer();
    return counts as { syn: number; lost: number };
  }
}

function compileStorm(folder: string): string {
  const source = fileURLToPath(new URL('../../../testbed/programs/connect-storm.cc', import.meta.url));
  const program = join(folder, 'connect-storm');
  const { status, stderr } = spawnSync('g++', ['-std=c++17', '-O2', '-pthread', '-o', program, source]);
  if (status === 0) return program;
  const message = `This bench needs a C++ compiler: apt-get install g++ (${String(stderr).slice(0, 200)})`;
  throw new EntremiseError('environment-unfit', { message });
}

async function withLan<T>(measure: (lan: Lan) => Promise<T>): Promise<T> {
  requireRoot();
  const folder = mkdtempSync(join(tmpdir(), 'entremise-capture-'));
  const lab = await createLab({ name: 'benchcapture' });
  try {
    const storm = compileStorm(folder);
    const [gateway, device] = [await lab.namespace('gateway'), await lab.namespace('device')];
    await lab.link(
      { namespace: gateway, interface: 'lan0', addresses: [`${gatewayAddress}/24`] },
      { namespace: device, interface: 'eth0', addresses: ['10.9.9.2/24'] },
    );
    const capture = new Capturing(gateway);
    await capture.begin();
    await startIperfServer(gateway, iperfNumber);
    gateway.spawn([storm, 'listen', gatewayAddress, String(stormNumber)]);
    await gateway.untilListening('tcp', stormNumber);
    return await measure({ gateway, device, capture, storm });
  } finally {
    await lab.destroy();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Storm {
  readonly made: number;
  readonly seconds: number;
}

async function runStorm({ device, storm }: Lan, seconds: number): Promise<Storm> {
  const words = [gatewayAddress, stormNumber, connectionsPerSecond, seconds, 4].map(String);
  const printed = await device.run([storm, 'connect', ...words], { deadlineMs: (seconds + 30) * 1000 });
  return JSON.parse(printed) as Storm;
}

/** Runs a storm and gives how many of its connections nobody was told of. */
async function lostInStorm(lan: Lan, seconds: number, rates: number[]): Promise<number> {
  const { capture } = lan;
  await capture.set(true);
  await capture.counts();
  const { made, seconds: took } = await runStorm(lan, seconds);
  rates.push(made / took);
  let syn = 0;
  let lost = 0;
  // What is still in the ring is on its way; what does not come is lost.
  await until(
    async () => {
      const more = await capture.counts();
      syn += more.syn;
      lost += more.lost;
      return syn >= made || more.syn === 0;
    },
    { what: 'the rest of the storm', intervalMs: 200 },
  );
  return Math.max(made - syn, lost);
}

/** Bytes that have come to the gateway from the LAN, all in all. */
function receivedBytes(gatewayPid: number): number {
  const devices = readFileSync(`/proc/${gatewayPid}/net/dev`, 'utf8');
  return Number(/^\s*lan0:\s*(\d+)/m.exec(devices)?.[1]);
}

async function throughput({ capture }: Lan, on: boolean): Promise<number> {
  await capture.set(on);
  await delay(settleMs);
  const [beganMs, before] = [performance.now(), receivedBytes(capture.pid)];
  await delay(whileMs);
  const bytes = receivedBytes(capture.pid) - before;
  return (bytes * 8) / 1e6 / (performance.now() - beganMs);
}

/** What of a full link is lost while its packets are captured: one ratio of each pair. */
async function compareLink(lan: Lan, context: BenchContext): Promise<readonly number[]> {
  const stream = startStream({ client: lan.device, address: gatewayAddress, port: iperfNumber });
  // Windows grow first.
  await delay(2000);
  const captured = { what: 'link.captured', unit: 'Gbit/s', measure: () => throughput(lan, true) };
  const plain = { what: 'link.plain', unit: 'Gbit/s', measure: () => throughput(lan, false) };
  const ratios = await pairedRatios(context, context.quick ? 40 : 160, captured, plain);
  await stream.stop();
  return ratios;
}

async function measure(lan: Lan, context: BenchContext): Promise<readonly Figure[]> {
  const seconds = context.quick ? 1 : 3;
  const rates: number[] = [];
  const variants: Variant[] = [
    { what: 'storm.lost', unit: 'connections', measure: () => lostInStorm(lan, seconds, rates) },
  ];
  await warmUp(context, variants);
  rates.length = 0;
  const values = await measureRounds(context, context.quick ? 1 : 7, variants);
  const ratios = await compareLink(lan, context);
  return [
    {
      name: 'capture.lost',
      value: Math.max(...valuesOf(values, 'storm.lost')),
      unit: 'connections',
      goal: atMost(0),
    },
    { name: 'capture.storm', value: median(rates), unit: '1/s', goal: atLeast(connectionsPerSecond * 0.95) },
    { name: 'capture.cost', value: 1 - median(ratios), unit: 'ratio', goal: atMost(0.05) },
    { name: 'capture.cost_error', value: errorOfMedian(ratios), unit: 'ratio', goal: undefined },
  ];
}

/** See the head of this file. */
export const captureBench: Bench = {
  name: 'capture',
  summary:
    'SYN, FIN and RST off the wire: what is lost at 20,000 connections a second, and what a full link loses',
  run: context => withLan(lan => measure(lan, context)),
};
