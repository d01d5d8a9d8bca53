import { EntremiseError } from '../base/errors.ts';
import { type FrameHeader, writeHeader } from '../wire/frame.ts';
import { encodeFin, encodeReset, encodeYield, type Window, writeOffset } from '../wire/messages/binary.ts';
import { dataOffsetBytes, frameFlag, frameType, headerBytes } from '../wire/spec.ts';
import { type Budget, floorBytes } from './budget.ts';
import { finDataRoom } from './hop-credit.ts';
import type { LinkPosition } from './scheduler.ts';
import { type SlabPool, slabCapacity, slabHeadroom } from './slab.ts';

/**
 * The sending half of a stream (P3): what was taken from the application and is not yet known to have reached the peer
 * process. One list serves as queue (from `sent` on) and as replay copy (before it).
 *
 *      received          sent             end        received + share
 *   ------|================|----------------|................|
 *          kept for replay    still to go      room for the application
 *
 * `sent` never passes min(limit, received + share); the application is not listened to beyond received + share. On a new
 * label `sent` goes back to `received` (P4.4): what is kept for replay is then still to go, and goes from the same slabs.
 */

/** Where frames of this half go. */
type FrameTarget = Omit<FrameHeader, 'type' | 'flags'>;

interface Chunk {
  slab: Buffer;
  readonly offset: number;
  readonly length: number;
  /** Where it was written, if it was: until that link has sent `writtenEnd` bytes, its transport refers to the slab. */
  writtenTo: LinkPosition | undefined;
  writtenEnd: number;
}

function unwritten(slab: Buffer, offset: number, length: number): Chunk {
  return { slab, offset, length, writtenTo: undefined, writtenEnd: 0 };
}

/** How far the end of the stream has got. */
type Ending =
  | { readonly is: 'open' }
  | { readonly is: 'finishing' }
  | { readonly is: 'finSent' }
  | { readonly is: 'finAcknowledged' }
  | { readonly is: 'failing'; readonly reason: number }
  | { readonly is: 'aborting'; readonly reason: number }
  | { readonly is: 'aborted'; readonly reason: number };

/** The ceiling of a replay share on short paths. */
const shareCeilingBytes = 2 * 1024 * 1024;

/** The sending half of one stream; see the head of this file. */
export class SendHalf {
  private readonly pool: SlabPool;
  private readonly budget: Budget;
  private readonly chunks: Chunk[] = [];
  private nextChunk = 0;
  private received = 0;
  private sent = 0;
  private end = 0;
  private limit: number;
  private share: number;
  private ending: Ending = { is: 'open' };
  private askedNow = false;
  private finGone = false;
  /** What the peer allowed first, and allows again when it has never seen the stream. */
  private readonly firstLimit: number;
  private yields = 0;
  private yieldDue = false;
  private endAtSweep = -1;
  /** Bytes that went, or will go, more than once because a label was lost. */
  resentBytes = 0;

  /** `limit`: the peer's first window. `share`: bytes reserved from `budget`, given back by {@link release}. */
  constructor(pool: SlabPool, budget: Budget, limit: number, share: number) {
    this.pool = pool;
    this.budget = budget;
    this.limit = limit;
    this.firstLimit = limit;
    this.share = share;
  }

  /** Stream bytes given to {@link add} so far. */
  get endOffset(): number {
    return this.end;
  }

  /** How many bytes the application may still hand over. Also bounds the number of chunks, or one-byte writes would pin far more than they carry. */
  get roomBytes(): number {
    if (this.ending.is !== 'open' || this.chunks.length > this.share / 64) return 0;
    return Math.max(0, this.received + this.share - this.end);
  }

  /** True when the peer has acknowledged everything, FIN included. */
  get finished(): boolean {
    return this.ending.is === 'finAcknowledged';
  }

  /** True when a RESET was asked for, sent or not. */
  get reset(): boolean {
    return this.ending.is === 'aborting' || this.ending.is === 'aborted';
  }

