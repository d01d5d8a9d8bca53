import { EntremiseError, type ErrorCode } from '../base/errors.ts';
import { type Frame, frameBody } from '../wire/frame.ts';
import { type Datagram, decodeWindow } from '../wire/messages/binary.ts';
import { type Command, command, type Result, result } from '../wire/messages/command.ts';
import { event, type PortEvent } from '../wire/messages/event.ts';
import { frameFlag, frameNameOf, frameType } from '../wire/spec.ts';
import type { Budget } from './budget.ts';
import { type ControlKeys, ControlStream, type Incoming } from './control-stream.ts';
import { DatagramAssembler } from './datagram-queue.ts';
import { LabelOutlet, type OutletBinding } from './label-outlet.ts';
import { ReceiveHalf, windowDelayMs } from './receive-half.ts';
import { type ExchangeBinding, ResumeExchange } from './resume-exchange.ts';
import { SendHalf } from './send-half.ts';
import type { SlabPool } from './slab.ts';
import { Stream, type StreamSurroundings } from './stream.ts';

/**
 * One end of an attachment (P3, P4): stream 0, streams and datagrams over whatever label it is bound to at the moment.
 *
 *   unbound --bind()--> opening --peer's last RESUME--> open --unbind()--> unbound
 *
 * While opening, nothing goes but RESUME, and from a terminal whose attachment is fresh, COMMANDs (P4.4). The terminal
 * speaks first; the mediator is silent until the terminal's signature over T has been verified (P4.2). What leaves is
 * the business of label-outlet.ts; here stands what comes, and what the owner asks for.
 */

/** Who this end is. */
export type Side = 'terminal' | 'mediator';

/** What the owner of an attachment is told. */
export interface AttachmentHandlers {
  /** Mediator only: a command has come, exactly once, authentic. `denied`: the server's reason to refuse it. */
  onCommand(command: Command, seq: number, denied: ErrorCode | undefined): void;
  /** Terminal only. */
  onResult(result: Result): void;
  /** Terminal only. */
  onEvent(event: PortEvent): void;
  onDatagram(datagram: Datagram): void;
  /** The peer's RESUME has come: what is sent from now on arrives. */
  onOpen(): void;
  /** Stream 0 has room again (P3.7). */
  onControlRoom(): void;
}

/** What all attachments of a process share. */
export interface AttachmentResources {
  readonly pool: SlabPool;
  readonly receiveBudget: Budget;
  readonly replayBudget: Budget;
  /** Monotonic milliseconds. */
  now(): number;
}

/** What a bound attachment needs of its link. */
export interface Binding extends OutletBinding, ExchangeBinding {
  readonly keys: ControlKeys;
  /** Call {@link Attachment.tick} at that time. */
  requestTick(atMs: number): void;
  /** Milliseconds of the whole path, as far as known. */
  roundTripMs(): number;
}

/** The most DATA that may go before the RESULT of the CONNECT that creates its stream (P3.4). */
export const earlyDataBytes = 4096;

/** A new stream and the first window to announce for it. */
export interface NewStream {
  readonly stream: Stream;
  readonly limit: number;
}

/** See the head of this file. */
export class Attachment implements StreamSurroundings {
  private readonly side: Side;
  private readonly handlers: AttachmentHandlers;
  private readonly resources: AttachmentResources;
  private readonly control = new ControlStream();
  private readonly outlet = new LabelOutlet(this.control);
  private readonly streams = new Map<number, Stream>();
  /** Streams that ended by a RESET of ours whose ECHO has not come. */
  private readonly resetting = new Map<number, Stream>();
  private readonly assembler = new DatagramAssembler();
  private binding: Binding | undefined;
  private exchange: ResumeExchange | undefined;
  private tickAtMs: number | undefined;
  private nextStream: number;
  private peerMark = 0;
  /** Frames for streams that are no more (P3.8). */
  droppedFrames = 0;

  constructor(side: Side, resources: AttachmentResources, handlers: AttachmentHandlers) {
    this.side = side;
    this.resources = resources;
    this.handlers = handlers;
    this.nextStream = side === 'terminal' ? 1 : 2;
  }

  /** Binds the attachment to a label of a link. The terminal's RESUME goes at once. */
  bind(binding: Binding): void {
    this.binding = binding;
    this.control.setKeys(binding.keys);
    this.exchange = new ResumeExchange(this.side, binding);
    if (this.side === 'terminal') this.queueResume(this.exchange);
    this.outlet.bind(binding, this.exchange);
  }

  private queueResume(exchange: ResumeExchange): void {
    const { receivedSeq, limitSeq } = this.control;
    exchange.queueOwn({
      streams: [],
      control: receivedSeq,
      mark: this.peerMark,
      resets: [],
      controlLimit: limitSeq,
    });
  }

