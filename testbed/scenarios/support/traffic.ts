import { type Namespace, type Program, until } from 'netns-test-helpers';
import { programPath } from './peers.ts';
import { jsonLines, type Teardown } from './verbs.ts';

/** Streams of testbed/programs/traffic.py, whose every byte tells where it belongs. */

/** Who sends on a stream, once it is there: both ends, who connects, who accepts, or nobody before the end. */
export type Manner = 'both' | 'up' | 'down' | 'idle';

/** Something that went wrong with bytes: they never came, came again, came late, or belong nowhere. */
export interface StreamFault {
  readonly kind: 'lost' | 'doubled' | 'reordered' | 'garbled';
  readonly at: number;
  readonly bytes: number;
}

/** What one end says of a stream. */
export interface StreamEnd {
  readonly stream: number;
  readonly manner: Manner;
  readonly sent: number;
  readonly received: number;
  /** How its own half ended, and the other's: `fin`, `ECONNRESET`, `EPIPE`, …; null as long as it runs. */
  readonly sendEnd: string | null;
  readonly receiveEnd: string | null;
  /** The longest time in which nothing came. */
  readonly longestGapMs: number;
  readonly faults: readonly StreamFault[];
}

/** A stream, as both its ends saw it. */
export interface Story {
  readonly connect: StreamEnd;
  readonly accept: StreamEnd;
}

/** What a stream is to do. */
export interface StreamSpec {
  readonly stream: number;
  readonly manner: Manner;
  /** Bytes a second of each end that sends; 0 is as fast as it goes; 65,536 when left out. */
  readonly rate?: number;
  /** An end that sends stops by itself after so many. */
  readonly bytes?: number;
}

/** Whose halves end first: the other's go on until theirs have come to an end. */
export type StopOrder = 'connect-first' | 'accept-first' | 'together';

/** The program that opens streams, or the one that takes them. */
export type TrafficEnd = 'connect' | 'accept';

const receives = (end: TrafficEnd, { manner }: StreamEnd) =>
  manner === 'both' || (end === 'connect' ? manner === 'down' : manner === 'up');

/** Streams between one program that accepts and one that connects, perhaps through a tunnel. */
export class Traffic {
  readonly #accept: Program;
  #connect: Program | undefined;
  #specs: readonly StreamSpec[] = [];
  #asked = 0;

  private constructor(accept: Program) {
    this.#accept = accept;
  }

  /** Starts the end that accepts; it lives as long as the test. */
  static async listen(t: Teardown, where: Namespace, address: string, number: number): Promise<Traffic> {
    const program = startTraffic(t, where, ['accept', address, number]);
    await program.untilOutput(/"listening"/);
    return new Traffic(program);
  }

