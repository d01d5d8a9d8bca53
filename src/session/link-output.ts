import type { Clock } from '../base/clock.ts';
import type { Transport } from '../transport/transport.ts';
import { frameType } from '../wire/spec.ts';
import type { AckWindow } from './ack-window.ts';
import { LinkPacer } from './link-pacer.ts';
import { RateMeter } from './rate-meter.ts';
import { type LinkPosition, Scheduler } from './scheduler.ts';
import { linkFrames } from './spanning.ts';

/** What an output needs. */
export interface LinkOutputOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  /** True for members: label 0 goes at the pace of P1.6. */
  readonly paced: boolean;
  /** Bounds what goes below unseen (P8.2); undefined where the transport tells. */
  readonly window: AckWindow | undefined;
  /** Something has been written. `asks`: not only PONGs, which nobody answers. */
  onWritten(asks: boolean): void;
}

/** Cheaper than queueMicrotask(), which makes an AsyncResource each time. */
const settled = Promise.resolve();

/**
 * Linux lets a socket's last buffer grow to this before it asks whether there is room (TCP_NOTSENT_LOWAT): on slow links that would be
 * a queue of its own.
 */
const machineBytes = 64 * 1024;

/** What the rate was may be long over. */
const mostLaterMs = 50;

/** What leaves on a link: frames go from the scheduler to the transport while little waits there (P2.1). */
export class LinkOutput implements LinkPosition {
  /** The order in which frames leave. */
  readonly scheduler: Scheduler;
  private readonly options: LinkOutputOptions;
  private readonly rate = new RateMeter();
  private readonly pacer: LinkPacer | undefined;
  private written = 0;
  /** Since when bytes have waited for the kernel without a pause. */
  private busySinceMs: number | undefined;
  private pumpQueued = false;
  private cancelLater: (() => void) | undefined;
  private stopped = false;

  constructor(options: LinkOutputOptions) {
    this.options = options;
    this.scheduler = new Scheduler(() => this.requestPump(), this);
    if (options.paced) this.pacer = new LinkPacer(options.clock, frame => this.scheduler.sendOnLink(frame));
  }

  /** Of {@link LinkPosition}. */
  get writtenBytes(): number {
    return this.written;
  }

  /** Of {@link LinkPosition}. */
  get leftBytes(): number {
    return this.written - this.options.transport.backlogBytes;
  }

  /** Bytes of label 0 that wait. */
  get linkBytes(): number {
    return this.scheduler.linkBytes + (this.pacer?.waitingBytes ?? 0);
  }

  /**
   * Queues a message of label 0.
   * @throws EntremiseError `frame-too-large` when the message is longer than its type allows
   */
  send(type: number, body: Uint8Array): void {
    for (const frame of linkFrames(type, body)) {
      if (this.pacer === undefined) this.scheduler.sendOnLink(frame);
      else this.pacer.send(frame);
    }
  }

  /** As {@link send}, for what may not wait for its pace: by PING and PONG the link is judged. */
  sendNow(type: number, body: Uint8Array): void {
    for (const frame of linkFrames(type, body)) {
      this.pacer?.spend(frame.length);
      this.scheduler.sendOnLink(frame);
    }
  }

  /** The transport's backlog has fallen. */
  onDrain(): void {
    this.rate.onTaken(this.leftBytes, this.options.clock.now(), this.busySinceMs);
    this.pump();
  }

  /** The window of the output may have moved. */
  onWindow(): void {
    this.requestPump();
  }

  /** Nothing leaves any more. */
  stop(): void {
    this.stopped = true;
    this.cancelLater?.();
    this.pacer?.stop();
  }

  private requestPump(): void {
    if (this.pumpQueued || this.stopped) return;
    this.pumpQueued = true;
    void settled.then(this.pump);
  }

  private readonly pump = (): void => {
    this.pumpQueued = false;
    const { transport, window, onWritten, clock } = this.options;
    const before = this.written;
    const limit = this.rate.backlogLimitBytes;
    const room = this.roomInMachine(limit);
    let asks = false;
    while (!this.stopped && transport.backlogBytes < limit && this.written - before < room) {
      const full = window?.isFull(this.written) === true;
      const frame = full ? this.scheduler.takeUrgent() : this.scheduler.take();
      if (frame === undefined) break;
      this.written += frame.length;
      asks ||= frame[0] !== frameType.pong;
      transport.write(frame);
    }
    const waitsForMachine = transport.backlogBytes === 0 && this.written - before >= room;
    if (transport.backlogBytes === 0 && !waitsForMachine) this.busySinceMs = undefined;
    else this.busySinceMs ??= clock.now();
    if (waitsForMachine) this.pumpLater(limit / 2 - room);
    if (this.written > before) onWritten(asks);
  };

  /** How much the machine may be given beside what it has not sent. */
  private roomInMachine(limit: number): number {
    if (this.stopped || limit >= machineBytes) return Number.POSITIVE_INFINITY;
    const unsent = this.options.transport.unsentBytes();
    return unsent === undefined ? Number.POSITIVE_INFINITY : limit - unsent;
  }

  /** The machine says nothing when it has sent so many of the bytes that it has taken. */
  private pumpLater(bytes: number): void {
    const { bytesPerMs } = this.rate;
    const ms = Math.min(Math.max(1, bytes / bytesPerMs), mostLaterMs);
    this.cancelLater ??= this.options.clock.after(ms, () => {
      this.cancelLater = undefined;
      this.pump();
    });
  }
}
