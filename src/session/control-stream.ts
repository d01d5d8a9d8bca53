import { EntremiseError, type ErrorCode, errorCodeOf } from '../base/errors.ts';
import { type Frame, frameBody, writeHeader } from '../wire/frame.ts';
import type { Window } from '../wire/messages/binary.ts';
import { frameFlag, frameType, headerBytes, macBytes, maxBodyBytes } from '../wire/spec.ts';
import { controlMac, controlMacMatches } from './transcript.ts';

/**
 * Stream 0 of an attachment (P3.7): COMMAND, RESULT and EVENT, numbered from 1 in each direction over the attachment's
 * life, each closed by a MAC, kept until acknowledged, run or delivered exactly once.
 */

const seqBytes = 4;

/** The longest CBOR body of a message on stream 0. */
export const maxControlBytes = maxBodyBytes - seqBytes - macBytes - 1;

/** Messages that may be unacknowledged (P3.7). */
const windowMessages = 256;

/** Bytes that may be unacknowledged (P3.7). */
const windowBytes = 256 * 1024;

/** Who this end is: only a mediator owes an answer to every message that it takes. */
type Side = 'terminal' | 'mediator';

interface Outgoing {
  readonly seq: number;
  readonly type: number;
  readonly body: Uint8Array;
}

/** A message of stream 0 that has come, in order and authentic. */
export interface Incoming {
  readonly type: number;
  readonly seq: number;
  readonly body: Buffer;
  /** The server's reason, when it refused a COMMAND (P5.8). */
  readonly denied: ErrorCode | undefined;
}

/** The keys of an attempt, one a direction. */
export interface ControlKeys {
  readonly send: Buffer;
  readonly receive: Buffer;
}

/** Stream 0; see the head of this file. */
export class ControlStream {
  private readonly side: Side;
  private keys: ControlKeys | undefined;
  private readonly kept: Outgoing[] = [];
  private keptBytes = 0;
  private nextToSend = 0;
  private underWayBytes = 0;
  private lastSeq = 0;
  private sentSeq = 0;
  private peerReceived = 0;
  /** RESUME gives the first limit; until it has come this one (P3.7). */
  private peerLimit = windowMessages;
  private received = 0;
  private told = 0;
  private untoldBytes = 0;
  private toldLimit = windowMessages;

  constructor(side: Side) {
    this.side = side;
  }

  /** The keys of the attempt from now on. */
  setKeys(keys: ControlKeys): void {
    this.keys = keys;
  }

  /** Highest seq received without a gap. */
  get receivedSeq(): number {
    return this.received;
  }

  /**
   * The peer may send up to this seq; never goes back. A terminal that acknowledges nothing gets no more COMMANDs through
   * than there is room for their RESULTs, or they would pile up here.
   */
  get limitSeq(): number {
    const owed = this.side === 'terminal' ? 0 : this.full ? windowMessages : this.unacknowledged;
    return Math.max(this.toldLimit, this.received + windowMessages - owed);
  }

  private get unacknowledged(): number {
    return this.lastSeq - this.peerReceived;
  }

  /** True while nothing more should be made: the peer has not acknowledged what it may hold (P3.7). */
  get full(): boolean {
    return this.unacknowledged >= windowMessages || this.keptBytes >= windowBytes;
  }

  /** True when less than half of that room is left. */
  get busy(): boolean {
    return this.unacknowledged >= windowMessages / 2 || this.keptBytes >= windowBytes / 2;
  }

  /**
   * Queues a message; returns its seq.
   * @throws EntremiseError `frame-too-large` when it does not fit one frame (P1.6)
   */
  queue(type: number, body: Uint8Array): number {
    if (body.length > maxControlBytes) throw new EntremiseError('frame-too-large');
    this.lastSeq++;
    this.kept.push({ seq: this.lastSeq, type, body });
    this.keptBytes += body.length;
    return this.lastSeq;
  }

  /** Whether the peer lets `next` come now, and what is under way leaves room for it (P3.7). */
  private mayGo(next: Outgoing): boolean {
    const fits = this.underWayBytes === 0 || this.underWayBytes + next.body.length <= windowBytes;
    return fits && next.seq <= this.peerLimit;
  }

  /** Bytes of the frame that {@link take} would give, 0 when there is none. */
  get nextFrameBytes(): number {
    const next = this.kept[this.nextToSend];
    return next === undefined ? 0 : headerBytes + seqBytes + next.body.length + macBytes;
  }

  /** The next message as a frame, or undefined. */
  take(label: number): Buffer | undefined {
    const next = this.kept[this.nextToSend];
    if (next === undefined || !this.mayGo(next)) return undefined;
    this.nextToSend++;
    this.underWayBytes += next.body.length;
    this.sentSeq = Math.max(this.sentSeq, next.seq);
    return sealed(this.sendKey(), label, next);
  }

  /** True when the message with that seq has been written to the label, or the peer has it. */
  wasSent(seq: number): boolean {
    return seq <= this.sentSeq;
  }

