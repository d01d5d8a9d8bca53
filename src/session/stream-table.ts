import { EntremiseError, type ErrorCode, errorCodeOf } from '../base/errors.ts';
import type { Frame } from '../wire/frame.ts';
import type { LiveStream, Resume } from '../wire/messages/resume.ts';
import { frameFlag, frameType } from '../wire/spec.ts';
import type { Budget } from './budget.ts';
import type { LabelOutlet } from './label-outlet.ts';
import { ReceiveHalf } from './receive-half.ts';
import { SendHalf } from './send-half.ts';
import type { SlabPool } from './slab.ts';
import { Stream, type StreamSurroundings } from './stream.ts';

/** Who this end of an attachment is: a terminal's stream ids are odd, a mediator's even (P1.3). */
export type Side = 'terminal' | 'mediator';

/** What all attachments of a process share. */
export interface AttachmentResources {
  readonly pool: SlabPool;
  readonly receiveBudget: Budget;
  readonly replayBudget: Budget;
  /** Monotonic milliseconds. */
  now(): number;
}

/** Streams that may live, and RESETs that may wait for their ECHO: as many as RESUME can list (P4.4). */
const maxStreams = 4096;

/** A new stream and the first window to announce for it. */
export interface NewStream {
  readonly stream: Stream;
  readonly limit: number;
}

/** What the table needs of its attachment. */
export interface TableSurroundings {
  readonly outlet: LabelOutlet;
  /** True until the attachment has ended: it has a label, or will have one. */
  isAlive(): boolean;
  /** WINDOWs that were put off should go within the delay of P3.1. */
  requestWindowTick(): void;
  /** {@link StreamTable.sweep} within 10 s. */
  requestSweep(): void;
  /** Milliseconds of the whole path, as far as known. */
  roundTripMs(): number;
}

function unansweredResets(): EntremiseError {
  return new EntremiseError('limit', { message: 'Too many RESETs have not been answered by an ECHO.' });
}

/** The streams of one attachment end: which ids live, which are being reset, which are past (P1.3, P3.8, P4.5). */
export class StreamTable implements StreamSurroundings {
  private readonly side: Side;
  private readonly resources: AttachmentResources;
  private readonly surroundings: TableSurroundings;
  private readonly streams = new Map<number, Stream>();
  /** Streams that ended by a RESET of ours whose ECHO has not come. */
  private readonly resetting = new Map<number, Stream>();
  private nextId: number;
  private mark = 0;
  /** Frames for streams that are no more (P3.8). */
  droppedFrames = 0;
  /** Stream bytes that went again on another label (P4.4). */
  resentBytes = 0;

  constructor(side: Side, resources: AttachmentResources, surroundings: TableSurroundings) {
    this.side = side;
    this.resources = resources;
    this.surroundings = surroundings;
    this.nextId = side === 'terminal' ? 1 : 2;
  }

  /** Live streams. */
  get size(): number {
    return this.streams.size;
  }

  /** RESETs of this end whose ECHO has not come (P4.5). */
  get pendingResets(): number {
    return this.resetting.size;
  }

  /** Highest id seen from the peer (P4.4). */
  get peerMark(): number {
    return this.mark;
  }

  /** A stream of this end. Undefined when there are too many, or the budgets have no floor left (P3.3). */
  create(peerLimit: number): NewStream | undefined {
    if (this.streams.size + this.resetting.size >= maxStreams) return undefined;
    const made = this.make(this.nextId, peerLimit);
    if (made !== undefined) this.nextId += 2;
    return made;
  }

  /**
   * A stream that the peer has created. `announced`: the first window that the peer already has for it (LISTEN, P3.4).
   * Undefined when there are too many, or the budgets have no floor left.
   * @throws EntremiseError `protocol-error` when the id does not rise or has the wrong parity (P1.3), `limit` when the peer
   * does not answer RESETs
   */
  accept(id: number, peerLimit: number, announced?: number): NewStream | undefined {
    this.raiseMark(id);
    const made = this.make(id, peerLimit, announced);
    if (announced !== undefined && made !== undefined) this.wake(made.stream);
    return made;
  }

  /** RESETs a stream that the peer has created, or whose {@link accept} found no budget (P3.8). */
  refuse(id: number, code: ErrorCode): void {
    if (id > this.mark) this.raiseMark(id);
    const { pool, receiveBudget, replayBudget } = this.resources;
    const nothing = new SendHalf(pool, replayBudget, 0, 0);
    new Stream(id, nothing, new ReceiveHalf(receiveBudget, 0), this).abort(code);
  }

  /** RESETs that are never answered do not pile up: a peer that only makes streams and keeps silent loses the label. */
  private raiseMark(id: number): void {
    if (this.resetting.size >= maxStreams) {
      throw unansweredResets();
    }
    if (this.isOwn(id) || id <= this.mark) {
      throw new EntremiseError('protocol-error', {
        message: `Stream id ${id} is not a new one of the peer.`,
      });
    }
    this.mark = id;
  }

