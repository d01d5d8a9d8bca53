import { EntremiseError, type ErrorCode } from '../base/errors.ts';
import { type Frame, frameBody } from '../wire/frame.ts';
import { type Datagram, type DatagramMark, decodeWindow, type Window } from '../wire/messages/binary.ts';
import { type Command, command, type Result, result } from '../wire/messages/command.ts';
import { event, type PortEvent } from '../wire/messages/event.ts';
import type { Resume } from '../wire/messages/resume.ts';
import { frameFlag, frameNameOf, frameType } from '../wire/spec.ts';
import { type ControlKeys, ControlStream, type Incoming } from './control-stream.ts';
import { DatagramAssembler } from './datagram-queue.ts';
import { LabelOutlet, type OutletBinding } from './label-outlet.ts';
import type { PendingAttempt } from './pending-attempt.ts';
import { readCommand } from './read-command.ts';
import { windowDelayMs } from './receive-half.ts';
import { type ExchangeBinding, ResumeExchange } from './resume-exchange.ts';
import type { Stream } from './stream.ts';
import { type AttachmentResources, type NewStream, type Side, StreamTable } from './stream-table.ts';

export type { AttachmentResources, NewStream, Side } from './stream-table.ts';

/**
 * One end of an attachment (P3, P4): stream 0, streams and datagrams over whatever label it is bound to at the moment.
 *
 *   fresh --bind()--> opening --peer's last RESUME--> open --unbind()--> ended
 *                      ^  |                             |
 *             bind()   |  +--suspend()--> suspended <---+--suspend()
 *                      +---------------------+
 *
 * Suspended it keeps streams, RESETs and stream 0: owners go on handing over bytes as far as there is room, and nothing
 * moves. The next label carries on from what the two ends say that they have, so each byte and each message comes exactly
 * once. Which of the two manners a lost label takes is for the owner to know: the hold that ATTACHED gave (P4.6).
 *
 * While opening, nothing goes but RESUME, and from a terminal whose attachment is fresh, COMMANDs (P4.4). The terminal
 * speaks first; the mediator is silent until the terminal's signature over T has been verified (P4.2). What leaves is
 * the business of label-outlet.ts; here stands what comes, and what the owner asks for.
 */

/** What the owner of an attachment is told. */
export interface AttachmentHandlers {
  /** Mediator only: a command has come, exactly once, authentic. `denied`: the server's reason to refuse it. */
  onCommand(command: Command, seq: number, denied: ErrorCode | undefined): void;
  /** Terminal only. */
  onResult(result: Result): void;
  /** Terminal only. */
  onEvent(event: PortEvent): void;
  onDatagram(datagram: Datagram): void;
  /** Among the datagrams of a port a mark has come (P7.7). Absent: it is of no use. */
  onMark?(port: number): void;
  /** The peer's RESUME has come: what is sent from now on arrives. */
  onOpen(): void;
  /** Stream 0 has room again (P3.7). */
  onControlRoom(): void;
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

/** Timers come early by no more than this. */
const earlyMs = 50;

/** How often idle streams are looked for (P3.3). */
const sweepMs = 10_000;

/** See the head of this file. */
export class Attachment {
  private readonly side: Side;
  private readonly handlers: AttachmentHandlers;
  private readonly resources: AttachmentResources;
  private readonly control: ControlStream;
  private readonly outlet: LabelOutlet;
  private readonly streams: StreamTable;
  private assembler = new DatagramAssembler();
  private binding: Binding | undefined;
  private exchange: ResumeExchange | undefined;
  private tickAtMs: number | undefined;
  private sweepAtMs: number | undefined;
  private phase: 'fresh' | 'bound' | 'suspended' | 'ended' = 'fresh';
  /** True until the first label is gone: the peer can have nothing of ours but what goes to that label. */
  private onFirstLabel = true;

  constructor(side: Side, resources: AttachmentResources, handlers: AttachmentHandlers) {
    this.side = side;
    this.resources = resources;
    this.handlers = handlers;
    this.control = new ControlStream(side);
    this.outlet = new LabelOutlet(this.control);
    this.streams = new StreamTable(side, resources, {
      outlet: this.outlet,
      isAlive: () => this.phase !== 'ended',
      requestWindowTick: () => this.requestWindowTick(),
      requestSweep: () => this.requestSweep(),
      roundTripMs: () => this.binding?.roundTripMs() ?? 0,
    });
  }

  /**
   * Binds the attachment to a label of a link: its first, or after {@link suspend} the next. The terminal's RESUME goes at
   * once.
   * @throws EntremiseError `limit` when more RESETs are unanswered than RESUME can list
   */
  bind(binding: Binding): void {
    this.bindWith(binding, new ResumeExchange(this.side, binding, this.onFirstLabel));
  }

