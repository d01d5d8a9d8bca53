import { type Program, type SpawnOptions, until } from 'netns-test-helpers';
import { mediatorName } from '../../site.ts';
import { homeAddresses } from '../../topologies/home.ts';
import { programPath } from './peers.ts';
import type { Stage } from './stage.ts';
import { profileFolder } from './technicians.ts';
import {
  flawsOf,
  liesOf,
  type Manner,
  type StopOrder,
  type Story,
  type StreamSpec,
  Traffic,
  type TrafficEnd,
} from './traffic.ts';
import { type Json, jsonLines, startExpose, startVerb, type Teardown, untilForwards } from './verbs.ts';

/**
 * What runs while something goes wrong: byte-counted streams through `forward` and through `expose`, an idle one, and
 * commands at a steady rate.
 */

/** What is to run; the usual load when left out. */
export interface LoadOptions {
  /** Streams that both ends send on, through forward and through expose each; 4. */
  readonly streams?: number;
  /** More streams through forward, one of each manner; an idle one. */
  readonly others?: readonly Manner[];
  /** Bytes a second of each end that sends; 65,536; 0 is as fast as it goes. */
  readonly rate?: number;
  /** Commands a second; 5; 0 for none. */
  readonly commands?: number;
}

/** What the commands came to. */
export interface CommandTotals {
  readonly asked: number;
  readonly answered: number;
  /** How many failed, by reason. */
  readonly failed: Readonly<Record<string, number>>;
  readonly attachments: number;
  /** How many of the answered are in the times below: all, or those asked since {@link Load.timeAfresh}. */
  readonly timed: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly maxMs: number;
  /** Ports that were opened and not closed; undefined when there is no attachment to ask. */
  readonly portsLeft?: number;
}

/** What everything came to. */
export interface Outcome {
  readonly stories: readonly Story[];
  readonly commands: CommandTotals | undefined;
}

let nextNumber = 6_000;

/** A load that runs. */
export class Load {
  readonly #traffics: readonly Traffic[];
  readonly #commands: Program | undefined;
  #asked = 0;

  /** Loads come from {@link startLoad}. */
  constructor(traffics: readonly Traffic[], commands: Program | undefined) {
    this.#traffics = traffics;
    this.#commands = commands;
  }

