import process from 'node:process';
import { type Program, until } from 'netns-test-helpers';
import { mediatorName } from '../../site.ts';
import { programPath } from './peers.ts';
import type { Stage } from './stage.ts';
import { profileFolder } from './technicians.ts';
import { jsonLines, type Teardown, untilJson } from './verbs.ts';

/** Questions and answers of testbed/programs/sdk-redirect.mjs, 20 a second through a redirected port. */

/** What they have come to. */
export interface FlowCounts {
  readonly asked: number;
  readonly answered: number;
  /** Answers that came late or twice. */
  readonly disordered: number;
}

/** A redirected port of a terminal, and an echo service of the LAN. */
export class RedirectedFlow {
  readonly #program: Program;

  private constructor(program: Program) {
    this.#program = program;
  }

  /** Opens the port at an address of the mediator, and waits until its datagrams go over UDP. */
  static async start(
    t: Teardown,
    { home, site }: Stage,
    where: { readonly from: string; readonly to: string; readonly number?: number },
  ): Promise<RedirectedFlow> {
    const words = [
      profileFolder(site.terminalEnv),
      mediatorName,
      where.from,
      where.to,
      String(where.number ?? 7),
    ];
    const argv = [process.execPath, programPath('sdk-redirect.mjs'), ...words];
    const program = home.terminal.spawn(argv, { stdin: 'pipe', keepBytes: 1 << 20 });
    t.teardown(() => program.stop('SIGKILL'));
    await untilJson(program, 'UDP', line => line.result === 'udp' || line.channel === 'udp', 30_000);
    return new RedirectedFlow(program);
  }

  /** The newest counts. */
  get counts(): FlowCounts {
    const found = jsonLines(this.#program.stdout).findLast(line => 'asked' in line);
    return (found ?? { asked: 0, answered: 0, disordered: 0 }) as unknown as FlowCounts;
  }

  /** The channels that it was told of since it began: those that it changed to. */
  get changes(): readonly unknown[] {
    return jsonLines(this.#program.stdout).flatMap(line => ('channel' in line ? [line.channel] : []));
  }

  /** Waits for counts of which `holds` is true, and gives the milliseconds. */
  async untilCounts(
    what: string,
    holds: (counts: FlowCounts) => boolean,
    deadlineMs = 30_000,
  ): Promise<number> {
    const began = performance.now();
    await until(() => holds(this.counts), {
      what: `${what} of the redirected flow`,
      deadlineMs,
      explain: () => `${this.#program.stdout.slice(-2_000)}${this.#program.stderr.slice(-2_000)}`,
    });
    return performance.now() - began;
  }

  /** Waits until so many answers more have come, and gives the milliseconds. */
  untilAnswered(more: number, deadlineMs?: number): Promise<number> {
    const { answered } = this.counts;
    return this.untilCounts(`${more} answers`, counts => counts.answered >= answered + more, deadlineMs);
  }

  /** Waits until so many answers in a row have come by UDP: a channel may be tried, and lost, before it stays. */
  async untilStaysOnUdp(answers: number, deadlineMs = 30_000): Promise<void> {
    let since: { readonly changes: number; readonly answered: number } | undefined;
    const stays = () => {
      const { changes, counts } = this;
      if (changes.at(-1) === 'tcp') since = undefined;
      else if (since?.changes !== changes.length)
        since = { changes: changes.length, answered: counts.answered };
      return since !== undefined && counts.answered >= since.answered + answers;
    };
    const explain = () => `${this.#program.stdout.slice(-2_000)}${this.#program.stderr.slice(-2_000)}`;
    await until(stays, { what: `${answers} answers in a row by UDP`, deadlineMs, explain });
  }

  /** Asks no more, or again. */
  async order(what: 'rest' | 'ask'): Promise<void> {
    const done = () => jsonLines(this.#program.stdout).filter(({ did }) => did === what).length;
    const before = done();
    this.#program.write(`${what}\n`);
    await until(() => done() > before, { what: `the redirected flow to ${what}` });
  }
}
