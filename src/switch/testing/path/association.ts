import type { Attachment } from '../../../session/attachment.ts';
import type { Stream } from '../../../session/stream.ts';
import type { Side } from '../../../session/stream-table.ts';
import type { ModelEnd } from '../../../session/testing/model-end.ts';
import { DatagramFlow } from './datagram-flow.ts';

/** A stream of the model; an end is missing until the message that creates the stream has arrived there. */
export type ModelStream = { [side in Side]: ModelEnd | undefined };

/** The first window that LISTEN announces to accepted streams (P3.4). */
export const listenLimitBytes = 4096;

/** What is said on stream 0, by kind. Each kind is numbered from 1 as it is said. */
export type Said = 'commands' | 'results' | 'events';

/**
 * The reference for one attachment: plain lists of what two owners have said to one another. Which processes they are may
 * change; bytes and messages may not.
 */
export class Association {
  readonly idText: string;
  readonly streams = new Map<number, ModelStream>();
  readonly said: Record<Said, number> = { commands: 0, results: 0, events: 0 };
  readonly heard: Record<Said, number> = { commands: 0, results: 0, events: 0 };
  /** Ends whose attachment is over, or whose process is: they say and hear nothing more. */
  readonly over: Record<Side, boolean> = { terminal: false, mediator: false };
  /** Of these, the ends whose process died: they tell no story. */
  readonly died: Record<Side, boolean> = { terminal: false, mediator: false };
  /** Datagrams by who sends them. */
  readonly datagrams: Readonly<Record<Side, DatagramFlow>> = {
    terminal: new DatagramFlow(),
    mediator: new DatagramFlow(),
  };
  /** LISTEN has been run. */
  listening = false;

  constructor(idText: string) {
    this.idText = idText;
  }

  /** The stream with that id, made now if there was none. */
  streamOf(id: number): ModelStream {
    const known = this.streams.get(id);
    if (known !== undefined) return known;
    const made: ModelStream = { terminal: undefined, mediator: undefined };
    this.streams.set(id, made);
    return made;
  }

  /** Every stream there has been at that side. */
  *streamsAt(side: Side): Iterable<Stream> {
    for (const ends of this.streams.values()) {
      const stream = ends[side]?.stream;
      if (stream !== undefined) yield stream;
    }
  }

  /** The number of the next message of that kind. */
  nextOf(what: Said): number {
    this.said[what]++;
    return this.said[what];
  }

  /** @throws Error when that message is not the next one that was said */
  hear(what: Said, number: number): void {
    this.heard[what]++;
    if (number === this.heard[what] && number <= this.said[what]) return;
    throw new Error(`${what}: ${number} instead of ${this.heard[what]}, ${this.said[what]} were said`);
  }

  /** An end sends a datagram of `sizeBytes` by `attachment`, if that has, had or will have a label. */
  sendDatagram(side: Side, attachment: Attachment, hasLabel: boolean, sizeBytes: number): void {
    const { suspended, droppedDatagrams } = attachment;
    if (!suspended && !hasLabel) return;
    const flow = this.datagrams[side];
    attachment.sendDatagram(flow.next(sizeBytes));
    if (!suspended) return;
    flow.labelLost();
    if (attachment.droppedDatagrams !== droppedDatagrams + 1)
      throw new Error('a datagram that had no label is not counted');
  }

  /** The end of a side is over. */
  end(side: Side, how: 'ended' | 'died'): void {
    this.over[side] = true;
    if (how === 'died') this.died[side] = true;
  }
}
