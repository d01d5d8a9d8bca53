import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { EntremiseError } from '../../src/base/errors.ts';
import { homeAddress } from '../fleet/fleet-site.ts';
import { servicePort } from '../site.ts';
import type { Bench, BenchContext } from './bench.ts';
import {
  type Fleet,
  fleetProgram,
  startHomes,
  startServer,
  Technician,
  untilAllUp,
  withFleet,
} from './fleet-parts.ts';
import { atMost, type Figure } from './report.ts';
import { peakMb, residentMb } from './resident.ts';

/**
 * What a hundred live attachments feel while strangers flood their server: small commands, one every 10 ms, to one home after
 * the other. Strangers are elsewhere as a rule; here they are another process of the same machine, at its lowest priority, so that what is
 * felt is the server's work and not theirs. How many a second they came to is recorded.
 *
 *   junk     1,000 connections a second that say what is no TLS, from one source and from a thousand
 *   silent   2,000 connections within two seconds that say nothing
 */

const floods = [
  { what: 'junk_one', manner: 'junk', sources: 1, perSecond: 1000 },
  { what: 'junk_many', manner: 'junk', sources: 1000, perSecond: 1000 },
  { what: 'silent_one', manner: 'silent', sources: 1, perSecond: 1000 },
  { what: 'silent_many', manner: 'silent', sources: 1000, perSecond: 1000 },
] as const;

async function roundTrips(technician: Technician, seconds: number): Promise<number> {
  const { p99Ms, failures } = await technician.tell(`ping ${seconds * 1000}`);
  if (p99Ms !== undefined && Object.keys(failures).length === 0) return p99Ms;
  throw new EntremiseError('internal', { message: `Commands failed: ${JSON.stringify(failures)}.` });
}

async function measure(fleet: Fleet, context: BenchContext): Promise<readonly Figure[]> {
  const seconds = context.quick ? 2 : 10;
  const server = await startServer(fleet);
  startHomes(fleet);
  await untilAllUp(fleet, 'all homes to come online');
  const technician = new Technician(fleet, 0, 1);
  await technician.tell('attach');
  const record = (what: string, value: number, unit: string) => {
    context.record({ round: 1, what, value, unit });
    return value;
  };
  // What homes do when they have just come, of which all processors here have their share.
  await delay(context.quick ? 2_000 : 15_000);
  await roundTrips(technician, seconds);
  const quietMs = record('quiet_p99', await roundTrips(technician, seconds), 'ms');
  const residentBefore = residentMb(server.pid);
  const figures: Figure[] = [];
  for (const { what, manner, sources, perSecond } of floods) {
    const floodSeconds = manner === 'silent' ? Math.min(2, seconds) : seconds;
    const words = [homeAddress(0), servicePort, manner, sources, perSecond, floodSeconds].map(String);
    const argv = ['nice', '-n', '19', process.execPath, fleetProgram('stranger-process.js'), ...words];
    const startedAt = performance.now();
    const strangers = fleet.namespace.spawn(argv);
    const p99Ms = record(`${what}_p99`, await roundTrips(technician, floodSeconds), 'ms');
    await strangers.exited;
    const tookSeconds = (performance.now() - startedAt) / 1_000;
    record(`${what}_rate`, (perSecond * floodSeconds) / tookSeconds, '1/s');
    figures.push({ name: `floods.p99_${what}`, value: p99Ms / quietMs, unit: 'ratio', goal: atMost(2) });
  }
  const grownMb = peakMb(server.pid) - residentBefore;
  return [...figures, { name: 'floods.grown_mb', value: grownMb, unit: 'MB', goal: undefined }];
}

/** See the head of this file. */
export const floodsBench: Bench = {
  name: 'floods',
  summary: 'what live attachments feel while strangers flood their server with connections',
  run(context) {
    const count = context.quick ? 20 : 100;
    return withFleet(context, count, fleet => measure(fleet, context));
  },
};