  /** Takes a slab whose `length` bytes stand behind its headroom. The caller must not touch it again. */
  add(slab: Buffer, length: number): void {
    if (this.ending.is !== 'open' || length === 0) return;
    this.yieldDue = false;
    this.chunks.push(unwritten(this.pool.fit(slab, length), this.end, length));
    this.end += length;
  }

  /** Takes a copy of `bytes`, whatever their number. */
  addCopy(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += slabCapacity) {
      const part = bytes.subarray(at, at + slabCapacity);
      this.add(this.pool.copyOf(part), part.length);
    }
  }

  /** No more bytes will come: FIN after those that are here. */
  finish(): void {
    if (this.ending.is === 'open') this.ending = { is: 'finishing' };
  }

  /** RESET after what was already sent; what was not is discarded (P3.5). False when there is nothing left to abort. */
  abort(reason: number): boolean {
    if (this.reset) return false;
    this.ending = { is: 'aborting', reason };
    this.dropAll();
    return true;
  }

  /**
   * RESET behind all bytes taken so far, which are kept until the RESET has its ECHO: a label may yet be lost with them.
   * False when the peer has them all: then abort does the same.
   */
  abortAfterData(reason: number): boolean {
    const isDecided = this.reset || this.ending.is === 'failing';
    if (isDecided || this.chunks.length === 0) return false;
    this.ending = { is: 'failing', reason };
    return true;
  }

  /** Forgets everything without a word to the peer. */
  dropAll(): void {
    for (const chunk of this.chunks) this.recycle(chunk);
    this.chunks.length = 0;
    this.nextChunk = 0;
  }

  /** Gives the replay share back to the budget. */
  release(): void {
    this.budget.release(this.share);
    this.share = 0;
  }

  /** True when a frame can go, given that DATA may not exceed `dataRoom` bytes of frame. */
  ready(dataRoom: number): boolean {
    switch (this.ending.is) {
      case 'aborting':
        return true;
      case 'aborted':
      case 'finSent':
      case 'finAcknowledged':
        return false;
      default: {
        const chunk = this.chunks[this.nextChunk];
        if (chunk === undefined) {
          if (this.ending.is === 'failing') return true;
          return (this.ending.is === 'finishing' || this.yieldDue) && dataRoom >= finDataRoom;
        }
        const bytes = this.sendableOf(chunk);
        return bytes > 0 && slabHeadroom + bytes <= dataRoom;
      }
    }
  }

  /** How many bytes of the next chunk window and share allow (P3.2). */
  private sendableOf(chunk: Chunk): number {
    const end = Math.min(chunk.offset + chunk.length, this.limit, this.received + this.share);
    return end - chunk.offset;
  }

  /** The next frame, complete, to be written to `link` at once; or undefined when {@link ready} is false. */
  take(header: FrameTarget, dataRoom: number, link: LinkPosition): Buffer | undefined {
    if (!this.ready(dataRoom)) return undefined;
    if (this.ending.is === 'aborting') return this.takeReset(header, this.ending.reason);
    const chunk = this.chunks[this.nextChunk];
    if (chunk !== undefined) return this.takeData(header, this.sendablePart(chunk), link);
    if (this.ending.is === 'failing') return this.takeReset(header, this.ending.reason);
    return this.ending.is === 'open' ? this.takeYield(header) : this.takeFin(header);
  }

  private takeYield(header: FrameTarget): Buffer {
    this.yieldDue = false;
    this.yields++;
    this.limit = this.sent;
    return frameOf(headerOf(frameType.yield, 0, header), encodeYield(this.sent));
  }

  private takeReset(header: FrameTarget, reason: number): Buffer {
    this.ending = { is: 'aborted', reason };
    return frameOf(headerOf(frameType.reset, 0, header), encodeReset(reason));
  }

  private takeFin(header: FrameTarget): Buffer {
    this.ending = { is: 'finSent' };
    this.finGone = true;
    return frameOf(headerOf(frameType.fin, 0, header), encodeFin(this.end));
  }

  private takeData(header: FrameTarget, chunk: Chunk, link: LinkPosition): Buffer {
    if (!hasLeft(chunk)) this.moveToOwnSlab(chunk);
    const { slab, offset, length } = chunk;
    const frame = slab.subarray(0, slabHeadroom + length);
    chunk.writtenTo = link;
    chunk.writtenEnd = link.writtenBytes + frame.length;
    this.nextChunk++;
    this.sent = Math.max(this.sent, offset + length);
    const flags = this.blockedOnReceived && !this.askedNow ? frameFlag.now : 0;
    if (flags !== 0) this.askedNow = true;
    writeHeader(slab, headerOf(frameType.data, flags, header), dataOffsetBytes + length);
    writeOffset(slab, offset, headerBytes);
    return frame;
  }

  /** Nothing more can go, or be taken from the application, before the peer says what it has (P3.1). */
  private get blockedOnReceived(): boolean {
    if (this.chunks[this.nextChunk] !== undefined) return this.sent >= this.received + this.share;
    return this.ending.is === 'open' && this.roomBytes === 0;
  }

  /** The chunk itself, or when window or share end inside it, its first part in a slab of its own. */
  private sendablePart(chunk: Chunk): Chunk {
    const sendable = this.sendableOf(chunk);
    if (sendable === chunk.length) return chunk;
    const bytes = chunk.slab.subarray(slabHeadroom, slabHeadroom + chunk.length);
    const piece = (from: number, to: number) =>
      unwritten(this.pool.copyOf(bytes.subarray(from, to)), chunk.offset + from, to - from);
    const first = piece(0, sendable);
    this.chunks.splice(this.nextChunk, 1, first, piece(sendable, chunk.length));
    this.recycle(chunk);
    return first;
  }

  /** Gives a slab back, unless the transport still refers to it: the peer's word that it has the bytes proves nothing. */
  private recycle(chunk: Chunk): void {
    if (hasLeft(chunk)) this.pool.give(chunk.slab);
  }

  /** The transport of an earlier label still refers to the slab that the chunk is in. */
  private moveToOwnSlab(chunk: Chunk): void {
    chunk.slab = this.pool.copyOf(chunk.slab.subarray(slabHeadroom, slabHeadroom + chunk.length));
  }

  /** The peer allows bytes up to `limit`. */
  raiseLimit(limit: number): void {
    this.limit = Math.max(this.limit, limit);
  }

  /**
   * The peer's WINDOW. Totals, so one that was overtaken changes nothing.
   * @throws EntremiseError `protocol-error` when the peer claims bytes that were not sent
   */
  onWindow(window: Window): void {
    const finOffset = this.finSent ? 1 : 0;
    if (window.received > this.sent + finOffset) {
      throw new EntremiseError('protocol-error', {
        message: 'WINDOW acknowledges bytes that were never sent.',
      });
    }
    if (window.yields >= this.yields) this.raiseLimit(window.limit);
    if (window.received <= this.received) return;
    if (this.sent - this.received >= this.share / 2) this.growShare();
    this.received = window.received;
    this.askedNow = false;
    this.dropAcknowledged();
    if (finOffset === 1 && window.received === this.end + 1) this.ending = { is: 'finAcknowledged' };
  }

  /**
   * Called every 10 s: who has had nothing to send since the last time gives back all but the floor, of its share at once and
   * of its window by YIELD (P3.3). Returns whether a YIELD waits.
   */
  sweep(): boolean {
    const isIdle = this.ending.is === 'open' && this.chunks.length === 0 && this.end === this.endAtSweep;
    this.endAtSweep = this.end;
    if (!isIdle) return false;
    if (this.share > floorBytes) this.shrinkShare();
    this.yieldDue = this.limit - this.sent > floorBytes;
    return this.yieldDue;
  }

  private shrinkShare(): void {
    this.budget.release(this.share - floorBytes);
    this.share = floorBytes;
  }

  /** True while there is something that {@link sweep} may give back. */
  get hasSpare(): boolean {
    return this.ending.is === 'open' && (this.share > floorBytes || this.limit - this.sent > floorBytes);
  }

  /** Bytes taken from the application that the peer is not known to have. */
  get keptBytes(): number {
    return this.chunks.length === 0 ? 0 : this.end - this.received;
  }

  /** More than half the share was under way at once, so the path holds more than the share does. */
  private growShare(): void {
    this.share = this.budget.grow(this.share, shareCeilingBytes);
  }

  /**
   * The label is a new one, and RESUME says what the peer has (P4.4): all behind `received` goes again, FIN too, and the
   * limit is told anew. False, and nothing changed, when that cannot be: it has been forgotten here, or was never sent.
   * A YIELD that the peer has not seen was lost with its label: then it never was.
   */
  rewind({ received, limit, yields }: Window): boolean {
    const sent = this.sent + (this.finGone ? 1 : 0);
    if (received < this.received || received > sent) return false;
    this.finGone = received > this.end;
    this.ending = this.endingOnNewLabel();
    this.yields = Math.min(this.yields, yields);
    this.raiseLimit(limit);
    this.received = received;
    this.dropAcknowledged();
    this.nextChunk = 0;
    this.resentBytes += Math.max(0, this.sent - received);
    this.sent = Math.min(received, this.end);
    this.askedNow = false;
    return true;
  }

  /** As {@link rewind}, for a peer that has not seen the message that creates the stream. */
  rewindToStart(): boolean {
    return this.rewind({ received: 0, limit: this.firstLimit, yields: 0 });
  }

  private endingOnNewLabel(): Ending {
    switch (this.ending.is) {
      case 'finSent':
      case 'finAcknowledged':
        return { is: this.finGone ? 'finAcknowledged' : 'finishing' };
      case 'aborted':
        return { is: 'failing', reason: this.ending.reason };
      default:
        return this.ending;
    }
  }

  /** The label is a new one, and the RESET whose ECHO has not come goes again, with no bytes before it (P4.5). */
  repeatReset(): void {
    this.dropAll();
    const reason = this.resetReason;
    if (reason !== undefined) this.ending = { is: 'aborting', reason };
  }

  /** The reason of the RESET that was asked for, sent or not. */
  get resetReason(): number | undefined {
    return 'reason' in this.ending ? this.ending.reason : undefined;
  }

  /** True while a RESET was asked for behind bytes that the peer may lack. */
  get keepsBytesForReset(): boolean {
    return this.resetReason !== undefined && this.chunks.length > 0;
  }

  /** True when FIN has been written to a label, and the peer has not said since that it lacks it. */
  get finSent(): boolean {
    return this.finGone;
  }

  private dropAcknowledged(): void {
    let count = 0;
    for (const chunk of this.chunks) {
      if (chunk.offset + chunk.length > this.received) break;
      this.recycle(chunk);
      count++;
    }
    this.chunks.splice(0, count);
    this.nextChunk -= count;
  }
}

/** True when no transport refers to the chunk's slab. */
function hasLeft({ writtenTo, writtenEnd }: Chunk): boolean {
  return writtenTo === undefined || writtenEnd <= writtenTo.leftBytes;
}

/** Spelled out: for `{ ...target, type, flags }` V8 makes a hidden class a frame, and those outlive every scavenge. */
function headerOf(type: number, flags: number, { label, stream }: FrameTarget): FrameHeader {
  return { type, flags, label, stream };
}

function frameOf(header: FrameHeader, body: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(headerBytes + body.length);
  writeHeader(frame, header, body.length);
  body.copy(frame, headerBytes);
  return frame;
}
