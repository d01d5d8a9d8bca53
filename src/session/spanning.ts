import { EntremiseError } from '../base/errors.ts';
import { encodeFrame, type Frame, frameBody } from '../wire/frame.ts';
import { frameFlag, frameType, maxBodyBytes, maxSpanningBytes } from '../wire/spec.ts';

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

/** Puts spanning messages of label 0 together; parts of one may not be mixed with another of the same type. */
export class LinkAssembler {
  private readonly parts = new Map<number, Buffer[]>();

  /**
   * The whole body that `frame` completes, or undefined.
   * @throws EntremiseError `frame-too-large`, or `protocol-error` for MORE where it may not stand
   */
  receive(frame: Frame): Buffer | undefined {
    const body = frameBody(frame);
    const more = (frame.flags & frameFlag.more) !== 0;
    const held = this.parts.get(frame.type);
    if (!more && held === undefined) return body;
    if (!spanning.has(frame.type))
      throw new EntremiseError('protocol-error', { message: 'MORE may not stand there.' });
    const all = [...(held ?? []), Buffer.from(body)];
    if (all.reduce((sum, part) => sum + part.length, 0) > maxSpanningBytes)
      throw new EntremiseError('frame-too-large');
    if (more) this.parts.set(frame.type, all);
    else this.parts.delete(frame.type);
    return more ? undefined : Buffer.concat(all);
  }
}
