import { EntremiseError } from '../base/errors.ts';
import { encodeFrame, type Frame, frameBody } from '../wire/frame.ts';
import {
  type Datagram,
  type DatagramMark,
  decodeDatagramBody,
  encodeDatagramBody,
} from '../wire/messages/binary.ts';
import { frameFlag, frameType, headerBytes, maxBodyBytes, maxDatagramBytes } from '../wire/spec.ts';
import { hasMore } from './spanning.ts';

/** Bytes of datagrams that may wait on a label (P2.3). */
const queueBytes = 256 * 1024;

/** The body of the longest datagram: 7 bytes, two IPv6 addresses, the payload. */
const maxDatagramBody = 7 + 32 + maxDatagramBytes;

/** The frames of one datagram, written consecutively. */
type Parts = readonly Buffer[];

function partsOf(label: number, body: Buffer): Parts {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; at += maxBodyBytes) {
    const end = Math.min(at + maxBodyBytes, body.length);
    const flags = end < body.length ? frameFlag.more : 0;
    parts.push(encodeFrame({ type: frameType.datagram, flags, label, stream: 0 }, body.subarray(at, end)));
  }
  return parts;
}

function sizeOf(parts: Parts): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

/**
 * Datagram frames that wait for their turn on a label: whole datagrams, the oldest dropped when the queue is over its
 * bound (P2.3). Used where datagrams are made and where a switch passes their parts on.
 */
export class DatagramQueue {
  private readonly waiting: Parts[] = [];
  /** Bytes of the datagrams that wait; neither the one being written nor one whose last part is still to come. */
  waitingBytes = 0;
  private current: Buffer[] = [];
  private assembling: Buffer[] = [];
  /** Whole datagrams dropped because the queue was full. */
  dropped = 0;

  /** Queues a datagram of this process, or a mark. */
  add(label: number, datagram: Datagram | DatagramMark): void {
    this.push(partsOf(label, encodeDatagramBody(datagram)));
  }

  /** Queues one part of a datagram that is passed on; it waits until its last part is there. */
  addPart(bytes: Buffer, more: boolean): void {
    this.assembling.push(bytes);
    if (sizeOf(this.assembling) > maxDatagramBody + 8 * headerBytes) {
      throw new EntremiseError('protocol-error', { message: 'A datagram is longer than allowed.' });
    }
    if (more) return;
    this.push(this.assembling);
    this.assembling = [];
  }

  private push(parts: Parts): void {
    this.waiting.push(parts);
    this.waitingBytes += sizeOf(parts);
    while (this.waitingBytes > queueBytes && this.waiting.length > 1) {
      this.waitingBytes -= sizeOf(this.waiting.shift() ?? []);
      this.dropped++;
    }
  }

  /** As {@link clear}, for a label after which another comes: what is lost is counted (P4.7). */
  lose(): void {
    this.dropped += this.waiting.length + (this.current.length > 0 ? 1 : 0);
    this.clear();
  }

  /** Forgets what waits: datagrams do not outlive their label. */
  clear(): void {
    this.waiting.length = 0;
    this.waitingBytes = 0;
    this.current = [];
    this.assembling = [];
  }

  /** The next frame, or undefined. */
  take(): Buffer | undefined {
    if (this.current.length === 0) {
      const parts = this.waiting.shift();
      if (parts === undefined) return undefined;
      this.waitingBytes -= sizeOf(parts);
      this.current = [...parts];
    }
    return this.current.shift();
  }
}

/** Puts the parts of datagrams together again. */
export class DatagramAssembler {
  private parts: Buffer[] = [];
  private bytes = 0;

  /**
   * A DATAGRAM frame has come; returns the datagram that it completes, if any, or the mark that it is.
   * @throws EntremiseError `bad-request` when it is malformed, `frame-too-large` when it is longer than a datagram can be,
   * `protocol-error` for an empty part
   */
  receive(frame: Frame): Datagram | DatagramMark | undefined {
    const body = frameBody(frame);
    this.bytes += body.length;
    if (this.bytes > maxDatagramBody) {
      throw new EntremiseError('frame-too-large', { message: 'A datagram is longer than 65,507 bytes.' });
    }
    if (hasMore(frame, body)) {
      this.parts.push(Buffer.from(body));
      return undefined;
    }
    const whole = this.parts.length === 0 ? body : Buffer.concat([...this.parts, body]);
    this.parts = [];
    this.bytes = 0;
    return decodeDatagramBody(whole);
  }
}