  private make(id: number, peerLimit: number, announced?: number): NewStream | undefined {
    if (this.streams.size >= maxStreams) return undefined;
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

  /**
   * What RESUME says of streams (P4.4).
   * @throws EntremiseError `limit` when more RESETs are unanswered than it can list
   */
  takeState(): Pick<Resume, 'streams' | 'resets' | 'mark'> {
    if (this.resetting.size > maxStreams) throw unansweredResets();
    const resetting = [...this.resetting.values()];
    const withBytes = resetting.filter(stream => stream.keepsBytesForReset);
    const streams: LiveStream[] = [...this.streams.values(), ...withBytes].map(stream => stream.takeState());
    const resets = resetting
      .filter(stream => !stream.keepsBytesForReset)
      .map(({ id, resetReason = 0 }) => ({ id, reason: resetReason }));
    return { streams, resets, mark: this.mark };
  }

  /** Whether the peer's RESUME speaks only of streams that there have been. */
  mayResume(peer: Resume): boolean {
    const areKnown = [...peer.streams, ...peer.resets].every(({ id }) => !this.isOwn(id) || id < this.nextId);
    return areKnown && (peer.mark === 0 || (this.isOwn(peer.mark) && peer.mark < this.nextId));
  }

  /** The label is a new one, and the peer has said what it has: every stream goes on, or ends, accordingly (P4.4, P4.5). */
  resume(peer: Resume): void {
    const live = new Map(peer.streams.map(state => [state.id, state]));
    const resets = new Map(peer.resets.map(({ id, reason }) => [id, reason]));
    for (const stream of [...this.streams.values()]) {
      // What one owner is told may make it end another of its streams.
      if (stream.ended) continue;
      const before = stream.resentBytes;
      this.resumeOne(stream, live.get(stream.id), resets.get(stream.id), peer.mark);
      this.resentBytes += stream.resentBytes - before;
    }
    for (const stream of this.resetting.values()) {
      const isUnseen = this.isOwn(stream.id) && stream.id > peer.mark;
      stream.repeatReset(isUnseen ? 0 : live.get(stream.id)?.received);
    }
  }

  private resumeOne(
    stream: Stream,
    live: LiveStream | undefined,
    reset: number | undefined,
    peerMark: number,
  ): void {
    if (live !== undefined) return stream.resume(live);
    if (reset !== undefined) return stream.end(errorCodeOf(reset) ?? 'aborted');
    if (this.isOwn(stream.id) && stream.id > peerMark) return stream.resumeUnseen();
    stream.resumeFinished();
  }

  /** Ends every stream at this end, with nothing sent. */
  endAll(code: ErrorCode): void {
    for (const stream of this.resetting.values()) stream.release();
    this.resetting.clear();
    for (const stream of [...this.streams.values()]) stream.end(code);
  }

  /**
   * DATA, FIN, RESET, WINDOW or YIELD of a stream has come.
   * @throws EntremiseError `protocol-error` for an id that never was (P3.8)
   */
  receive(frame: Frame): void {
    const isReset = frame.type === frameType.reset;
    if (!this.isKnown(frame.stream)) {
      throw new EntremiseError('protocol-error', { message: `Stream ${frame.stream} does not exist yet.` });
    }
    if (isReset && (frame.flags & frameFlag.echo) !== 0) return this.onEcho(frame.stream);
    if (isReset) this.surroundings.outlet.sendEcho(frame);
    const stream = this.streams.get(frame.stream);
    if (stream !== undefined) return stream.receive(frame);
    this.droppedFrames++;
    // Crossing RESETs satisfy each other (P4.5).
    if (isReset) this.onEcho(frame.stream);
  }

  /** Ids at or below the mark exist or have existed (P3.8). */
  private isKnown(id: number): boolean {
    return this.isOwn(id) ? id < this.nextId : id <= this.mark;
  }

  private isOwn(id: number): boolean {
    return (id % 2 === 1) === (this.side === 'terminal');
  }

  private onEcho(id: number): void {
    const stream = this.resetting.get(id);
    if (stream === undefined) return;
    this.resetting.delete(id);
    this.surroundings.outlet.forget(stream);
    stream.release();
  }

  /** Every stream that has been idle since the last time gives back what it does not use (P3.3). False when none is left to. */
  sweep(): boolean {
    let more = false;
    for (const stream of this.streams.values()) more = stream.sweep() || more;
    return more;
  }

  /** Of {@link StreamSurroundings}. */
  wake(stream: Stream): void {
    this.surroundings.requestSweep();
    this.surroundings.outlet.wakeStream(stream);
  }

  /** Of {@link StreamSurroundings}: the RESET is kept until its ECHO comes (P4.5). */
  aborted(stream: Stream): void {
    this.streams.delete(stream.id);
    if (!this.surroundings.isAlive()) return stream.release();
    this.resetting.set(stream.id, stream);
    this.surroundings.outlet.wakeStream(stream);
  }

  /** Of {@link StreamSurroundings}. */
  windowSoon(stream: Stream): void {
    this.surroundings.outlet.putOffWindow(stream);
    this.surroundings.requestWindowTick();
  }

  /** Of {@link StreamSurroundings}. */
  forget(stream: Stream): void {
    this.streams.delete(stream.id);
    this.surroundings.outlet.forget(stream);
    stream.release();
  }

  /** Of {@link StreamSurroundings}. */
  now(): number {
    return this.resources.now();
  }

  /** Of {@link StreamSurroundings}. */
  roundTripMs(): number {
    return this.surroundings.roundTripMs();
  }
}