  private sendKey(): Buffer {
    if (this.keys === undefined)
      throw new EntremiseError('internal', { message: 'Stream 0 has no keys yet.' });
    return this.keys.send;
  }

  /**
   * A message has come. Undefined when it was there before.
   * @throws EntremiseError `protocol-error` for a gap, a wrong MAC, or more than the peer was allowed
   */
  receive(frame: Frame): Incoming | undefined {
    const { body, seq, denied } = this.open(frame);
    if (seq <= this.received) return undefined;
    if (seq !== this.received + 1)
      throw new EntremiseError('protocol-error', { message: 'A gap in stream 0.' });
    if (seq > this.toldLimit)
      throw new EntremiseError('protocol-error', { message: 'A message beyond the limit of stream 0.' });
    this.received = seq;
    this.untoldBytes += body.length;
    return { type: frame.type, seq, body, denied };
  }

  private open(frame: Frame): { body: Buffer; seq: number; denied: ErrorCode | undefined } {
    const isDenied = frame.type === frameType.command && (frame.flags & frameFlag.denied) !== 0;
    const whole = frameBody(frame);
    const macEnd = whole.length - (isDenied ? 1 : 0);
    if (this.keys === undefined || macEnd < seqBytes + macBytes) throw new EntremiseError('protocol-error');
    const covered = whole.subarray(0, macEnd - macBytes);
    const mac = controlMac(this.keys.receive, frame.type, frame.flags, frame.stream, covered);
    if (!controlMacMatches(mac, whole.subarray(macEnd - macBytes, macEnd))) {
      throw new EntremiseError('protocol-error', { message: 'A message of stream 0 is not authentic.' });
    }
    const denied = isDenied ? (errorCodeOf(whole.readUInt8(macEnd)) ?? 'not-permitted') : undefined;
    return { body: covered.subarray(seqBytes), seq: covered.readUInt32BE(0), denied };
  }

  /** True when half of what the peer may send has come since it was last told, or may be sent anew. */
  get windowDue(): boolean {
    if (this.received - this.told >= windowMessages / 2 || this.untoldBytes >= windowBytes / 2) return true;
    return this.limitSeq - this.toldLimit >= windowMessages / 2;
  }

  /** True when something has come since the peer was last told. */
  get windowPending(): boolean {
    return this.received > this.told;
  }

  /** The WINDOW of stream 0 to send now; what it says may as well go in RESUME. */
  takeWindow(): Window {
    this.told = this.received;
    this.untoldBytes = 0;
    this.toldLimit = this.limitSeq;
    return { received: this.received, limit: this.toldLimit, yields: 0 };
  }

  /**
   * The peer's WINDOW of stream 0, or the same in its RESUME. Returns true when {@link full} has ended.
   * @throws EntremiseError `protocol-error` when it acknowledges what was not sent
   */
  onWindow(window: Pick<Window, 'received' | 'limit'>): boolean {
    if (window.received > this.sentSeq) {
      throw new EntremiseError('protocol-error', {
        message: 'WINDOW acknowledges messages that were never sent.',
      });
    }
    const wasFull = this.full;
    this.peerLimit = Math.max(this.peerLimit, window.limit);
    this.peerReceived = Math.max(this.peerReceived, window.received);
    while (this.kept[0] !== undefined && this.kept[0].seq <= this.peerReceived) this.dropFirst();
    return wasFull && !this.full;
  }

  /**
   * The label is a new one, and RESUME says what the peer has (P4.4): all behind it goes again. As {@link onWindow}.
   * @throws EntremiseError `cannot-resume` when the peer lacks what was forgotten here, or has what was never sent
   */
  rewind(window: Pick<Window, 'received' | 'limit'>): boolean {
    if (window.received < this.peerReceived || window.received > this.sentSeq) {
      throw new EntremiseError('cannot-resume', {
        message: 'The peer does not have the messages of stream 0 that it had.',
      });
    }
    const roomAgain = this.onWindow(window);
    this.nextToSend = 0;
    this.underWayBytes = 0;
    this.sentSeq = this.peerReceived;
    return roomAgain;
  }

  private dropFirst(): void {
    const bytes = this.kept.shift()?.body.length ?? 0;
    this.keptBytes -= bytes;
    this.underWayBytes -= bytes;
    this.nextToSend--;
  }
}

/** The message as a frame, its MAC over what stands between header and MAC (P6.4). */
function sealed(key: Buffer, label: number, { type, seq, body }: Outgoing): Buffer {
  const coveredBytes = seqBytes + body.length;
  const frame = Buffer.allocUnsafe(headerBytes + coveredBytes + macBytes);
  writeHeader(frame, { type, flags: 0, label, stream: 0 }, coveredBytes + macBytes);
  frame.writeUInt32BE(seq, headerBytes);
  frame.set(body, headerBytes + seqBytes);
  const covered = frame.subarray(headerBytes, headerBytes + coveredBytes);
  frame.set(controlMac(key, type, 0, 0, covered), headerBytes + coveredBytes);
  return frame;
}
