import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { type Program, until } from 'netns-test-helpers';
import { EntremiseError } from '../../src/base/errors.ts';
import type { Bench } from './bench.ts';
import {
  type Answer,
  type Fleet,
  startHomes,
  startServer,
  Technician,
  untilAllUp,
  withFleet,
} from './fleet-parts.ts';
import { median } from './median.ts';
import { atMost, type Figure } from './report.ts';
import { highestResidentMb } from './resident.ts';

/**
 * One server, as it ships, and thousands of idle mediators that are simulated in two processes on the same machine
 * (testbed/fleet): their members, links, UDP channels and agents are the real ones, and each has an address of its own.
 *
 *   rss_per_mediator   what the server's process has grown by since nobody was there, when all are, idle
 *   reconnect          the server is killed and starts again 2 s later, as its unit does: from the kill to a home's welcome
 *   command_all        two processes of one terminal are attached to half of the homes each: OPEN to all, until the last has answered
 */

/** A link has at most 1,024 attachments. */
const technicians = 2;

/** RestartSec of the server's unit. */
const restartPauseMs = 2000;

/** The first start takes what is in the inbox, which no later one does again. */
async function firstStart(fleet: Fleet): Promise<void> {
  const server = await startServer(fleet);
  await server.stop('SIGTERM');
}

/** What a server is grown by, in KiB for each mediator. */
async function measureMemory(fleet: Fleet, server: Program): Promise<Figure> {
  const { context, count } = fleet;
  const settleMs = context.quick ? 6_000 : 20_000;
  await delay(settleMs);
  const emptyMb = await highestResidentMb(server.pid, 1);
  context.record({ round: 1, what: 'rss_empty', value: emptyMb, unit: 'MB' });
  const beganMs = performance.now();
  startHomes(fleet);
  await untilAllUp(fleet, 'all homes to come online');
  context.record({ round: 1, what: 'first_online', value: (performance.now() - beganMs) / 1000, unit: 's' });
  await delay(settleMs);
  const idleMb = await highestResidentMb(server.pid, 1);
  context.record({ round: 1, what: 'rss_idle', value: idleMb, unit: 'MB' });
  const value = ((idleMb - emptyMb) * 1e6) / 1024 / count;
  return { name: 'fleet.rss_per_mediator_kib', value, unit: 'KiB', goal: atMost(64) };
}

function rank(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** Kills the server and starts it again. */
async function measureReturn(fleet: Fleet, before: Program): Promise<readonly Figure[]> {
  const { log, context, count } = fleet;
  const killedAtMs = Number(process.hrtime.bigint()) / 1e6;
  await before.stop('SIGKILL');
  await until(() => log.up === 0, { what: 'all homes to notice', deadlineMs: 30_000, intervalMs: 10 });
  await delay(restartPauseMs);
  await startServer(fleet);
  const readyAtMs = Number(process.hrtime.bigint()) / 1e6;
  await untilAllUp(fleet, 'all homes to come back').catch(() => {});
  const tookS = log.upTimes.map(atMs => (atMs - killedAtMs) / 1000).toSorted((a, b) => a - b);
  const [tenth, most] = [rank(tookS, 0.1), rank(tookS, 0.9)];
  context.record({ round: 1, what: 'restarted', value: (readyAtMs - killedAtMs) / 1000, unit: 's' });
  for (const share of [0.5, 0.99, 1])
    context.record({ round: 1, what: `back_${share * 100}_percent`, value: rank(tookS, share), unit: 's' });
  return [
    { name: 'fleet.reconnect_p99_s', value: rank(tookS, 0.99), unit: 's', goal: atMost(15) },
    { name: 'fleet.given_up', value: count - log.up, unit: 'mediators', goal: atMost(0) },
    {
      name: 'fleet.handshakes_per_s',
      value: (count * 0.8) / Math.max(0.001, most - tenth),
      unit: '1/s',
      goal: undefined,
    },
  ];
}

/** @throws EntremiseError `internal` when not every home has answered well */
function requireAll(answers: readonly Answer[], count: number): void {
  const done = answers.reduce((sum, answer) => sum + answer.count, 0);
  const failures = answers.map(answer => answer.failures).filter(each => Object.keys(each).length > 0);
  if (done === count && failures.length === 0) return;
  const message = `${done} of ${count} homes were asked, and some have failed: ${JSON.stringify(failures)}.`;
  throw new EntremiseError('internal', { message });
}

async function measureCommands(fleet: Fleet): Promise<readonly Figure[]> {
  const { context, count } = fleet;
  const all = Array.from({ length: technicians }, (_, index) => new Technician(fleet, index, technicians));
  const tellAll = async (what: string, round: number) => {
    const answers = await Promise.all(all.map(each => each.tell(what)));
    requireAll(answers, count);
    const value = Math.max(...answers.map(({ ms }) => ms)) / 1000;
    context.record({ round, what, value, unit: 's' });
    return value;
  };
  const attachS = await tellAll('attach', 1);
  const values: number[] = [];
  for (let round = 1; round <= (context.quick ? 1 : 5); round++) values.push(await tellAll('command', round));
  return [
    { name: 'fleet.command_all_s', value: median(values), unit: 's', goal: atMost(5) },
    { name: 'fleet.attach_all_s', value: attachS, unit: 's', goal: undefined },
  ];
}

async function measure(fleet: Fleet): Promise<readonly Figure[]> {
  await firstStart(fleet);
  const server = await startServer(fleet);
  const memory = await measureMemory(fleet, server);
  const back = await measureReturn(fleet, server);
  return [memory, ...back, ...(await measureCommands(fleet))];
}

/** See the head of this file. */
export const fleetBench: Bench = {
  name: 'fleet',
  summary:
    'thousands of idle mediators on one server: its memory, their return after it was killed, a command to all',
  run(context) {
    return withFleet(context, context.quick ? 300 : 2000, measure);
  },
};
