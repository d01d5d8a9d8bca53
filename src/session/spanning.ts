import { EntremiseError } from '../base/errors.ts';
import { encodeFrame, type Frame, frameBody } from '../wire/frame.ts';
import { frameFlag, frameNameOf, frameType, maxBodyBytes, maxSpanningBytes } from '../wire/spec.ts';

/** Messages of label 0 that may span frames (P1.6). */
const spanning = new Set<number>([frameType.report, frameType.statement, frameType.presence]);

/**
 * The frames of a message on label 0.
 * @throws EntremiseError `frame-too-large` when the message is longer than its type allows
 */
export function linkFrames(type: number, body: Uint8Array): Buffer[] {
  const limit = spanning.has(type) ? maxSpanningBytes : maxBodyBytes;
  if (body.length > limit) throw new EntremiseError('frame-too-large');
  const frames: Buffer[] = [];
  for (let at = 0; at === 0 || at < body.length; at += maxBodyBytes) {
    const flags = at + maxBodyBytes < body.length ? frameFlag.more : 0;
    frames.push(encodeFrame({ type, flags, label: 0, stream: 0 }, body.subarray(at, at + maxBodyBytes)));
  }
  return frames;
}

/**
 * Whether more parts follow `part`, which is what `frame` carries.
 * @throws EntremiseError `protocol-error` for an empty part with MORE: no limit on bytes would bound their number
 */
export function hasMore(frame: Frame, part: Uint8Array): boolean {
  if ((frame.flags & frameFlag.more) === 0) return false;
  if (part.length > 0) return true;
  throw new EntremiseError('protocol-error', { message: 'A part with MORE is empty.' });
}

/** @throws EntremiseError `protocol-error` for MORE on a message of label 0 that is one frame (P1.6) */
export function checkMore(frame: Frame): void {
  if ((frame.flags & frameFlag.more) === 0 || spanning.has(frame.type)) return;
  const name = frameNameOf(frame.type)?.toUpperCase() ?? `type ${frame.type}`;
  throw new EntremiseError('protocol-error', { message: `MORE may not stand on ${name}.` });
}

/** What has come of a body. One piece that grows: a buffer a part would cost a hundred bytes for each that came. */
class Held {
  private space: Buffer = Buffer.allocUnsafeSlow(maxBodyBytes);
  private bytes = 0;

  /** @throws EntremiseError `frame-too-large` past 256 KiB (P1.6) */
  add(part: Uint8Array): void {
    const total = this.bytes + part.length;
    if (total > maxSpanningBytes) throw new EntremiseError('frame-too-large');
    if (total > this.space.length) {
      const larger = Buffer.allocUnsafeSlow(
        Math.min(maxSpanningBytes, Math.max(total, 2 * this.space.length)),
      );
      this.space.copy(larger, 0, 0, this.bytes);
      this.space = larger;
    }
    this.space.set(part, this.bytes);
    this.bytes = total;
  }

  get whole(): Buffer {
    return this.space.subarray(0, this.bytes);
  }
}

/** Puts spanning messages of label 0 together; parts of one may not be mixed with another of the same type. */
export class LinkAssembler {
  private readonly held = new Map<number, Held>();

  /**
   * The whole body that `frame` completes, or undefined.
   * @throws EntremiseError `frame-too-large`, or `protocol-error` for MORE where it may not stand
   */
  receive(frame: Frame): Buffer | undefined {
    const body = frameBody(frame);
    checkMore(frame);
    const more = hasMore(frame, body);
    const held = this.held.get(frame.type);
    if (!more && held === undefined) return body;
    const all = held ?? new Held();
    all.add(body);
    if (more) this.held.set(frame.type, all);
    else this.held.delete(frame.type);
    return more ? undefined : all.whole;
  }
}
