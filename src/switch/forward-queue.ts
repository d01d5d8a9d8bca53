import { DatagramQueue } from '../session/datagram-queue.ts';
import { DeficitRing } from '../session/deficit-ring.ts';
import type { LabelSource } from '../session/scheduler.ts';
import { type Frame, relabel } from '../wire/frame.ts';
import type { Datagram } from '../wire/messages/binary.ts';
import { frameFlag, frameType } from '../wire/spec.ts';
import type { FrameClass } from './frame-class.ts';
import { FrameFifo } from './frame-fifo.ts';
import { FrameKeeper } from './frame-keeper.ts';

/** RESETs are not counted, "one a stream" (P2.3). This many cannot wait unless that is broken: P4.4 allows 4,096 streams. */
const maxWaitingResets = 16_384;

/**
 * Queues of quiet streams that are kept. A new one for every burst is garbage, but nobody says here when a stream is
 * over, so what is kept must have an end.
 */
const keptQueues = 64;

/** The frames of one stream that wait, in order. */
interface StreamQueue {
  readonly id: number;
  readonly frames: FrameFifo;
}

/** Who is told what becomes of the frames in a {@link ForwardQueue}. */
export interface ForwardQueueOwner {
  /** A frame that credit counts was taken for the far link; `frameBytes` as it had come. */
  onLeft(frameBytes: number): void;
  /** The CREDIT that is due to the member this queue sends to, or undefined. */
  takeCredit(): Buffer | undefined;
  /** The bytes that wait have changed by this much. */
  onHeld(deltaBytes: number): void;
  /** Whole datagrams were dropped because too many waited. */
  onDatagramsDropped(count: number): void;
}

/**
 * What waits in the server for one label of one member's link (P2.1): order is kept per (label, stream), WINDOW may
 * overtake, stream 0 goes before data, and streams and datagrams share the rest evenly. Frames are passed on as they
 * are, with the label rewritten in place.
 */
export class ForwardQueue implements LabelSource {
  private readonly label: number;
  private readonly owner: ForwardQueueOwner;
  private readonly urgent = new FrameFifo();
  private readonly control = new FrameFifo();
  private readonly streams = new Map<number, StreamQueue>();
  private readonly datagrams = new DatagramQueue();
  private readonly ring = new DeficitRing<StreamQueue | DatagramQueue>();
  private readonly keepers = {
    urgent: new FrameKeeper(),
    control: new FrameKeeper(),
    stream: new FrameKeeper(),
    datagram: new FrameKeeper(),
  };
  private waitingBytes = 0;
  private waitingResets = 0;

  constructor(label: number, owner: ForwardQueueOwner) {
    this.label = label;
    this.owner = owner;
  }

  /** Bytes that wait, datagrams included. */
  get heldBytes(): number {
    return this.waitingBytes + this.datagrams.waitingBytes;
  }

  /** True when nothing that credit counts waits. */
  get empty(): boolean {
    return this.waitingBytes === 0;
  }

  /** Whole datagrams dropped because too many waited. */
  get droppedDatagrams(): number {
    return this.datagrams.dropped;
  }

  /** True when so many RESETs wait that their sender cannot be keeping to one a stream. */
  get resetsOverflow(): boolean {
    return this.waitingResets > maxWaitingResets;
  }

  /**
   * Takes a frame that is to leave on this label. Its bytes are this queue's from now on.
   * @throws EntremiseError `protocol-error` for a datagram longer than one can be
   */
  add(frame: Frame, frameClass: FrameClass): void {
    const { bytes } = frame;
    relabel(bytes, this.label);
    if (frameClass === 'datagram') return this.addDatagram(frame);
    this.hold(bytes.length);
    switch (frameClass) {
      case 'urgent':
        return this.urgent.push(this.keepers.urgent.keep(bytes));
      case 'control':
        return this.control.push(this.keepers.control.keep(bytes));
      case 'reset':
        this.waitingResets++;
        return this.addToStream(frame.stream, bytes);
      case 'stream':
        return this.addToStream(frame.stream, bytes);
    }
  }

  private addToStream(id: number, bytes: Buffer): void {
    const queue = this.streams.get(id) ?? this.openStream(id);
    queue.frames.push(this.keepers.stream.keep(bytes));
    this.ring.add(queue);
  }

  private openStream(id: number): StreamQueue {
    this.dropQuiet();
    const queue = { id, frames: new FrameFifo() };
    this.streams.set(id, queue);
    return queue;
  }

  /** Makes room for one more, as far as the oldest are quiet. */
  private dropQuiet(): void {
    for (const queue of this.streams.values()) {
      if (this.streams.size < keptQueues || !queue.frames.empty) return;
      this.drop(queue);
    }
  }

  private drop(queue: StreamQueue): void {
    this.streams.delete(queue.id);
    this.ring.remove(queue);
  }

  /** Takes a datagram that came by UDP, and is too long to go on that way (P7.5). */
  addLong(datagram: Datagram): void {
    this.queueDatagram(() => this.datagrams.add(this.label, datagram));
  }

  private addDatagram({ bytes, flags }: Frame): void {
    const isPart = (flags & frameFlag.more) !== 0;
    this.queueDatagram(() => this.datagrams.addPart(this.keepers.datagram.keep(bytes), isPart));
  }

  private queueDatagram(add: () => void): void {
    const { waitingBytes, dropped } = this.datagrams;
    add();
    this.owner.onHeld(this.datagrams.waitingBytes - waitingBytes);
    if (this.datagrams.dropped > dropped) this.owner.onDatagramsDropped(this.datagrams.dropped - dropped);
    this.ring.add(this.datagrams);
  }

  private hold(deltaBytes: number): void {
    this.waitingBytes += deltaBytes;
    this.owner.onHeld(deltaBytes);
  }

  takeUrgent(): Buffer | undefined {
    return this.owner.takeCredit() ?? this.leave(this.urgent.shift());
  }

  takeControl(): Buffer | undefined {
    return this.leave(this.control.shift());
  }

  takeData(): Buffer | undefined {
    return this.ring.take(this.takeFrom);
  }

  private readonly takeFrom = (queue: StreamQueue | DatagramQueue): Buffer | undefined => {
    if (queue instanceof DatagramQueue) return this.takeDatagram(queue);
    const frame = queue.frames.shift();
    if (frame === undefined && this.streams.size > keptQueues) this.drop(queue);
    return this.leave(frame);
  };

  private takeDatagram(queue: DatagramQueue): Buffer | undefined {
    const before = queue.waitingBytes;
    const frame = queue.take();
    this.owner.onHeld(queue.waitingBytes - before);
    return frame;
  }

  private leave(frame: Buffer | undefined): Buffer | undefined {
    if (frame === undefined) return undefined;
    this.hold(-frame.length);
    if (frame.readUInt8(0) === frameType.reset) this.waitingResets--;
    else this.owner.onLeft(frame.length - addedBytes(frame));
    return frame;
  }
}

/** The server's reason behind a refused COMMAND (P5.8) was not there when the frame came. */
function addedBytes(frame: Buffer): number {
  const denied = frame.readUInt8(0) === frameType.command && (frame.readUInt8(1) & frameFlag.denied) !== 0;
  return denied ? 1 : 0;
}
