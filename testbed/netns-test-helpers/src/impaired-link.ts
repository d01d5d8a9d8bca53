import { describeImpairment, type Impairment, settingWords } from './impairment.ts';
import { checkWhole } from './input.ts';
import { type EndSpec, Interface, type LinkOptions } from './link.ts';
import type { Namespace } from './namespace.ts';
import { NativeProgram } from './native.ts';

/*
 * Kernels often lack netem, so the link is cut in the middle: each end is a veth pair whose other end lies in a
 * namespace that nobody sees, where a program of ours carries frames from one to the other. It works wherever labs
 * work (packet sockets, where tun would need root), and the ends are interfaces like all others.
 */

/** A direction of an impaired link: `there` is from its first end to its second. */
export type Way = 'there' | 'back';

/** What became of the packets of one direction. */
export interface LinkCounters {
  /** IP packets that the sender put on the link, and their bytes. */
  readonly arrived: number;
  readonly arrivedBytes: number;
  /** Frames given to the receiver, doubled ones and neighbour traffic included. */
  readonly delivered: number;
  readonly deliveredBytes: number;
  readonly lost: number;
  readonly lostInBursts: number;
  /** Above `dropLongerThan`. */
  readonly tooLong: number;
  /** Found the queue of the rate limit full. */
  readonly queueFull: number;
  readonly corrupted: number;
  readonly duplicated: number;
  readonly reordered: number;
  /** ARP, IPv6 neighbour discovery and link-local groups, which pass at once and untouched. */
  readonly neighbour: number;
  /** Lost because the program was too slow or held too much: not 0 means that a figure cannot be trusted. */
  readonly overflowed: number;
  /** Held by the link now. */
  readonly underWay: number;
}

/** What {@link ImpairedLink} takes beside what it does to packets. */
export interface ImpairedLinkOptions extends LinkOptions {
  /** The same seed lets the same packets (the n-th of a direction) meet the same fate; 1 when left out. */
  readonly seed?: number;
}

/** A link that delays, loses, doubles, damages, reorders and limits. Made by `Lab.impairedLink`. */
export class ImpairedLink {
  /** The two interfaces, in the order in which the ends were given. */
  readonly ends: readonly [Interface, Interface];
  readonly #cable: NativeProgram;
  readonly #now: Record<Way, Impairment> = { there: {}, back: {} };

  constructor(ends: readonly [Interface, Interface], cable: NativeProgram) {
    this.ends = ends;
    this.#cable = cable;
  }

  /** What it does now. */
  get impairment(): Readonly<Record<Way, Impairment>> {
    return { ...this.#now };
  }

  /**
   * Changes what is named and leaves the rest; for one way or, without it, for both. Counts for what comes from now on:
   * what is under way arrives when it was to arrive.
   *
   * @throws LabError `bad-input`; `command-failed` when the link's program is gone.
   */
  async set(change: Impairment, way?: Way): Promise<void> {
    const ways = way === undefined ? (['there', 'back'] as const) : [way];
    await this.#put(ways.map(one => [one, { ...this.#now[one], ...change }]));
  }

  /** From now on it is a plain cable. @throws LabError `command-failed` */
  async clear(): Promise<void> {
    await this.#put([
      ['there', {}],
      ['back', {}],
    ]);
  }

  /** What became of the packets so far. @throws LabError `command-failed` */
  async counters(): Promise<Readonly<Record<Way, LinkCounters>>> {
    const [there, back] = (await this.#cable.ask('counters')) as [LinkCounters, LinkCounters];
    return { there, back };
  }

  toString(): string {
    return this.ends.join(' -- ');
  }

  async #put(wanted: readonly (readonly [Way, Impairment])[]): Promise<void> {
    const lines = wanted.map(([way, next]) => `set ${way === 'there' ? 0 : 1} ${settingWords(next)}`);
    await Promise.all(lines.map(line => this.#cable.ask(line)));
    for (const [way, next] of wanted) {
      this.#now[way] = next;
      this.ends[way === 'there' ? 0 : 1].lineNote = describeImpairment(next);
    }
  }
}

/**
 * Makes an impaired link; `middle` is the namespace in which its program works.
 *
 * @throws LabError `bad-input`, `command-failed`; `unsupported` where there is no C++ compiler.
 */
export async function makeImpairedLink(
  specs: readonly [EndSpec, EndSpec],
  impairment: Impairment,
  middle: Namespace,
  options: ImpairedLinkOptions,
): Promise<ImpairedLink> {
  const seed = checkWhole(options.seed ?? 1, 'seed', 0, Number.MAX_SAFE_INTEGER);
  settingWords(impairment);
  const mtu = options.mtu ?? 1_500;
  const ends = specs.map(spec => new Interface(spec, mtu)) as [Interface, Interface];
  const inside = ['a', 'b'] as const;
  for (const [at, end] of ends.entries()) await cutEnd(end, middle, inside[at] ?? '');
  const others = ends.flatMap(({ namespace, name }) => [namespace.path, name]);
  const longestFrame = mtu + 18;
  const cable = await NativeProgram.start(middle, 'impair', [seed, longestFrame, ...inside, ...others]);
  const link = new ImpairedLink(ends, cable);
  for (const end of ends) {
    await end.addGateways();
    end.namespace.interfaces.push(end);
  }
  await link.set(impairment);
  return link;
}

/** One half of the cable. The middle has no address and answers nothing: no ARP, no IPv6 of its own. */
async function cutEnd(end: Interface, middle: Namespace, peer: string): Promise<void> {
  const pair = `type veth peer name ${peer} netns ${middle.netns}`;
  await end.namespace.ip(`link add name ${end.name} ${pair}`, ...end.setUpLines());
  await middle.ip(`link set dev ${peer} mtu ${end.mtu} arp off addrgenmode none up`);
}