  /** Opens the streams, and waits until the end that accepts has met all of them. */
  async connect(
    t: Teardown,
    where: Namespace,
    address: string,
    number: number,
    specs: readonly StreamSpec[],
    deadlineMs = 20_000,
  ): Promise<void> {
    const words = specs.map(({ stream, manner, rate = 65_536, bytes }) => {
      return `${stream}:${manner}:${rate}${bytes === undefined ? '' : `:${bytes}`}`;
    });
    this.#specs = specs;
    this.#connect = startTraffic(t, where, ['connect', address, number, ...words]);
    const met = () => jsonLines(this.#accept.stdout).filter(line => line.accepted === true).length;
    await until(() => met() >= specs.length, {
      what: `${specs.length} streams to be accepted`,
      deadlineMs,
      explain: () => `${this.#connect?.stdout}${this.#connect?.stderr}\n${this.#accept.stdout}`,
    });
  }

  /** Where every stream stands. */
  async ends(): Promise<Readonly<Record<TrafficEnd, readonly StreamEnd[]>>> {
    const [connect, accept] = await Promise.all([this.#ask(this.#connecting), this.#ask(this.#accept)]);
    return { connect, accept };
  }

  /**
   * Waits until each stream that is to carry bytes has carried `bytes` more in each direction (any, when left out); gives
   * the milliseconds. @throws Error at once when one has ended, LabError `deadline` when one stands still
   */
  async untilMoving(deadlineMs = 10_000, bytes = 1): Promise<number> {
    const startedAt = performance.now();
    const before = await this.ends();
    const stands = async () => {
      const now = await this.ends();
      return (['connect', 'accept'] as const).flatMap(end =>
        now[end].filter(
          (one, at) => receives(end, one) && one.received < (before[end][at]?.received ?? 0) + bytes,
        ),
      );
    };
    const explain = async () => `these stand: ${JSON.stringify(await stands())}`;
    let over: readonly StreamEnd[] = [];
    const known = async () => {
      const still = await stands();
      over = still.filter(({ receiveEnd }) => receiveEnd !== null);
      return still.length === 0 || over.length > 0;
    };
    // Of many streams what each says is long.
    const intervalMs = Math.max(20, this.#specs.length);
    await until(known, { what: 'all streams to move', deadlineMs, intervalMs, explain });
    if (over.length > 0) throw new Error(`these will move no more: ${JSON.stringify(over)}`);
    return performance.now() - startedAt;
  }

  /** Lets all streams come to their end, and gives what both ends say of each. */
  async stop(order: StopOrder = 'together', deadlineMs = 20_000): Promise<Story[]> {
    const [first, second] =
      order === 'accept-first' ? (['accept', 'connect'] as const) : (['connect', 'accept'] as const);
    this.#order(first);
    if (order !== 'together') await this.#untilOneHalfEnded(first, deadlineMs);
    this.#order(second);
    return this.ended(deadlineMs);
  }

  /** Waits until all streams have ended, by themselves or by `stop`, and gives what both ends say of each. */
  async ended(deadlineMs = 20_000): Promise<Story[]> {
    const last = ({ stdout }: Program) => jsonLines(stdout).filter(line => line.ended === true);
    const all = () =>
      [last(this.#connecting), last(this.#accept)].map(lines => lines as unknown as StreamEnd[]);
    await until(() => all().every(lines => lines.length === this.#specs.length), {
      what: 'all streams to end at both ends',
      deadlineMs,
      explain: async () => JSON.stringify(await this.ends()),
    });
    const [connect = [], accept = []] = all();
    return this.#specs.map(({ stream }) => ({
      connect: endOf(connect, stream),
      accept: endOf(accept, stream),
    }));
  }

  /** Lets one end reset a stream, and waits until the other has heard of it. */
  async abort(end: TrafficEnd, stream: number, deadlineMs = 10_000): Promise<void> {
    this.#programOf(end).write(`abort ${stream}\n`);
    const other = end === 'connect' ? 'accept' : 'connect';
    const heard = async () => endOf((await this.ends())[other], stream).receiveEnd !== null;
    await until(heard, { what: `the other end to hear of the reset of stream ${stream}`, deadlineMs });
  }

  /** Stops these programs as they are: what comes for them waits in their kernel, until that is full. */
  pause(ends: readonly TrafficEnd[]): void {
    for (const end of ends) this.#programOf(end).kill('SIGSTOP');
  }

  /** Lets both go on. */
  goOn(): void {
    for (const end of ['connect', 'accept'] as const) this.#programOf(end).kill('SIGCONT');
  }

  #programOf(end: TrafficEnd): Program {
    return end === 'connect' ? this.#connecting : this.#accept;
  }

  get #connecting(): Program {
    if (this.#connect === undefined) throw new Error('connect() was not called');
    return this.#connect;
  }

  #order(end: TrafficEnd): void {
    (end === 'connect' ? this.#connecting : this.#accept).write('stop\n');
  }

  /** One direction of each stream has ended, the other still carries bytes. */
  async #untilOneHalfEnded(first: TrafficEnd, deadlineMs: number): Promise<void> {
    const other = first === 'connect' ? 'accept' : 'connect';
    const heard = async () => (await this.ends())[other].every(({ receiveEnd }) => receiveEnd !== null);
    await until(heard, { what: `the ${other} ends to hear the end`, deadlineMs });
    const goesOn = (ends: readonly StreamEnd[]) => ends.filter(one => receives(first, one));
    const before = goesOn((await this.ends())[first]);
    const moved = async () =>
      goesOn((await this.ends())[first]).every(({ received }, at) => received > (before[at]?.received ?? 0));
    await until(moved, {
      what: `the ${first} ends to get more after they have ended their half`,
      deadlineMs,
    });
  }

  async #ask(program: Program): Promise<readonly StreamEnd[]> {
    this.#asked += 1;
    const number = this.#asked;
    program.write(`totals ${number}\n`);
    // What was asked before is as long, and need not be read again.
    const begins = `{"number": ${number},`;
    const answer = () => {
      const at = program.stdout.lastIndexOf(begins);
      return at < 0 ? undefined : jsonLines(program.stdout.slice(at))[0];
    };
    const found = await until(answer, { what: `${program} to say its totals`, intervalMs: 10 });
    return found.totals as readonly StreamEnd[];
  }
}

function startTraffic(t: Teardown, where: Namespace, words: readonly (string | number)[]): Program {
  const argv = ['python3', programPath('traffic.py'), ...words.map(String)];
  const program = where.spawn(argv, { stdin: 'pipe' });
  t.teardown(() => program.stop('SIGKILL'));
  return program;
}

function endOf(ends: readonly StreamEnd[], stream: number): StreamEnd {
  const found = ends.find(end => end.stream === stream);
  if (found === undefined) throw new Error(`no end of stream ${stream}`);
  return found;
}

/** All that keeps stories from being "every byte came once and in order, and each half ended by FIN"; none is good. */
export function flawsOf(stories: readonly Story[]): string[] {
  return stories.flatMap(({ connect, accept }) => [
    ...flawsOfHalf(connect, accept, 'up'),
    ...flawsOfHalf(accept, connect, 'down'),
  ]);
}

function flawsOfHalf(from: StreamEnd, to: StreamEnd, way: string): string[] {
  const name = `stream ${from.stream} ${way}`;
  return [
    ...to.faults.map(({ kind, at, bytes }) => `${name}: ${bytes} bytes ${kind} at ${at}`),
    ...(from.sent === to.received ? [] : [`${name}: ${from.sent} sent, ${to.received} received`]),
    ...[from.sendEnd, to.receiveEnd].filter(end => end !== 'fin').map(end => `${name}: ended by ${end}`),
  ];
}

/**
 * What must not be even where streams were reset: bytes doubled, reordered or garbled, a FIN behind bytes that are missing,
 * an end that one side takes for clean and the other for an abort.
 */
export function liesOf(stories: readonly Story[]): string[] {
  return stories.flatMap(({ connect, accept }) => [
    ...liesOfHalf(connect, accept, 'up'),
    ...liesOfHalf(accept, connect, 'down'),
  ]);
}

function liesOfHalf(from: StreamEnd, to: StreamEnd, way: string): string[] {
  const name = `stream ${from.stream} ${way}`;
  const faults = to.faults.map(({ kind, at, bytes }) => `${name}: ${bytes} bytes ${kind} at ${at}`);
  if (to.receiveEnd !== 'fin') return faults;
  const whole = from.sendEnd === 'fin' && from.sent === to.received;
  return whole ? faults : [...faults, `${name}: a FIN after ${to.received} of ${from.sent} bytes`];
}
