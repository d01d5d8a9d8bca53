import { rm } from 'node:fs/promises';
import { type Program, until } from 'netns-test-helpers';
import { programPath } from '../scenarios/support/peers.ts';
import { profileFolder } from '../scenarios/support/technicians.ts';
import { flawsOf, type StreamSpec, Traffic } from '../scenarios/support/traffic.ts';
import { type Json, jsonLines } from '../scenarios/support/verbs.ts';
import { mediatorName, type Site, servicePort, setUpSite } from '../site.ts';
import { buildHome, type Home, homeAddresses } from '../topologies/home.ts';
import {
  collectable,
  descriptorsOf,
  type Footprint,
  footprintOf,
  footprintText,
  leaksOf,
} from './footprint.ts';

/**
 * Link after link is cut while streams and commands go on, and nothing may be kept: no number, no listener, no descriptor, no
 * memory, at none of the three programs. Most cuts are of the terminal's link, whose waits are shortened so that it is back
 * soon; after each hundred the mediator's own link is cut too.
 */

/** How many, and who is told. */
export interface FlapOptions {
  readonly flaps: number;
  /** A line for whoever waits. */
  say(line: string): void;
}

/** What it came to. */
export interface FlapReport {
  readonly flaps: number;
  readonly minutes: number;
  readonly before: Readonly<Record<string, Footprint>>;
  readonly after: Readonly<Record<string, Footprint>>;
  /** What was not as it must be; none is good. */
  readonly flaws: readonly string[];
}

const batch = 100;
const sayEvery = 500;
/** Before these heaps and tables are still growing to what they need. */
const warmUp = 100;
/** Sockets by which the mediator asks how long its NAT remembers come and go. */
const chanceDescriptors = 4;
const backWithinMs = 600_000;
const divisor = 100;
const forwardedNumber = 5_901;
const exposedNumber = 5_902;

interface Scene {
  readonly home: Home;
  readonly site: Site;
  readonly undo: (() => unknown)[];
  teardown(undo: () => unknown): void;
}

function footprintsText(all: Readonly<Record<string, Footprint>>): string {
  return Object.entries(all)
    .map(([name, footprint]) => `${name} ${footprintText(footprint)}`)
    .join('; ');
}

class Flapping {
  private readonly scene: Scene;
  private readonly options: FlapOptions;
  private nextId = 1;
  private done = 0;
  private traffics: readonly Traffic[] = [];
  private program: Program | undefined;
  private listenersAfter: number[] = [];

  constructor(scene: Scene, options: FlapOptions) {
    this.scene = scene;
    this.options = options;
  }

  private get terminal(): Program {
    if (this.program === undefined) throw new Error('the terminal has not been started');
    return this.program;
  }

  private async start(): Promise<void> {
    const { scene } = this;
    const { home, site } = scene;
    const atDevice = await Traffic.listen(scene, home.device, homeAddresses.device, forwardedNumber);
    const atTerminal = await Traffic.listen(scene, home.terminal, '127.0.0.1', exposedNumber);
    const words = [
      profileFolder(site.terminalEnv),
      mediatorName,
      `${homeAddresses.device}:${forwardedNumber}`,
      homeAddresses.gatewayLan,
      exposedNumber,
      `127.0.0.1:${exposedNumber}`,
      servicePort,
      divisor,
    ].map(String);
    const program = home.terminal.node(programPath('sdk-flaps.mjs'), words, {
      stdin: 'pipe',
      env: collectable,
    });
    this.program = program;
    scene.teardown(() => program.stop('SIGKILL'));
    const { port } = await this.line('that it is ready', line => 'port' in line);
    const specs = [1, 2].map((stream): StreamSpec => ({ stream, manner: 'both', rate: 16_384 }));
    const idle: StreamSpec = { stream: 3, manner: 'idle' };
    await atDevice.connect(scene, home.terminal, '127.0.0.1', Number(port), [...specs, idle]);
    await atTerminal.connect(scene, home.device, homeAddresses.gatewayLan, exposedNumber, specs);
    this.traffics = [atDevice, atTerminal];
  }

  private line(what: string, matches: (line: Json) => boolean): Promise<Json> {
    const { terminal } = this;
    return until(() => jsonLines(terminal.stdout).findLast(matches), {
      what: `the terminal to say ${what}`,
      deadlineMs: backWithinMs,
      intervalMs: 20,
      explain: () => `${terminal.stdout.slice(-1_000)}${terminal.stderr.slice(-1_000)}`,
    });
  }

