import { setTimeout as delay } from 'node:timers/promises';
import type { Impairment, Program } from 'netns-test-helpers';
import type { Load } from '../scenarios/support/load.ts';
import { type Site, servicePort } from '../site.ts';
import { type Fault, faultsFor, type Heal } from '../topologies/faults.ts';
import type { Home } from '../topologies/home.ts';

/** What can go wrong with a whole Entremise while it works: the network's faults, bad lines, and programs that die. */

/** Where mishaps happen. */
export interface World {
  readonly home: Home;
  readonly site: Site;
  /** The server of now: a mishap may replace it. */
  server: Program;
  /** What runs meanwhile, if anything does. */
  load?: Load;
}

/** Something that goes wrong, until it is healed. */
export interface Mishap {
  readonly name: string;
  /** Longer than this it must not last, in milliseconds: what is open would be given up by design (P4.6). */
  readonly longestMs: number;
  begin(world: World): Promise<Heal>;
}

/** The CLI has its attachments held for 120 s; half of that leaves time to come back. */
const longestMs = 60_000;

const ofNetwork = [
  'gateway forgets its NAT',
  'carrier forgets its NAT',
  'WAN address replaced',
  'WAN cable pulled',
  'black hole',
  'new flows dropped',
  'new flows rejected',
  'reset forged by the carrier',
  "mediator's sockets killed",
  "server's sockets killed",
] as const;

function networkMishap(name: string, fault: Fault): Mishap {
  return { name, longestMs, begin: ({ home }) => fault(home) };
}

const badLines: Readonly<Record<string, Impairment>> = {
  'a tenth is lost': { lossRatio: 0.1 },
  'a third is lost': { lossRatio: 0.3, delayMs: 10 },
  'bursts are lost': { burstRatio: 0.03, burstPackets: 5 },
  'a long and uneven way': { delayMs: 200, jitterMs: 80 },
  'a satellite with a short queue': { delayMs: 750, rateKbit: 10_000, queuePackets: 25 },
  'doubled, late and out of order': {
    duplicateRatio: 0.1,
    duplicateAfterMs: 300,
    reorderRatio: 0.05,
    reorderByMs: 30,
  },
  'damaged packets': { corruptRatio: 0.03 },
  'a narrow line': { rateKbit: 2_000, queueMs: 500 },
  'long packets vanish': { dropLongerThan: 1_280 },
};

function lineMishap(name: string, impairment: Impairment): Mishap {
  return {
    name,
    longestMs,
    async begin({ home: { line } }) {
      if (line === undefined) throw new Error('this home has no bad line');
      await line.set(impairment);
      return () => line.clear();
    },
  };
}

function serverEnds(name: string, signal: 'SIGKILL' | 'SIGTERM'): Mishap {
  return {
    name,
    longestMs,
    async begin(world) {
      await world.server.stop(signal);
      return async () => {
        world.server = world.site.startServer();
        await world.home.server.untilListening('tcp', servicePort);
      };
    },
  };
}

const mediatorStandsStill: Mishap = {
  name: 'the mediator stands still',
  longestMs: 10_000,
  async begin({ site: { mediator } }) {
    mediator.kill('SIGSTOP');
    return async () => void mediator.kill('SIGCONT');
  },
};

/** Of each tenth of a second the mediator has one hundredth. */
const mediatorIsStarved: Mishap = {
  name: 'the mediator has a tenth of its time',
  longestMs,
  async begin({ site: { mediator } }) {
    const slice = setInterval(() => {
      mediator.kill('SIGCONT');
      setTimeout(() => mediator.kill('SIGSTOP'), 10);
    }, 100);
    return async () => {
      clearInterval(slice);
      // Behind the last slice.
      await delay(20);
      mediator.kill('SIGCONT');
    };
  },
};

/** The kernels of both ends look for a smaller size by themselves, as `net.ipv4.tcp_mtu_probing` allows. */
const longPacketsVanishForProbers: Mishap = {
  name: 'long packets vanish, and kernels probe',
  longestMs,
  async begin({ home }) {
    const ends = [home.gateway, home.server];
    const probe = (value: number) =>
      Promise.all(ends.map(end => end.sysctl({ 'net.ipv4.tcp_mtu_probing': value })));
    await probe(1);
    const { line } = home;
    if (line === undefined) throw new Error('this home has no bad line');
    await line.set({ dropLongerThan: 1_280 });
    return async () => {
      await line.clear();
      await probe(0);
    };
  },
};

/** At one end of all streams nobody reads. */
const readersStop: Mishap = {
  name: 'readers stop',
  longestMs,
  async begin({ load }) {
    load?.pause(['accept']);
    return async () => load?.goOn();
  },
};

/** The one of that name. @throws RangeError when there is none */
export function namedMishap(name: string): Mishap {
  const found = allMishaps().find(mishap => mishap.name === name);
  if (found === undefined) throw new RangeError(`there is no mishap "${name}"`);
  return found;
}

/** All of them. Some need a home with a line that can be made bad. */
export function allMishaps(): readonly Mishap[] {
  const faults = faultsFor(servicePort);
  return [
    ...ofNetwork.flatMap(name => {
      const fault = faults[name];
      return fault === undefined ? [] : [networkMishap(name, fault)];
    }),
    ...Object.entries(badLines).map(([name, impairment]) => lineMishap(name, impairment)),
    serverEnds('the server is killed', 'SIGKILL'),
    serverEnds('the server is stopped', 'SIGTERM'),
    mediatorStandsStill,
    mediatorIsStarved,
    longPacketsVanishForProbers,
    readersStop,
  ];
}
