import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Program, until } from 'netns-test-helpers';
import { NatWorld } from '../../src/session/testing/nat-world.ts';
import type { Site } from '../site.ts';
import type { Bench, BenchContext } from './bench.ts';
import { atMost, type Figure } from './report.ts';
import { withSite } from './with-home.ts';

/**
 * What keeping a UDP channel costs behind NATs that forget after 30, 120 and 300 s, and whether it is kept.
 *
 *   learning  the shipped mediator behind the kernel's own NAT, with a tenth of every time: conntrack's timers are 3, 12
 *             and 30 s, and what is a second to the learner is 100 ms
 *   the day   the same learner and keepalives on a clock that is moved, at full scale: 24 hours, learning included
 *
 * The first must find what the second finds. Both count bindings that were lost: ports are random, so that a binding that
 * is made anew has another number.
 */

const scale = 10;
const natsS = [30, 120, 300] as const;
const dayMs = 24 * 3_600_000;

/** Keepalives that are waited for after learning, so that a value that is too long shows. */
const roundsAfter = 4;

interface Learned {
  readonly heldMs: number;
  readonly keepaliveMs: number;
  readonly bindingsLost: number;
}

function logged(mediator: Program, message: string): Readonly<Record<string, unknown>>[] {
  const lines = mediator.stderr.split('\n').filter(line => line.includes(`"msg":"${message}"`));
  return lines.map(line => JSON.parse(line) as Readonly<Record<string, unknown>>);
}

/** Starts the mediator as if it had never been on this path, and gives what it has learned. */
async function learn(site: Site, natS: number): Promise<Learned> {
  const seconds = natS / scale;
  await site.home.carrier.setConntrackTimers({ udpSeconds: seconds, udpStreamSeconds: seconds });
  await rm(join(site.directory, 'mediator', 'path.json'), { force: true });
  const mediator = site.startMediator();
  try {
    const found = await until(() => logged(mediator, 'UDP lifetime of the path')[0], {
      what: 'the mediator to settle on a lifetime',
      deadlineMs: 240_000,
      intervalMs: 200,
      explain: () => mediator.stderr.slice(-1000),
    });
    const keepaliveMs = Number(found.keepaliveMs);
    await delay(roundsAfter * keepaliveMs);
    const bindingsLost = logged(mediator, 'a NAT had forgotten the UDP channel').length;
    return { heldMs: Number(found.heldMs ?? 0), keepaliveMs, bindingsLost };
  } finally {
    await mediator.stop();
  }
}

/** A day behind that NAT, on a moved clock. */
function simulate(natS: number): NatWorld {
  const world = new NatWorld({ natMs: natS * 1000 });
  world.start();
  world.pass(dayMs);
  return world;
}

async function measure(site: Site, context: BenchContext): Promise<readonly Figure[]> {
  await site.mediator.stop();
  const figures: Figure[] = [];
  let bindingsLost = 0;
  let disagreements = 0;
  for (const natS of context.quick ? natsS.slice(0, 1) : natsS) {
    const real = await learn(site, natS);
    const world = simulate(natS);
    const record = (what: string, value: number, unit: string) =>
      context.record({ round: 1, what: `nat_${natS}.${what}`, value, unit });
    record('learned_s', (real.keepaliveMs * scale) / 1000, 's');
    record('simulated_s', world.lifetime.keepaliveMs / 1000, 's');
    record('questions', world.lifetime.askedCount, 'packets');
    bindingsLost += real.bindingsLost + world.bindingsLost;
    if (real.heldMs * scale !== world.lifetime.knowledge.heldMs) disagreements++;
    const goal = natS === 120 ? atMost(1000) : undefined;
    figures.push({ name: `keepalive.per_day_${natS}`, value: world.packets, unit: 'packets', goal });
  }
  return [
    ...figures,
    { name: 'keepalive.bindings_lost', value: bindingsLost, unit: 'bindings', goal: atMost(0) },
    { name: 'keepalive.learned_otherwise', value: disagreements, unit: 'NATs', goal: atMost(0) },
  ];
}

/** See the head of this file. */
export const keepaliveBench: Bench = {
  name: 'keepalive',
  summary: 'packets a day that keep a UDP channel behind NATs of 30, 120 and 300 s, and bindings lost',
  run(context) {
    context.progress(
      'keepalive: learning behind three NATs, at a tenth of their times; two to three minutes',
    );
    return withSite(
      'bench',
      { mediatorConfig: `ladderUnitMs = ${1000 / scale}` },
      site => measure(site, context),
      { ports: 'fully-random' },
    );
  },
};
