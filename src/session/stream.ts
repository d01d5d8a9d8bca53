import { asEntremiseError, type ErrorCode, errorCodeOf, errorNumber } from '../base/errors.ts';
import type { Frame } from '../wire/frame.ts';
import { frameBody } from '../wire/frame.ts';
import {
  decodeData,
  decodeFin,
  decodeReset,
  decodeWindow,
  decodeYield,
  type Window,
} from '../wire/messages/binary.ts';
import type { LiveStream } from '../wire/messages/resume.ts';
import { frameFlag, frameType } from '../wire/spec.ts';
import type { ReceiveHalf } from './receive-half.ts';
import type { LinkPosition } from './scheduler.ts';
import type { SendHalf } from './send-half.ts';

/** What the owner of a stream is told. Called in the order in which things stand in the stream. */
export interface StreamHandlers {
  /** Bytes have come. Say {@link Stream.taken} when they are out of this process's memory. */
  onData(bytes: Buffer): void;
  /** The peer ended its half cleanly, after all its bytes. The only clean end there is (P3.6). */
  onFin(): void;
  /** The stream is over, not cleanly. Nothing more will come. */
  onReset(code: ErrorCode): void;
  /** {@link Stream.roomBytes} has risen from 0. */
  onRoom(): void;
  /** Both halves ended cleanly and are acknowledged; the stream is forgotten, and what it held is given back. */
  onFinished(): void;
}

/** What a stream needs of its attachment. */
export interface StreamSurroundings {
  /** Something of this stream is ready to go, or a WINDOW is due. */
  wake(stream: Stream): void;
  /** A WINDOW should go within the delay of P3.1. */
  windowSoon(stream: Stream): void;
  /** The stream is over by a RESET of this end, which has still to go. */
  aborted(stream: Stream): void;
  /** The stream is over and must be forgotten. */
  forget(stream: Stream): void;
  /** Monotonic milliseconds. */
  now(): number;
  /** The whole path's round trip in milliseconds, as far as known. */
  roundTripMs(): number;
}

/** One TCP connection on a port, end to end between terminal and mediator (P3): two halves and how it ends. No I/O. */
export class Stream {
  readonly id: number;
  /** Seq of the message of this end that creates the stream: nothing of it goes before (P2.1). 0: the peer made it. */
  creatingSeq = 0;
  private readonly sending: SendHalf;
  private readonly receiving: ReceiveHalf;
  private readonly surroundings: StreamSurroundings;
  private handlers: StreamHandlers | undefined;
  private early: (() => void)[] = [];
  private over = false;
  private wasFull = false;

  constructor(id: number, sending: SendHalf, receiving: ReceiveHalf, surroundings: StreamSurroundings) {
    this.id = id;
    this.sending = sending;
    this.receiving = receiving;
    this.surroundings = surroundings;
  }

  /** Who is told from now on. What came before is told now, in order. */
  setHandlers(handlers: StreamHandlers): void {
    this.handlers = handlers;
    const early = this.early;
    this.early = [];
    for (const tell of early) tell();
  }

  private tell(run: (handlers: StreamHandlers) => void): void {
    if (this.handlers !== undefined) run(this.handlers);
    else this.early.push(() => this.handlers !== undefined && run(this.handlers));
  }

  /** How many bytes the owner may hand over now. */
  get roomBytes(): number {
    const room = this.over ? 0 : this.sending.roomBytes;
    if (room === 0) this.wasFull = true;
    return room;
  }

  /** Bytes handed over so far. */
  get sentOffset(): number {
    return this.sending.endOffset;
  }

  /** Bytes that have come so far. */
  get receivedOffset(): number {
    return this.receiving.receivedBytes;
  }

  /** True when the stream is over, however it ended. */
  get ended(): boolean {
    return this.over;
  }

  /** Takes a slab whose `length` bytes stand behind its headroom; the caller gives it up. */
  sendSlab(slab: Buffer, length: number): void {
    this.sending.add(slab, length);
    this.surroundings.wake(this);
  }

  /** Takes a copy of `bytes`. */
  send(bytes: Uint8Array): void {
    this.sending.addCopy(bytes);
    this.surroundings.wake(this);
  }