  private async cut(times: number): Promise<void> {
    for (let left = times; left > 0; left -= batch) {
      const count = Math.min(left, batch);
      const id = this.nextId++;
      this.terminal.write(`cut ${count} ${id}\n`);
      const said = await this.line(`that ${count} cuts are over`, line => line.id === id);
      this.listenersAfter.push(Number(said.listeners));
      await this.cutMediator();
      this.done += count;
      if (this.done % sayEvery === 0)
        this.options.say(`${this.done} cuts: ${footprintsText(await this.footprints())}`);
    }
  }

  private async cutMediator(): Promise<void> {
    const id = this.nextId++;
    this.terminal.write(`expect ${id}\n`);
    await this.scene.home.gateway.killConnections([servicePort]);
    await this.line('that it is back', line => line.id === id);
  }

  private async footprints(): Promise<Record<string, Footprint>> {
    const { site } = this.scene;
    const programs = { mediator: site.mediator, server: site.server, terminal: this.terminal };
    const named = Object.entries(programs).map(async ([name, program]) => [name, await footprintOf(program)]);
    return Object.fromEntries(await Promise.all(named));
  }

  private async untilMoving(): Promise<void> {
    await Promise.all(this.traffics.map(traffic => traffic.untilMoving(60_000)));
  }

  private async listening(): Promise<number> {
    const lines = await this.scene.home.gateway.query([
      'ss',
      '--tcp',
      '--listening',
      '--no-header',
      '--numeric',
    ]);
    return lines.split('\n').filter(line => line !== '').length;
  }

  async play(): Promise<Omit<FlapReport, 'minutes'>> {
    const { flaps, say } = this.options;
    const bare = {
      descriptors: descriptorsOf(this.scene.site.mediator.pid),
      listening: await this.listening(),
    };
    await this.start();
    await this.cut(Math.min(warmUp, flaps));
    await this.untilMoving();
    const before = await this.footprints();
    say(`after ${this.done} cuts to warm up: ${footprintsText(before)}`);
    await this.cut(Math.max(0, flaps - this.done));
    await this.untilMoving();
    const after = await this.footprints();
    const leaks = Object.entries(after).flatMap(([name, now]) => leaksOf(name, before[name] ?? now, now));
    const flaws = [...leaks, ...(await this.stopAll()), ...(await this.leftAtMediator(bare))];
    return { flaps: this.done, before, after, flaws };
  }

  private async stopAll(): Promise<string[]> {
    const stories = await Promise.all(this.traffics.map(traffic => traffic.stop('together', 60_000)));
    this.terminal.write('stop\n');
    const { portsLeft, ended } = await this.line('that it has stopped', line => line.stopped === true);
    const grown = (this.listenersAfter.at(-1) ?? 0) > (this.listenersAfter[0] ?? 0);
    return [
      ...flawsOf(stories.flat()),
      ...(portsLeft === 0 ? [] : [`${portsLeft} ports left open`]),
      ...(ended === 0 ? [] : [`${ended} attachments ended`]),
      ...(grown ? [`event listeners at the terminal: ${this.listenersAfter.join(', ')}`] : []),
    ];
  }

  /** With the last attachment gone the mediator holds no number and no listener: what it holds is as before the first. */
  private async leftAtMediator(bare: { descriptors: number; listening: number }): Promise<string[]> {
    const { mediator } = this.scene.site;
    const heldMore = () => descriptorsOf(mediator.pid) - bare.descriptors;
    const isBare = async () => heldMore() <= chanceDescriptors && (await this.listening()) === bare.listening;
    const settled = await until(isBare, { what: 'the mediator to hold nothing', deadlineMs: 20_000 }).catch(
      () => false,
    );
    if (settled) return [];
    return [
      `the mediator holds ${heldMore()} descriptors more than before, ${await this.listening()} listeners`,
    ];
  }
}

/**
 * Cuts that many links.
 * @throws LabError, EntremiseError when a program does not come back, or ends by itself
 */
export async function runFlaps(options: FlapOptions): Promise<FlapReport> {
  const startedAt = performance.now();
  const undo: (() => unknown)[] = [];
  const home = await buildHome({ name: 'flaps' });
  let folder: string | undefined;
  try {
    const site = await setUpSite(home, { serverEnv: collectable, mediatorEnv: collectable });
    folder = site.directory;
    const scene = { home, site, undo, teardown: (each: () => unknown) => void undo.push(each) };
    const came = await new Flapping(scene, options).play();
    if (came.flaws.length > 0) options.say(`evidence: ${await home.lab.keepEvidence()}`);
    return { ...came, minutes: (performance.now() - startedAt) / 60_000 };
  } finally {
    for (const each of undo.reverse()) await each();
    await home.lab.destroy();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}