  /**
   * Mediator only: leaves the label it has, if any, for one on which the terminal has proved itself (P4.2).
   * @throws EntremiseError as {@link receive}
   */
  moveTo({ binding, exchange }: PendingAttempt): void {
    this.suspend();
    this.bindWith(binding, exchange);
    if (exchange.peerResume !== undefined) this.onPeerResume(exchange, exchange.peerResume);
  }

  private bindWith(binding: Binding, exchange: ResumeExchange): void {
    this.phase = 'bound';
    this.binding = binding;
    this.control.setKeys(binding.keys);
    this.exchange = exchange;
    if (this.side === 'terminal') this.queueResume(exchange);
    this.outlet.bind(binding, exchange);
  }

  private queueResume(exchange: ResumeExchange): void {
    const { received, limit } = this.control.takeWindow();
    exchange.queueOwn({ ...this.streams.takeState(), control: received, controlLimit: limit });
  }

  /** The label is gone for good, or is not to be replaced: every stream ends with `code` at this end too (P4.6). */
  unbind(code: ErrorCode): void {
    this.leaveLabel();
    this.phase = 'ended';
    this.outlet.unbind();
    this.streams.endAll(code);
  }

  /**
   * The label is gone, and the attachment is held for the next {@link bind}: streams and stream 0 are kept, and go on taking
   * what there is room for. Nothing when it never had a label, or has ended.
   */
  suspend(): void {
    if (this.phase !== 'bound') return;
    this.leaveLabel();
    this.phase = 'suspended';
    this.onFirstLabel = false;
    this.outlet.suspend();
  }

  private leaveLabel(): void {
    this.binding = undefined;
    this.exchange = undefined;
    this.assembler = new DatagramAssembler();
    this.tickAtMs = undefined;
    this.sweepAtMs = undefined;
  }

  /** True between {@link suspend} and the next {@link bind}. */
  get suspended(): boolean {
    return this.phase === 'suspended';
  }

  /** True once commands and streams can flow. */
  get open(): boolean {
    return this.exchange?.complete === true;
  }

  /**
   * A frame of the label has come.
   * @throws EntremiseError `protocol-error` and the like: the label must end; the link lives (P3.8). `cannot-resume`, and
   * at a mediator that has nothing of what the terminal goes on from `terminal-gone`: the attachment must end
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
        return frame.stream === 0 ? this.onControlWindow(frame) : this.streams.receive(frame);
      default:
        // 0x40-0x7f: room for later (P1.4).
        this.streams.droppedFrames++;
    }
  }

  private onResume(frame: Frame): void {
    const peer = this.exchange?.receive(frame);
    if (this.exchange === undefined || peer === undefined) return;
    this.onPeerResume(this.exchange, peer);
  }

  private onPeerResume(exchange: ResumeExchange, peer: Resume): void {
    this.checkHistory(peer);
    const roomAgain = this.resumeControl({ received: peer.control, limit: peer.controlLimit });
    this.streams.resume(peer);
    // An owner that was told of the end of a stream may have ended the attachment.
    if (this.exchange !== exchange) return;
    if (this.side === 'mediator') this.queueResume(exchange);
    this.outlet.wake();
    this.handlers.onOpen();
    if (roomAgain) this.handlers.onControlRoom();
  }

  /** COMMANDs of a fresh terminal are under way while the mediator writes its RESUME: they are not to go twice. */
  private resumeControl(window: Pick<Window, 'received' | 'limit'>): boolean {
    return this.onFirstLabel ? this.control.onWindow(window) : this.control.rewind(window);
  }

  private checkHistory(peer: Resume): void {
    const goesOn = peer.control > 0 || peer.mark > 0 || peer.streams.some(({ received }) => received > 0);
    if (goesOn && this.side === 'mediator' && this.onFirstLabel) throw new EntremiseError('terminal-gone');
    if (!this.streams.mayResume(peer)) {
      throw new EntremiseError('cannot-resume', { message: 'RESUME speaks of streams that never were.' });
    }
  }