  /** This side's clean end: FIN behind the bytes handed over. */
  finish(): void {
    this.sending.finish();
    this.surroundings.wake(this);
  }

  /** Ends the stream with a RESET that carries `code` (P3.5). The owner is told nothing. */
  abort(code: ErrorCode): void {
    if (!this.over && this.sending.abort(errorNumber(code))) this.leave();
  }

  /**
   * As {@link abort}, but the bytes handed over go first, as far as the peer takes them: for a source that died behind
   * bytes it had still sent. The stream lives until its RESET has gone.
   */
  abortAfterData(code: ErrorCode): void {
    if (this.over) return;
    if (!this.sending.abortAfterData(errorNumber(code))) return this.abort(code);
    this.surroundings.wake(this);
  }

  /** The peer's first window came later than the stream was made (RESULT of a CONNECT, P3.4). */
  raiseLimit(limit: number): void {
    this.sending.raiseLimit(limit);
    this.surroundings.wake(this);
  }

  /** The owner has taken `bytes` of what {@link StreamHandlers.onData} gave. */
  taken(bytes: number): void {
    if (this.over) return;
    this.receiving.onTaken(bytes, this.surroundings.now(), this.surroundings.roundTripMs());
    this.announceWindow();
    this.forgetWhenDone();
  }

  private announceWindow(): void {
    if (this.receiving.windowDue) this.surroundings.wake(this);
    else if (this.receiving.windowPending) this.surroundings.windowSoon(this);
  }

  /** The WINDOW that is due, or undefined. `overdue`: the delay of P3.1 has passed. */
  takeWindow(overdue: boolean): Window | undefined {
    if (this.over) return undefined;
    const due = this.receiving.windowDue || (overdue && this.receiving.windowPending);
    if (!due) return undefined;
    const window = this.receiving.takeWindow();
    this.forgetWhenDone();
    return window;
  }

  /** True when DATA, FIN or RESET can go, DATA within `dataRoom`. */
  ready(dataRoom: number): boolean {
    return this.sending.ready(dataRoom);
  }

  /** The next DATA, FIN or RESET frame, to be written to `link` at once. */
  take(label: number, dataRoom: number, link: LinkPosition): Buffer | undefined {
    const frame = this.sending.take({ label, stream: this.id }, dataRoom, link);
    if (this.sending.reset && !this.over) this.leave();
    return frame;
  }

  /** The stream is over by a RESET of this end. */
  private leave(): void {
    this.over = true;
    this.receiving.release();
    if (!this.keepsBytesForReset) this.sending.release();
    this.surroundings.aborted(this);
  }

  /**
   * A frame of this stream has come: DATA, FIN, RESET (not ECHO), WINDOW or YIELD. A broken rule ends the stream here
   * and, by RESET, there.
   */
  receive(frame: Frame): void {
    if (this.over) return;
    try {
      this.dispatch(frame);
    } catch (thrown) {
      this.fail(asEntremiseError(thrown).code);
    }
  }

  /** The two ends do not agree: the stream ends here, and by RESET there. */
  private fail(code: ErrorCode): void {
    this.abort(code);
    this.tell(handlers => handlers.onReset(code));
  }

  private dispatch(frame: Frame): void {
    const body = frameBody(frame);
    switch (frame.type) {
      case frameType.data:
        return this.onData(body, (frame.flags & frameFlag.now) !== 0);
      case frameType.fin:
        return this.onFin(decodeFin(body));
      case frameType.reset:
        return this.end(errorCodeOf(decodeReset(body)) ?? 'aborted');
      case frameType.window:
        return this.onWindow(decodeWindow(body));
      case frameType.yield:
        return this.onYield(decodeYield(body));
      default:
        return undefined;
    }
  }

  private onData(body: Buffer, now: boolean): void {
    const data = decodeData(body);
    const fresh = this.receiving.onData(data.offset, data.bytes, now);
    this.announceWindow();
    if (fresh.length === 0) return;
    if (this.handlers !== undefined) this.handlers.onData(fresh);
    else this.tell(handlers => handlers.onData(fresh));
  }

