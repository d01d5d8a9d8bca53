import { encodeFrame, type Frame, frameBody } from '../wire/frame.ts';
import {
  type Datagram,
  type DatagramMark,
  decodeCredit,
  decodeReset,
  encodeReset,
  encodeWindow,
} from '../wire/messages/binary.ts';
import { frameFlag, frameType } from '../wire/spec.ts';
import type { ControlStream } from './control-stream.ts';
import { DatagramQueue } from './datagram-queue.ts';
import { DeficitRing } from './deficit-ring.ts';
import type { HopCredit } from './hop-credit.ts';
import type { ResumeExchange } from './resume-exchange.ts';
import type { LabelSource, LinkPosition } from './scheduler.ts';
import type { Stream } from './stream.ts';
import { WaitingLine } from './waiting-line.ts';

/**
 * What leaves an attachment on its label, in the order of P2.1 and within the hop credit of P2.3. The scheduler pulls;
 * nothing is encoded before it can go, so what is put off is never stale.
 */

/** More than a frame with WINDOW has. */
const windowRoomBytes = 64;

/** What the outlet needs of the binding. */
export interface OutletBinding {
  readonly label: number;
  readonly credit: HopCredit;
  wake(source: LabelSource): void;
}

interface Bound {
  readonly binding: OutletBinding;
  readonly exchange: ResumeExchange;
  /** What this label's link pulls from. Dry once the outlet has another label, perhaps of another link. */
  readonly source: LabelSource;
}

/** See the head of this file. */
export class LabelOutlet {
  private readonly control: ControlStream;
  private readonly windowsDue = new WaitingLine<Stream>();
  private readonly windowsSoon = new Set<Stream>();
  private readonly windowsOverdue = new Set<Stream>();
  private controlWindowOverdue = false;
  private readonly echoes: Buffer[] = [];
  private readonly datagrams = new DatagramQueue();
  private readonly ring = new DeficitRing<Stream | DatagramQueue>();
  private readonly creditBlocked = new WaitingLine<Stream>();
  /** Ready streams whose creating message waits in stream 0. */
  private readonly uncreated = new Set<Stream>();
  private bound: Bound | undefined;
  private suspended = false;

  constructor(control: ControlStream) {
    this.control = control;
  }

  /** From now on frames go to this label. */
  bind(binding: OutletBinding, exchange: ResumeExchange): void {
    const ifBound = (take: () => Buffer | undefined) => (this.bound === bound ? take() : undefined);
    const source: LabelSource = {
      takeUrgent: () => ifBound(() => this.takeUrgent()),
      takeControl: () => ifBound(() => this.takeControl()),
      takeData: position => ifBound(() => this.takeData(position)),
    };
    const bound = { binding, exchange, source };
    this.bound = bound;
    this.suspended = false;
    this.wake();
  }

  /** The label is gone for good. */
  unbind(): void {
    this.datagrams.clear();
    this.leaveLabel();
  }

  /** The label is gone, another will come. Datagrams do not outlive a label; ECHOs will be asked for again. */
  suspend(): void {
    this.datagrams.lose();
    this.leaveLabel();
    this.suspended = true;
  }

  private leaveLabel(): void {
    this.bound = undefined;
    this.suspended = false;
    this.echoes.length = 0;
    this.ring.remove(this.datagrams);
  }

  /** Something of the attachment may be ready. */
  wake(): void {
    this.bound?.binding.wake(this.bound.source);
  }

  /** Something of `stream` may be ready. */
  wakeStream(stream: Stream): void {
    this.windowsDue.add(stream);
    this.ring.add(stream);
    this.wake();
  }

  /** A WINDOW of `stream` goes with the next {@link windowsAreOverdue}. */
  putOffWindow(stream: Stream): void {
    this.windowsSoon.add(stream);
  }

  /** The delay of P3.1 has passed. */
  windowsAreOverdue(): void {
    this.controlWindowOverdue = true;
    for (const stream of this.windowsSoon) {
      this.windowsOverdue.add(stream);
      this.windowsDue.add(stream);
    }
    this.windowsSoon.clear();
    this.wake();
  }

  /** `stream` is forgotten. */
  forget(stream: Stream): void {
    for (const line of [this.windowsDue, this.creditBlocked]) line.forget(stream);
    for (const set of [this.windowsSoon, this.windowsOverdue, this.uncreated]) set.delete(stream);
    this.ring.remove(stream);
  }