  /** At one end of all streams, or at both, nobody reads or sends until {@link goOn}. */
  pause(ends: readonly TrafficEnd[]): void {
    for (const traffic of this.#traffics) traffic.pause(ends);
  }

  /** Ends every {@link pause}. */
  goOn(): void {
    for (const traffic of this.#traffics) traffic.goOn();
  }

  /** Waits until every stream has carried `bytes` more (any, when left out) each way that it goes; gives the milliseconds. */
  async untilMoving(deadlineMs = 10_000, bytes = 1): Promise<number> {
    return Math.max(...(await Promise.all(this.#traffics.map(one => one.untilMoving(deadlineMs, bytes)))));
  }

  /** What the commands have come to so far; undefined without commands. */
  async commandTotals(): Promise<CommandTotals | undefined> {
    const program = this.#commands;
    if (program === undefined) return undefined;
    this.#asked += 1;
    program.write(`totals ${this.#asked}\n`);
    return untilLine(program, 'its totals', line => line.number === this.#asked);
  }

  /** From now on the times of {@link CommandTotals} are those of commands asked from now on. */
  timeAfresh(): void {
    this.#commands?.write('afresh\n');
  }

  /** Ends everything in an orderly way, and gives what both ends say of it. */
  async stop(order: StopOrder = 'together', deadlineMs = 20_000): Promise<Outcome> {
    const stories = (await Promise.all(this.#traffics.map(one => one.stop(order, deadlineMs)))).flat();
    return { stories, commands: await this.#stopCommands(deadlineMs) };
  }

  async #stopCommands(deadlineMs: number): Promise<CommandTotals | undefined> {
    if (this.#commands === undefined) return undefined;
    this.#commands.write('stop\n');
    return untilLine(this.#commands, 'what it came to', line => line.ended === true, deadlineMs);
  }
}

async function untilLine(
  program: Program,
  what: string,
  matches: (line: Json) => boolean,
  deadlineMs = 10_000,
): Promise<CommandTotals> {
  const found = await until(() => jsonLines(program.stdout).findLast(matches), {
    what: `${program} to say ${what}`,
    deadlineMs,
    intervalMs: 10,
    explain: () => `${program.stdout.slice(-1_000)}${program.stderr.slice(-1_000)}`,
  });
  return found as unknown as CommandTotals;
}

/** Starts the load, and waits until all of it moves. */
export async function startLoad(t: Teardown, stage: Stage, options: LoadOptions = {}): Promise<Load> {
  const { streams = 4, others = ['idle'], rate = 65_536, commands = 5 } = options;
  const both = (from: number): StreamSpec[] =>
    Array.from({ length: streams }, (_, at) => ({ stream: from + at, manner: 'both', rate }));
  const extra = others.map((manner, at): StreamSpec => ({ stream: 101 + at, manner, rate }));
  const traffics = [
    ...(streams + extra.length === 0 ? [] : [await trafficThroughForward(t, stage, [...both(1), ...extra])]),
    ...(streams === 0 ? [] : [await trafficThroughExpose(t, stage, both(51))]),
  ];
  const load = new Load(traffics, commands === 0 ? undefined : await startCommands(t, stage, commands));
  await load.untilMoving(20_000);
  return load;
}

/** Streams that the terminal opens to the device. `options`: of the forward's program. */
export async function trafficThroughForward(
  t: Teardown,
  stage: Stage,
  specs: readonly StreamSpec[],
  options: SpawnOptions = {},
): Promise<Traffic> {
  const number = nextNumber++;
  const traffic = await Traffic.listen(t, stage.home.device, homeAddresses.device, number);
  const words = ['forward', mediatorName, `0:${homeAddresses.device}:${number}`];
  const [port = 0] = await untilForwards(startVerb(t, stage, words, options), 1);
  await traffic.connect(t, stage.home.terminal, '127.0.0.1', port, specs);
  return traffic;
}

/** Streams that the device opens to the terminal. */
export async function trafficThroughExpose(
  t: Teardown,
  stage: Stage,
  specs: readonly StreamSpec[],
): Promise<Traffic> {
  const number = nextNumber++;
  const traffic = await Traffic.listen(t, stage.home.terminal, '127.0.0.1', number);
  await startExpose(t, stage, String(number), `127.0.0.1:${number}`);
  await traffic.connect(t, stage.home.device, homeAddresses.gatewayLan, number, specs);
  return traffic;
}

async function startCommands(t: Teardown, stage: Stage, perSecond: number): Promise<Program> {
  const words = [profileFolder(stage.site.terminalEnv), mediatorName, String(perSecond)];
  const options = { stdin: 'pipe', env: stage.site.terminalEnv } as const;
  const program = stage.home.terminal.node(programPath('sdk-commands.mjs'), words, options);
  t.teardown(() => program.stop('SIGKILL'));
  await program.untilOutput(/"attached"/);
  return program;
}

/** All that keeps an outcome from being "nothing lost, nothing failed, nothing left behind"; none is good. */
export function flawsOfLoad({ stories, commands }: Outcome): string[] {
  if (commands === undefined) return flawsOf(stories);
  const { asked, answered, failed, portsLeft } = commands;
  return [
    ...flawsOf(stories),
    ...(asked === answered
      ? []
      : [`${asked} commands asked, ${answered} answered, ${JSON.stringify(failed)}`]),
    ...(portsLeft === 0 ? [] : [`${portsLeft} ports left open`]),
  ];
}

/** What must not be even where streams were reset and commands failed. */
export function liesOfLoad({ stories, commands }: Outcome): string[] {
  const left = commands?.portsLeft ?? 0;
  return [...liesOf(stories), ...(left === 0 ? [] : [`${left} ports left open`])];
}