  private onFin(offset: number): void {
    if (!this.receiving.onFin(offset)) return;
    this.announceWindow();
    this.tell(handlers => handlers.onFin());
    this.forgetWhenDone();
  }

  private onWindow(window: Window): void {
    this.sending.onWindow(window);
    this.surroundings.wake(this);
    this.tellRoom();
    this.forgetWhenDone();
  }

  private onYield(upTo: number): void {
    this.receiving.onYield(upTo);
    this.announceWindow();
  }

  /** Every 10 s: gives back what it has not used since the last time (P3.3). False when there is nothing to give back. */
  sweep(): boolean {
    if (this.sending.sweep()) this.surroundings.wake(this);
    return this.sending.hasSpare;
  }

  private tellRoom(): void {
    if (!this.wasFull || this.sending.roomBytes === 0) return;
    this.wasFull = false;
    this.tell(handlers => handlers.onRoom());
  }

  private forgetWhenDone(): void {
    if (this.over || !this.sending.finished || !this.receiving.delivered || this.receiving.windowPending)
      return;
    this.over = true;
    this.surroundings.forget(this);
    this.tell(handlers => handlers.onFinished());
  }

  /** What RESUME says of this stream; counts as a WINDOW that was told (P4.4). */
  takeState(): LiveStream {
    const { finSent } = this.sending;
    const { received, limit, yields } = this.receiving.takeWindow();
    this.forgetWhenDone();
    return { id: this.id, received, limit, finSent, yields };
  }

  /** The label is a new one, and the peer has this of the stream (P4.4). */
  resume(peer: LiveStream): void {
    const knowsItsFin = peer.finSent || !this.receiving.finished;
    this.goOn(knowsItsFin && this.sending.rewind(peer));
  }

  /** The label is a new one, and to the peer the stream is past and was not reset: it finished cleanly (P4.5). */
  resumeFinished(): void {
    const all = this.sending.endOffset + 1;
    this.goOn(this.receiving.finished && this.sending.rewind({ received: all, limit: 0, yields: 0 }));
  }

  /** The label is a new one, and the message that creates the stream has not reached the peer (P4.5). */
  resumeUnseen(): void {
    const nothingCame = this.receiving.receivedBytes === 0 && !this.receiving.finished;
    this.goOn(nothingCame && this.sending.rewindToStart());
  }

  private goOn(consistent: boolean): void {
    if (this.over) return;
    if (!consistent) return this.fail('cannot-resume');
    this.surroundings.wake(this);
    this.tellRoom();
    this.forgetWhenDone();
  }

  /**
   * The label is a new one, and the stream is over by a RESET of this end, which goes again. `received`: what the peer has of
   * the bytes before it; absent when it has ended the stream already.
   */
  repeatReset(received?: number): void {
    const bytesGoToo = received !== undefined && this.sending.rewind({ received, limit: 0, yields: 0 });
    if (!bytesGoToo) this.sending.repeatReset();
    this.surroundings.wake(this);
  }

  /** True while a RESET of this end stands behind bytes that the peer may lack: RESUME says that the stream lives. */
  get keepsBytesForReset(): boolean {
    return this.sending.keepsBytesForReset;
  }

  /** The reason of the RESET of this end, if there is one. */
  get resetReason(): number | undefined {
    return this.sending.resetReason;
  }

  /** Bytes taken from the owner that the peer is not known to have (P3.3). */
  get keptBytes(): number {
    return this.sending.keptBytes;
  }

  /** Bytes that the peer may send, and the owner has not taken (P3.3); 0 once the stream is over. */
  get promisedBytes(): number {
    return this.over ? 0 : this.receiving.promisedBytes;
  }

  /** Bytes that went more than once because a label was lost. */
  get resentBytes(): number {
    return this.sending.resentBytes;
  }

  /** The stream is over because the peer, or the link, says so. Nothing is sent. */
  end(code: ErrorCode): void {
    if (this.over) return;
    this.over = true;
    this.sending.dropAll();
    this.surroundings.forget(this);
    this.tell(handlers => handlers.onReset(code));
  }

  /** Gives window and share back to the budgets. The stream is forgotten. */
  release(): void {
    this.sending.dropAll();
    this.sending.release();
    this.receiving.release();
  }
}
