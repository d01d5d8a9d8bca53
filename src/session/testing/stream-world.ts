import type { FakeClock } from '../../base/clock.ts';
import { errorNumber } from '../../base/errors.ts';
import { encodeFrame } from '../../wire/frame.ts';
import { encodeCredit } from '../../wire/messages/binary.ts';
import { frameType } from '../../wire/spec.ts';
import { earlyDataBytes } from '../attachment.ts';
import type { Side } from '../stream-table.ts';
import { type AttachedPair, attachedPair, type PairOptions } from './attached-pair.ts';
import { parseFrame } from './frames.ts';
import { ModelEnd } from './model-end.ts';

/**
 * Two attachments with many streams between them, beside a model of plain byte queues. A history is a list of steps;
 * frames lie in a pipe between being sent and arriving, so that anything may happen in between.
 */

/** What the owner of a listener announces before it knows a stream (P3.4). */
const listenLimitBytes = 4096;

const sides = ['terminal', 'mediator'] as const;

/** The other side. */
export function otherSide(side: Side): Side {
  return side === 'terminal' ? 'mediator' : 'terminal';
}

/** A frame under way: the memory that was written, which must not change before it has left, and what it then was. */
interface UnderWay {
  readonly bytes: Buffer;
  readonly copy: Buffer;
}

/** A stream of the model; an end is missing until the message that creates the stream has arrived there. */
export type ModelStream = { [side in Side]: ModelEnd | undefined };

/** See the head of this file. */
export class StreamWorld {
  readonly pair: AttachedPair;
  readonly clock: FakeClock;
  readonly streams: ModelStream[] = [];
  private readonly byId = new Map<number, ModelStream>();
  /** Frames that a side has sent and that have not arrived. */
  readonly pipes: Readonly<Record<Side, UnderWay[]>> = { terminal: [], mediator: [] };
  private readonly positions = {
    terminal: { writtenBytes: 0, leftBytes: 0 },
    mediator: { writtenBytes: 0, leftBytes: 0 },
  };
  private readonly granted: Record<Side, number>;
  private readonly firstCredit: number;
  private nextCommand = 1;
  private nextEvent = 1;
  private readonly heard = { commands: 0, results: 0, events: 0 };

  constructor(options: PairOptions = {}) {
    const { creditBytes = 0 } = options;
    this.pair = attachedPair({ ...options, positions: this.positions });
    this.clock = this.pair.clock;
    this.firstCredit = creditBytes;
    this.granted = { terminal: creditBytes, mediator: creditBytes };
  }

  /** `side` learns that its label is lost, and holds the attachment. */
  loseLabel(side: Side): void {
    this.pair[side].attachment.suspend();
  }

  /** A new label for both ends. What is under way on the old is lost, though it may still leave (P4.4). */
  resume(): void {
    this.pair.rebind();
    for (const side of sides) this.granted[side] = this.firstCredit;
  }

  /** The terminal asks something and the mediator tells something, besides streams. */
  chat(): void {
    const id = this.nextCommand++;
    this.pair.terminal.attachment.sendCommand({ id, verb: 'query', what: 'limits' });
    const count = this.nextEvent++;
    this.pair.mediator.attachment.sendEvent({ kind: 'lost', port: 1, timeMs: 0, count });
  }

  /** @throws Error when what was said on stream 0 has not been heard, once and in order */
  checkControl(): void {
    const { commands, results, events } = this.heard;
    const said = this.nextCommand - 1;
    if (commands !== said || results !== said || events !== this.nextEvent - 1)
      throw new Error(
        `of ${said} commands ${commands} were run, ${results} answered; ${events} events were heard`,
      );
  }

  private hear(what: 'commands' | 'results' | 'events', number: number): void {
    this.heard[what]++;
    if (number !== this.heard[what]) throw new Error(`${what}: ${number} instead of ${this.heard[what]}`);
  }

  /** The stream that `pick` stands for, if there is any. */
  picked(pick: number): ModelStream | undefined {
    return this.streams[pick % Math.max(1, this.streams.length)];
  }

  /** A new stream of `side`, by CONNECT or by EVENT `connected`. Does nothing when the budgets are exhausted. */
  connect(side: Side): void {
    const { attachment } = this.pair[side];
    const made = attachment.createStream(side === 'terminal' ? earlyDataBytes : listenLimitBytes);
    if (made === undefined) return;
    const { stream, limit } = made;
    const entry: ModelStream = { terminal: undefined, mediator: undefined };
    this.streams.push(entry);
    this.byId.set(stream.id, entry);
    this.addEnd(side, stream, entry);
    const address = '192.0.2.1';
    if (side === 'terminal') {
      const id = this.nextCommand++;
      attachment.sendCommand(
        { id, verb: 'connect', port: 1, address, number: 80, stream: stream.id, limit },
        stream,
      );
    } else {
      const peer = { peerAddress: address, peerNumber: 1000, localAddress: address };
      const fields = { port: 1, timeMs: 0, direction: 'from-device' as const, stream: stream.id, limit };
      attachment.sendEvent({ kind: 'connected', ...fields, ...peer }, stream);
    }
  }