  /** Queues a datagram or a mark; the oldest is dropped when too many wait, and all while there is no label. */
  sendDatagram(datagram: Datagram | DatagramMark): void {
    if (this.suspended) this.datagrams.dropped++;
    if (this.bound === undefined) return;
    this.datagrams.add(this.bound.binding.label, datagram);
    this.ring.add(this.datagrams);
    this.wake();
  }

  /** Datagrams dropped because too many waited, or a label was lost before they went. */
  get droppedDatagrams(): number {
    return this.datagrams.dropped;
  }

  /** Answers the peer's RESET (P4.5). */
  sendEcho(reset: Frame): void {
    if (this.bound === undefined) return;
    const body = encodeReset(decodeReset(frameBody(reset)));
    const { label } = this.bound.binding;
    this.echoes.push(
      encodeFrame({ type: frameType.reset, flags: frameFlag.echo, label, stream: reset.stream }, body),
    );
    this.wake();
  }

  /** The server's CREDIT: whoever waited for it is in the round again, before whoever has become ready meanwhile. */
  onCredit(frame: Frame): void {
    this.bound?.binding.credit.onCredit(decodeCredit(frameBody(frame)));
    const waited: Stream[] = [];
    this.creditBlocked.leaveAll(stream => waited.push(stream));
    this.ring.addFirst(waited);
    this.wake();
  }

  private takeUrgent(): Buffer | undefined {
    if (this.bound === undefined) return undefined;
    const { exchange, binding } = this.bound;
    if (binding.credit.room < Math.max(exchange.nextOwnBytes, windowRoomBytes)) return undefined;
    const opening = this.counted(exchange.takeOwn());
    if (opening !== undefined || !exchange.complete) return opening;
    return this.counted(this.takeControlWindow() ?? this.takeStreamWindow());
  }

  private counted(frame: Buffer | undefined): Buffer | undefined {
    if (frame !== undefined) this.bound?.binding.credit.spend(frame.length);
    return frame;
  }

  private takeControlWindow(): Buffer | undefined {
    const due = this.control.windowDue || (this.controlWindowOverdue && this.control.windowPending);
    this.controlWindowOverdue = false;
    return due ? this.windowFrame(0, encodeWindow(this.control.takeWindow())) : undefined;
  }

  private takeStreamWindow(): Buffer | undefined {
    for (let stream = this.windowsDue.first; stream !== undefined; stream = this.windowsDue.first) {
      this.windowsDue.leave(stream);
      const window = stream.takeWindow(this.windowsOverdue.delete(stream));
      if (window !== undefined) return this.windowFrame(stream.id, encodeWindow(window));
    }
    return undefined;
  }

  private windowFrame(stream: number, body: Buffer): Buffer {
    const label = this.bound?.binding.label ?? 0;
    return encodeFrame({ type: frameType.window, flags: 0, label, stream }, body);
  }

  private takeControl(): Buffer | undefined {
    if (this.bound?.exchange.mayCommand !== true) return undefined;
    if (this.bound.binding.credit.room < this.control.nextFrameBytes) return undefined;
    const frame = this.control.take(this.bound.binding.label);
    if (frame !== undefined && this.uncreated.size > 0) this.wakeCreated();
    return this.counted(frame);
  }

  private wakeCreated(): void {
    for (const stream of this.uncreated) this.ring.add(stream);
    this.uncreated.clear();
    this.wake();
  }

  private takeData(position: LinkPosition): Buffer | undefined {
    if (this.bound?.exchange.complete !== true) return undefined;
    const { binding } = this.bound;
    return this.echoes.shift() ?? this.ring.take(item => this.takeFrom(item, binding, position));
  }

  /** DATAGRAM and RESET are not counted (P2.3). */
  private takeFrom(
    item: Stream | DatagramQueue,
    binding: OutletBinding,
    position: LinkPosition,
  ): Buffer | undefined {
    if (item instanceof DatagramQueue) return item.take();
    if (!this.control.wasSent(item.creatingSeq)) {
      this.uncreated.add(item);
      return undefined;
    }
    const frame = item.take(binding.label, binding.credit.dataRoom, position);
    if (frame === undefined && item.ready(Number.MAX_SAFE_INTEGER)) this.creditBlocked.add(item);
    return frame?.readUInt8(0) === frameType.reset ? frame : this.counted(frame);
  }
}