  /** The label is gone: with hold 0 every stream ends with `code` at this end too (P4.6). */
  unbind(code: ErrorCode): void {
    this.binding = undefined;
    this.exchange = undefined;
    this.outlet.unbind();
    this.resetting.clear();
    for (const stream of [...this.streams.values()]) stream.end(code);
  }

  /** True once commands and streams can flow. */
  get open(): boolean {
    return this.exchange?.complete === true;
  }

  /**
   * A frame of the label has come.
   * @throws EntremiseError `protocol-error` and the like: the label must end; the link lives (P3.8)
   */
  receive(frame: Frame): void {
    if (frame.type === frameType.credit) return this.outlet.onCredit(frame);
    if (frame.type === frameType.resume) return this.onResume(frame);
    if (this.exchange?.peerResume === undefined) {
      throw new EntremiseError('protocol-error', { message: 'A frame came before RESUME.' });
    }
    switch (frame.type) {
      case frameType.command:
      case frameType.result:
      case frameType.event:
        return this.onControl(frame);
      case frameType.datagram:
        return this.onDatagram(frame);
      case frameType.data:
      case frameType.fin:
      case frameType.reset:
      case frameType.window:
      case frameType.yield:
        return frame.stream === 0 ? this.onControlWindow(frame) : this.onStreamFrame(frame);
      default:
        // 0x40-0x7f: room for later (P1.4).
        this.droppedFrames++;
    }
  }

  private onResume(frame: Frame): void {
    if (this.exchange === undefined || !this.exchange.receive(frame)) return;
    if (this.side === 'mediator') this.queueResume(this.exchange);
    this.outlet.wake();
    this.handlers.onOpen();
  }

  private onControl(frame: Frame): void {
    const forMediator = frame.type === frameType.command;
    if (forMediator !== (this.side === 'mediator') || frame.stream !== 0) {
      throw new EntremiseError('protocol-error', {
        message: `${frameNameOf(frame.type)} came the wrong way.`,
      });
    }
    const incoming = this.control.receive(frame);
    if (this.control.windowDue) this.outlet.wake();
    this.requestWindowTick();
    if (incoming !== undefined) this.deliver(incoming);
  }

  private deliver(incoming: Incoming): void {
    switch (incoming.type) {
      case frameType.command:
        return this.handlers.onCommand(command.fromBytes(incoming.body), incoming.seq, incoming.denied);
      case frameType.result:
        return this.handlers.onResult(result.fromBytes(incoming.body));
      default:
        return this.handlers.onEvent(event.fromBytes(incoming.body));
    }
  }

  private onControlWindow(frame: Frame): void {
    if (frame.type !== frameType.window) throw new EntremiseError('protocol-error');
    const roomAgain = this.control.onWindow(decodeWindow(frameBody(frame)));
    this.outlet.wake();
    if (roomAgain) this.handlers.onControlRoom();
  }

  private onDatagram(frame: Frame): void {
    const datagram = this.assembler.receive(frame);
    if (datagram !== undefined) this.handlers.onDatagram(datagram);
  }

  private onStreamFrame(frame: Frame): void {
    const isReset = frame.type === frameType.reset;
    if (isReset && (frame.flags & frameFlag.echo) !== 0) return this.onEcho(frame.stream);
    if (!this.isKnown(frame.stream)) {
      throw new EntremiseError('protocol-error', { message: `Stream ${frame.stream} does not exist yet.` });
    }
    if (isReset) this.outlet.sendEcho(frame);
    const stream = this.streams.get(frame.stream);
    if (stream !== undefined) return stream.receive(frame);
    this.droppedFrames++;
    // Crossing RESETs satisfy each other (P4.5).
    if (isReset) this.onEcho(frame.stream);
  }

  /** Ids at or below the mark exist or have existed (P3.8). */
  private isKnown(id: number): boolean {
    const own = (id % 2 === 1) === (this.side === 'terminal');
    return own ? id < this.nextStream : id <= this.peerMark;
  }

  private onEcho(id: number): void {
    const stream = this.resetting.get(id);
    if (stream === undefined) return;
    this.resetting.delete(id);
    this.outlet.forget(stream);
  }

  /**
   * Queues a COMMAND; returns its seq, by which later commands may name an OPEN (P3.4). `creates`: the stream that a
   * CONNECT makes.
   */
  sendCommand(value: Command, creates?: Stream): number {
    return this.queueControl(frameType.command, command.toBytes(value), creates);
  }

  /** Queues a RESULT. */
  sendResult(value: Result): void {
    this.queueControl(frameType.result, result.toBytes(value));
  }

  /** Queues an EVENT. `creates`: the stream that `connected` makes. */
  sendEvent(value: PortEvent, creates?: Stream): void {
    this.queueControl(frameType.event, event.toBytes(value), creates);
  }