  private addEnd(side: Side, stream: ModelEnd['stream'], entry: ModelStream): void {
    entry[side] = new ModelEnd(`stream ${stream.id} at the ${side}`, stream, () => entry[otherSide(side)]);
  }

  /** What messages of stream 0 ask for is done before the next frame arrives, as their owners do it. */
  private obeyControl(): void {
    const { terminal, mediator } = this.pair;
    for (const { command } of mediator.commands.splice(0)) {
      this.hear('commands', command.id);
      if (command.verb !== 'connect') {
        mediator.attachment.sendResult({ id: command.id, code: 0 });
        continue;
      }
      const made = mediator.attachment.acceptStream(command.stream, command.limit);
      const entry = this.byId.get(command.stream);
      const { id } = command;
      if (made !== undefined && entry !== undefined) {
        this.addEnd('mediator', made.stream, entry);
        mediator.attachment.sendResult({ id, code: 0, port: command.stream, limit: made.limit });
      } else {
        mediator.attachment.sendResult({ id, code: errorNumber('limit'), port: command.stream });
        mediator.attachment.refuseStream(command.stream, 'limit');
      }
    }
    for (const { id, port = 0, code, limit = 0 } of terminal.results.splice(0)) {
      this.hear('results', id);
      if (code === 0) this.byId.get(port)?.terminal?.stream.raiseLimit(limit);
    }
    for (const event of terminal.events.splice(0)) {
      if (event.kind === 'lost') this.hear('events', event.count);
      if (event.kind !== 'connected') continue;
      const made = terminal.attachment.acceptStream(event.stream, event.limit, listenLimitBytes);
      const entry = this.byId.get(event.stream);
      if (made !== undefined && entry !== undefined) this.addEnd('terminal', made.stream, entry);
      else terminal.attachment.refuseStream(event.stream, 'limit');
    }
  }

  /** Puts up to `frames` frames of `side` into its pipe; returns how many. */
  send(side: Side, frames: number): number {
    for (let sent = 0; sent < frames; sent++) {
      const bytes = this.pair.takeBytes(side);
      if (bytes === undefined) return sent;
      this.positions[side].writtenBytes += bytes.length;
      this.pipes[side].push({ bytes, copy: Buffer.from(bytes) });
    }
    return frames;
  }

  /** Up to `frames` frames of `side` arrive at the other; returns how many. */
  arrive(side: Side, frames: number): number {
    const arriving = this.pipes[side].splice(0, frames);
    for (const { bytes, copy } of arriving) {
      if (!bytes.equals(copy)) throw new Error('a frame was changed before it had left');
      this.positions[side].leftBytes += bytes.length;
      if (this.isLost(side, copy)) continue;
      this.pair.deliverTo(otherSide(side), copy);
      this.obeyControl();
    }
    return arriving.length;
  }

  /** A frame of an earlier label, or of one that its receiver has left. */
  private isLost(from: Side, frame: Buffer): boolean {
    if (parseFrame(frame).label !== this.pair.labels[from]) return true;
    const opens = from === 'terminal' && this.pair.moving;
    return this.pair[otherSide(from)].attachment.suspended && !opens;
  }

  /** So many times a frame of each side goes and all under way arrives. */
  exchange(rounds: number): void {
    for (let round = 0; round < rounds; round++)
      for (const side of sides) {
        this.send(side, 1);
        this.arrive(side, Number.POSITIVE_INFINITY);
      }
  }

  /** The server lets `side` send `bytes` more. */
  giveCredit(side: Side, bytes: number): void {
    this.granted[side] += bytes;
    const body = encodeCredit({ allowed: this.granted[side], linkReceived: 0 });
    this.pair.deliverTo(side, encodeFrame({ type: frameType.credit, flags: 0, label: 1, stream: 0 }, body));
  }

  /** Every end of every stream that is there. */
  ends(): ModelEnd[] {
    return this.streams.flatMap(entry => sides.flatMap(side => entry[side] ?? []));
  }

  /** Everything is read and arrives, until nothing moves any more. */
  settle(): void {
    if (sides.some(side => this.pair[side].attachment.suspended)) this.resume();
    for (const side of sides) this.giveCredit(side, 1 << 30);
    for (let quiet = 0; quiet < 3; ) {
      const moved = sides.reduce((sum, side) => sum + this.send(side, 1000) + this.arrive(side, 1000), 0);
      for (const end of this.ends()) end.take(Number.POSITIVE_INFINITY);
      this.clock.advance(50);
      quiet = moved === 0 ? quiet + 1 : 0;
    }
  }

  /** @throws Error when a budget is overdrawn */
  checkBudgets(): void {
    for (const side of sides) {
      const { receiveBudget, replayBudget } = this.pair[side];
      if (receiveBudget.freeBytes < 0 || replayBudget.freeBytes < 0) throw new Error(`${side} is overdrawn`);
    }
  }
}
