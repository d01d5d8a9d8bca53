import type { Clock } from '../base/clock.ts';
import { type PacketPeer, probeBytes } from '../wire/packet.ts';

/**
 * The longest packet that one direction of a channel's path takes, found by padded probes (P7.5, in the manner of RFC 8899):
 * first the longest that an Ethernet bears, then halves of what is left between what has come and what has not.
 *
 *     base --begin()--> searching --nothing is left to try--> settled --confirm()--> confirming
 *                         ^ └──nothing passes at all──> stuck   │ when it is old and short │ a black hole
 *                         └───────────────confirm()───────┘─────┴──────────────────────────┘
 */

/** What every path bears: PROBE has that length (P7.1). */
const basePacketBytes = probeBytes;

/** What an Ethernet frame has left behind the headers of IP and UDP. */
const ethernetBytes = 1500;
const headersBytes = { 4: 28, 6: 48 } as const;

/** A size is as good as found when what is left to try is this little. */
const stepBytes = 4;

/** A size is asked for so often, this far apart, until it counts as too long; a late answer counts still. */
const tries = 3;
const tryMs = 600;

/** Questions that a late answer is still taken for. */
const remembered = 64;

/** How often at most a path that is short, and used, is looked at again: it may have become longer. */
const raiseMs = 600_000;

/** What a search needs and tells. */
export interface PathSizeOptions {
  readonly clock: Clock;
  /** Sends a SIZE that has that length as a whole. */
  send(id: number, packetBytes: number): void;
  /** {@link PathSize.packetBytes} has changed. */
  onChange(packetBytes: number): void;
}

/** What is asked for now, and what follows from an answer and from none. */
interface Question {
  readonly packetBytes: number;
  onComes(): void;
  onNone(): void;
}

const nothing = (): void => {};

/** See the head of this file. */
export class PathSize {
  private readonly options: PathSizeOptions;
  private known = basePacketBytes;
  /** The longest there is to find, and the shortest that has not come. */
  private most = basePacketBytes;
  private tooLong = basePacketBytes;
  private phase: 'base' | 'searching' | 'settled' | 'confirming' | 'stuck' = 'base';
  private question: Question | undefined;
  /** Lengths that were asked for, by id, since the path is this one. */
  private readonly asked = new Map<number, number>();
  private nextId = 1;
  private cancelTimer = nothing;
  private settledMs = 0;
  private basePasses = true;

  constructor(options: PathSizeOptions) {
    this.options = options;
  }

  /** The longest packet that is known to come through, header and tag included. */
  get packetBytes(): number {
    return this.known;
  }

  /** False while it is known that not even packets of 1,200 bytes, which PROBE has shown once, come through. */
  get passesBase(): boolean {
    return this.basePasses;
  }

  /** The path to `peer` is new, or another one: what was known is forgotten. */
  begin({ address }: PacketPeer): void {
    this.most = ethernetBytes - headersBytes[address.includes(':') ? 6 : 4];
    this.restart();
  }

  /**
   * Something passes: a good time to ask whether what is known is true still, if that is of use. `isUsed`: datagrams do, too.
   * Who is idle is asked nothing: each question has the length of a long packet.
   */
  confirm(isUsed: boolean): void {
    const { phase, known, most } = this;
    const isDue = phase === 'settled' && isUsed;
    if (phase !== 'stuck' && !isDue) return;
    const isOld = known < most && this.options.clock.now() - this.settledMs >= raiseMs;
    if (known === basePacketBytes) {
      if (phase === 'stuck' || isOld) this.search();
      return;
    }
    this.phase = 'confirming';
    this.ask({
      packetBytes: known,
      onComes: () => (phase === 'stuck' || isOld ? this.search() : this.rest('settled')),
      onNone: () => this.askBase(() => this.restart()),
    });
  }

  /** SIZED has come. */
  onSized(id: number, packetBytes: number): void {
    if (this.asked.get(id) !== packetBytes) return;
    this.setBasePasses(true);
    if (packetBytes > this.known) this.set(packetBytes);
    if (this.question?.packetBytes === packetBytes) this.question.onComes();
  }

  /** Nothing more is asked. */
  stop(): void {
    this.rest('base');
  }

  private rest(phase: 'base' | 'settled' | 'stuck'): void {
    this.phase = phase;
    this.cancelTimer();
    this.cancelTimer = nothing;
    this.question = undefined;
  }

  private set(packetBytes: number): void {
    if (this.known === packetBytes) return;
    this.known = packetBytes;
    this.options.onChange(packetBytes);
  }

  private restart(): void {
    this.asked.clear();
    this.set(basePacketBytes);
    this.search();
  }

  private search(): void {
    this.phase = 'searching';
    this.tooLong = this.most + stepBytes;
    this.seek(this.most);
  }

  private seek(packetBytes: number): void {
    if (packetBytes <= this.known) return this.settle();
    const onTooLong = () => {
      this.tooLong = packetBytes;
      this.halve();
    };
    this.ask({ packetBytes, onComes: () => this.halve(), onNone: () => this.askBase(onTooLong) });
  }

  private halve(): void {
    const steps = Math.floor((this.tooLong - this.known) / stepBytes / 2);
    this.seek(this.known + steps * stepBytes);
  }

  private settle(): void {
    this.settledMs = this.options.clock.now();
    this.rest('settled');
  }

  /** Too long, or does nothing pass at all? */
  private askBase(onTooLong: () => void): void {
    const onNone = () => {
      this.setBasePasses(false);
      this.rest('stuck');
    };
    this.ask({ packetBytes: basePacketBytes, onComes: onTooLong, onNone });
  }

  private setBasePasses(passes: boolean): void {
    if (this.basePasses === passes) return;
    this.basePasses = passes;
    this.options.onChange(this.known);
  }

  private ask(question: Question): void {
    this.question = question;
    this.try(question, tries);
  }

  private try(question: Question, left: number): void {
    this.cancelTimer();
    if (left === 0) return question.onNone();
    const id = this.nextId++;
    this.asked.set(id, question.packetBytes);
    this.asked.delete(id - remembered);
    this.options.send(id, question.packetBytes);
    this.cancelTimer = this.options.clock.after(tryMs, () => this.try(question, left - 1));
  }
}