  private onControl(frame: Frame): void {
    const forMediator = frame.type === frameType.command;
    const isWhole = (frame.flags & frameFlag.more) === 0;
    if (forMediator !== (this.side === 'mediator') || frame.stream !== 0 || !isWhole) {
      throw new EntremiseError('protocol-error', {
        message: `${frameNameOf(frame.type)?.toUpperCase()} may not come here, or not so.`,
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
        return this.deliverCommand(incoming);
      case frameType.result:
        return this.handlers.onResult(result.fromBytes(incoming.body));
      default:
        return this.handlers.onEvent(event.fromBytes(incoming.body));
    }
  }

  private deliverCommand({ body, seq, denied }: Incoming): void {
    const read = readCommand(body);
    if ('command' in read) return this.handlers.onCommand(read.command, seq, denied);
    const { answer, code, stream = 0 } = read;
    this.sendResult(answer);
    if (stream > this.streams.peerMark) this.streams.refuse(stream, code);
  }

  private onControlWindow(frame: Frame): void {
    if (frame.type !== frameType.window) throw new EntremiseError('protocol-error');
    const roomAgain = this.control.onWindow(decodeWindow(frameBody(frame)));
    this.outlet.wake();
    if (roomAgain) this.handlers.onControlRoom();
  }

  private onDatagram(frame: Frame): void {
    const datagram = this.assembler.receive(frame);
    if (datagram === undefined) return;
    if ('mark' in datagram) this.handlers.onMark?.(datagram.port);
    else this.handlers.onDatagram(datagram);
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

  /** True when less than half of that room is left: make none that may as well be counted. */
  get controlBusy(): boolean {
    return this.control.busy;
  }

  private queueControl(type: number, body: Uint8Array, creates?: Stream): number {
    const seq = this.control.queue(type, body);
    if (creates !== undefined) creates.creatingSeq = seq;
    this.outlet.wake();
    return seq;
  }

  /** Queues a datagram, or a mark (P7.7); the oldest is dropped when too many wait (P2.3). */
  sendDatagram(datagram: Datagram | DatagramMark): void {
    this.outlet.sendDatagram(datagram);
  }

  /** Stream bytes that were sent again because a label was lost (P4.4). */
  get resentBytes(): number {
    return this.streams.resentBytes;
  }

  /** Datagrams that were dropped because too many waited, or because no label was there to carry them (P4.7). */
  get droppedDatagrams(): number {
    return this.outlet.droppedDatagrams;
  }

  /**
   * A new stream of this end (CONNECT at the terminal, EVENT connected at the mediator). `peerLimit`: first window for
   * what this end sends. Undefined when the budgets have no floor left (P3.3).
   */
  createStream(peerLimit: number): NewStream | undefined {
    return this.streams.create(peerLimit);
  }

  /**
   * A stream that the peer has created, with the id and the first window that its message carries. `announced`: the
   * first window that the peer already has for it (LISTEN, P3.4). Undefined when the budgets have no floor left.
   * @throws EntremiseError `protocol-error` when the id does not rise or has the wrong parity (P1.3)
   */
  acceptStream(id: number, peerLimit: number, announced?: number): NewStream | undefined {
    return this.streams.accept(id, peerLimit, announced);
  }

  /** RESETs a stream that the peer has created, or whose {@link acceptStream} found no budget (P3.8). */
  refuseStream(id: number, code: ErrorCode): void {
    this.streams.refuse(id, code);
  }

  /** Live streams. */
  get streamCount(): number {
    return this.streams.size;
  }

  /** RESETs of this end whose ECHO has not come (P4.5). */
  get pendingResets(): number {
    return this.streams.pendingResets;
  }

  /** Frames that came for streams that are no more (P3.8), or of types of later versions (P1.4). */
  get droppedFrames(): number {
    return this.streams.droppedFrames;
  }

  private requestWindowTick(): void {
    if (this.tickAtMs !== undefined || this.binding === undefined) return;
    this.tickAtMs = this.resources.now() + windowDelayMs;
    this.binding.requestTick(this.tickAtMs);
  }

  private requestSweep(): void {
    if (this.sweepAtMs !== undefined || this.binding === undefined) return;
    this.sweepAtMs = this.resources.now() + sweepMs;
    this.binding.requestTick(this.sweepAtMs);
  }

  /** Time has come to `nowMs`: WINDOWs that were put off are due (P3.1), or idle streams are to be looked for (P3.3). */
  tick(nowMs: number): void {
    if (this.isDue(this.tickAtMs, nowMs)) {
      this.tickAtMs = undefined;
      this.outlet.windowsAreOverdue();
    }
    if (this.isDue(this.sweepAtMs, nowMs)) {
      this.sweepAtMs = undefined;
      if (this.streams.sweep()) this.requestSweep();
    }
  }

  /** Timers may come a little early: what they were for would then never be done. */
  private isDue(atMs: number | undefined, nowMs: number): boolean {
    if (atMs === undefined || nowMs >= atMs) return atMs !== undefined;
    // One that was meant for the other deadline.
    if (atMs - nowMs < earlyMs) this.binding?.requestTick(atMs);
    return false;
  }
}