  /** True while stream 0 holds all it may: make no more events, accept no more connections (P3.7). */
  get controlFull(): boolean {
    return this.control.full;
  }

  private queueControl(type: number, body: Uint8Array, creates?: Stream): number {
    const seq = this.control.queue(type, body);
    if (creates !== undefined) creates.creatingSeq = seq;
    this.outlet.wake();
    return seq;
  }

  /** Queues a datagram; the oldest is dropped when too many wait (P2.3). */
  sendDatagram(datagram: Datagram): void {
    this.outlet.sendDatagram(datagram);
  }

  /** Datagrams that were dropped because too many waited. */
  get droppedDatagrams(): number {
    return this.outlet.droppedDatagrams;
  }

  /**
   * A new stream of this end (CONNECT at the terminal, EVENT connected at the mediator). `peerLimit`: first window for
   * what this end sends. Undefined when the budgets have no floor left (P3.3).
   */
  createStream(peerLimit: number): NewStream | undefined {
    const made = this.makeStream(this.nextStream, peerLimit);
    if (made !== undefined) this.nextStream += 2;
    return made;
  }

  /**
   * A stream that the peer has created, with the id and the first window that its message carries. `announced`: the
   * first window that the peer already has for it (LISTEN, P3.4). Undefined when the budgets have no floor left.
   * @throws EntremiseError `protocol-error` when the id does not rise or has the wrong parity (P1.3)
   */
  acceptStream(id: number, peerLimit: number, announced?: number): NewStream | undefined {
    this.raiseMark(id);
    const made = this.makeStream(id, peerLimit, announced);
    if (announced !== undefined && made !== undefined) this.outlet.wakeStream(made.stream);
    return made;
  }

  /** RESETs a stream that the peer has created, or whose {@link acceptStream} found no budget (P3.8). */
  refuseStream(id: number, code: ErrorCode): void {
    if (id > this.peerMark) this.raiseMark(id);
    const { pool, receiveBudget, replayBudget } = this.resources;
    const nothing = new SendHalf(pool, replayBudget, 0, 0);
    new Stream(id, nothing, new ReceiveHalf(receiveBudget, 0), this).abort(code);
  }

  private raiseMark(id: number): void {
    const peersParity = (id % 2 === 1) === (this.side === 'mediator');
    if (!peersParity || id <= this.peerMark) {
      throw new EntremiseError('protocol-error', {
        message: `Stream id ${id} is not a new one of the peer.`,
      });
    }
    this.peerMark = id;
  }

  private makeStream(id: number, peerLimit: number, announced?: number): NewStream | undefined {
    const { receiveBudget, replayBudget, pool } = this.resources;
    const window = receiveBudget.reserveInitial();
    const share = replayBudget.reserveInitial();
    if (window === 0 || share === 0) {
      receiveBudget.release(window);
      replayBudget.release(share);
      return undefined;
    }
    const sending = new SendHalf(pool, replayBudget, peerLimit, share);
    const stream = new Stream(id, sending, new ReceiveHalf(receiveBudget, window, announced), this);
    this.streams.set(id, stream);
    return { stream, limit: window };
  }

  /** Live streams. */
  get streamCount(): number {
    return this.streams.size;
  }

  /** Of {@link StreamSurroundings}. */
  wake(stream: Stream): void {
    this.outlet.wakeStream(stream);
  }

  /** Of {@link StreamSurroundings}: the RESET is kept until its ECHO comes (P4.5). */
  aborted(stream: Stream): void {
    this.streams.delete(stream.id);
    if (this.binding === undefined) return;
    this.resetting.set(stream.id, stream);
    this.outlet.wakeStream(stream);
  }

  /** Of {@link StreamSurroundings}. */
  windowSoon(stream: Stream): void {
    this.outlet.putOffWindow(stream);
    this.requestWindowTick();
  }

  private requestWindowTick(): void {
    if (this.tickAtMs !== undefined) return;
    this.tickAtMs = this.resources.now() + windowDelayMs;
    this.binding?.requestTick(this.tickAtMs);
  }

  /** Of {@link StreamSurroundings}. */
  forget(stream: Stream): void {
    this.streams.delete(stream.id);
    this.outlet.forget(stream);
    stream.release();
  }

  /** Of {@link StreamSurroundings}. */
  now(): number {
    return this.resources.now();
  }

  /** Of {@link StreamSurroundings}. */
  roundTripMs(): number {
    return this.binding?.roundTripMs() ?? 0;
  }

  /** Time has come to `nowMs`: WINDOWs that were put off are due (P3.1). */
  tick(nowMs: number): void {
    if (this.tickAtMs === undefined || nowMs < this.tickAtMs) return;
    this.tickAtMs = undefined;
    this.outlet.windowsAreOverdue();
  }
}
