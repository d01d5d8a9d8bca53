import { DeficitRing } from './deficit-ring.ts';
import { WaitingLine } from './waiting-line.ts';

/**
 * The order in which frames leave on one link (P2.1): label 0; then every label's WINDOW and CREDIT; then every
 * label's stream 0; then deficit round robin over the labels, each of which does the same over its streams. Frames are
 * pulled as late as possible, one at a time, so a new command overtakes any amount of waiting data.
 */

/**
 * How far a link's bytes have got. A buffer whose frame ended at or before `leftBytes` is referred to by nobody below; the
 * peer's word that it has the bytes is not enough for that, since a peer may say so of bytes that still wait here.
 */
export interface LinkPosition {
  /** Bytes of frames that were given to the transport. */
  readonly writtenBytes: number;
  /** Of these, how many have left this process. */
  readonly leftBytes: number;
}

/** Of a link of which nothing is known: nothing ever counts as left. */
const unknownPosition: LinkPosition = { writtenBytes: 0, leftBytes: -1 };

/** A label as the scheduler sees it. Each method gives one complete frame or undefined when it has none that may go. */
export interface LabelSource {
  /** RESUME, WINDOW, CREDIT. */
  takeUrgent(): Buffer | undefined;
  /** Stream 0. */
  takeControl(): Buffer | undefined;
  /** DATA, FIN, RESET and DATAGRAM, fairly among the label's streams. `position`: of the link, now and later. */
  takeData(position: LinkPosition): Buffer | undefined;
}

/** See the head of this file. */
export class Scheduler {
  private readonly linkFrames: Buffer[] = [];
  private linkFramesBytes = 0;
  private readonly urgent = new WaitingLine<LabelSource>();
  private readonly control = new WaitingLine<LabelSource>();
  private readonly data = new DeficitRing<LabelSource>();
  private readonly requestPump: () => void;
  private readonly position: LinkPosition;

  /** `requestPump` is called when there may be something to pull. */
  constructor(requestPump: () => void, position = unknownPosition) {
    this.requestPump = requestPump;
    this.position = position;
  }

  /** Queues a frame of label 0. */
  sendOnLink(frame: Buffer): void {
    this.linkFrames.push(frame);
    this.linkFramesBytes += frame.length;
    this.requestPump();
  }

  /** Bytes of label 0 that wait. */
  get linkBytes(): number {
    return this.linkFramesBytes;
  }

  /** `source` may have something to give. */
  wake(source: LabelSource): void {
    this.urgent.add(source);
    this.control.add(source);
    this.data.add(source);
    this.requestPump();
  }

  /** `source` is gone. */
  remove(source: LabelSource): void {
    this.urgent.forget(source);
    this.control.forget(source);
    this.data.remove(source);
  }

  private readonly takeData = (source: LabelSource) => source.takeData(this.position);

  private takeLinkFrame(): Buffer | undefined {
    const frame = this.linkFrames.shift();
    if (frame !== undefined) this.linkFramesBytes -= frame.length;
    return frame;
  }

  /** The next frame that waits for nothing, of label 0 or urgent; undefined when there is none. */
  takeUrgent(): Buffer | undefined {
    return this.takeLinkFrame() ?? firstOf(this.urgent, takeUrgent);
  }

  /** The next frame to write, or undefined when nothing may go. */
  take(): Buffer | undefined {
    return this.takeUrgent() ?? firstOf(this.control, takeControl) ?? this.data.take(this.takeData);
  }
}

const takeUrgent = (source: LabelSource) => source.takeUrgent();
const takeControl = (source: LabelSource) => source.takeControl();

function firstOf(
  sources: WaitingLine<LabelSource>,
  takeFrom: (source: LabelSource) => Buffer | undefined,
): Buffer | undefined {
  for (let source = sources.first; source !== undefined; source = sources.first) {
    const frame = takeFrom(source);
    if (frame !== undefined) return frame;
    sources.leave(source);
  }
  return undefined;
}
