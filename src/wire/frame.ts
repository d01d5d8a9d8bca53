import { EntremiseError } from '../base/errors.ts';
import { headerBytes, maxBodyBytes } from './spec.ts';

/** One frame as it stands on the wire (P1.1). `bytes` is header and body in one piece, so that a switch can pass it on uncopied. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly label: number;
  readonly stream: number;
  readonly bytes: Buffer;
}

/** The fields of a frame's header, without the length. */
export type FrameHeader = Omit<Frame, 'bytes'>;

/** Writes a header at the start of `into`; `bodyLength` is what follows it. */
export function writeHeader(into: Buffer, header: FrameHeader, bodyLength: number): void {
  into.writeUInt8(header.type, 0);
  into.writeUInt8(header.flags, 1);
  into.writeUInt16BE(bodyLength, 2);
  into.writeUInt32BE(header.label, 4);
  into.writeUInt32BE(header.stream, 8);
}

/**
 * Header and body as one buffer.
 * @throws EntremiseError `frame-too-large` when the body is longer than a frame carries
 */
export function encodeFrame(header: FrameHeader, body: Uint8Array): Buffer {
  if (body.length > maxBodyBytes) {
    throw new EntremiseError('frame-too-large', {
      message: `A body of ${body.length} bytes does not fit a frame.`,
    });
  }
  const bytes = Buffer.allocUnsafe(headerBytes + body.length);
  writeHeader(bytes, header, body.length);
  bytes.set(body, headerBytes);
  return bytes;
}

/** The body of a frame, a view on its bytes. */
export function frameBody(frame: Frame): Buffer {
  return frame.bytes.subarray(headerBytes);
}

/** Writes another label into a frame that is already encoded (label swapping, P1.2). */
export function relabel(bytes: Buffer, label: number): void {
  bytes.writeUInt32BE(label, 4);
}

/** Writes other flags into a frame that is already encoded. */
export function reflag(bytes: Buffer, flags: number): void {
  bytes.writeUInt8(flags, 1);
}

function parseHeader(bytes: Buffer): Frame {
  return {
    type: bytes.readUInt8(0),
    flags: bytes.readUInt8(1),
    label: bytes.readUInt32BE(4),
    stream: bytes.readUInt32BE(8),
    bytes,
  };
}

function bodyLengthAt(bytes: Buffer, at: number): number {
  const length = bytes.readUInt16BE(at + 2);
  if (length > maxBodyBytes) {
    throw new EntremiseError('frame-too-large', {
      message: `A frame announces ${length} bytes, ${maxBodyBytes} are allowed.`,
    });
  }
  return length;
}

/** Where the frame that starts at `at` ends, or undefined when the piece has not all of it. */
function endOfWholeFrame(piece: Buffer, at: number): number | undefined {
  if (piece.length - at < headerBytes) return undefined;
  const end = at + headerBytes + bodyLengthAt(piece, at);
  return end > piece.length ? undefined : end;
}

/**
 * Cuts a byte stream into frames, whatever the pieces it comes in. A frame that lies whole in one piece is a view on
 * it; only a frame cut across pieces is copied, into a buffer of its own length. Never holds more than one frame. After
 * an error it must not be used again: the link ends.
 */
export class FrameDecoder {
  /** The unfinished frame: room for its header, and once that is whole, for all of it. */
  private held: Buffer | undefined;
  private filled = 0;

  /** Bytes of an unfinished frame that are held. */
  get heldBytes(): number {
    return this.filled;
  }

  /**
   * Takes a piece and calls `onFrame` for each frame that it completes, in order.
   * @throws EntremiseError `frame-too-large` before anything of such a body is kept
   */
  push(piece: Buffer, onFrame: (frame: Frame) => void): void {
    let at = 0;
    while (at < piece.length) {
      const end = this.held === undefined ? endOfWholeFrame(piece, at) : undefined;
      if (end !== undefined) onFrame(parseHeader(piece.subarray(at, end)));
      at = end ?? at + this.fill(piece, at, onFrame);
    }
  }

  /** Completes the held header, or the held frame, from the piece; returns how many bytes it took. */
  private fill(piece: Buffer, at: number, onFrame: (frame: Frame) => void): number {
    this.held ??= Buffer.allocUnsafe(headerBytes);
    const held = this.held;
    const taken = piece.copy(held, this.filled, at);
    this.filled += taken;
    if (this.filled < held.length) return taken;
    const total = headerBytes + bodyLengthAt(held, 0);
    if (held.length < total) {
      this.held = Buffer.allocUnsafe(total);
      held.copy(this.held);
      return taken;
    }
    this.held = undefined;
    this.filled = 0;
    onFrame(parseHeader(held));
    return taken;
  }
}
