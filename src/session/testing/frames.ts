import type { Frame } from '../../wire/frame.ts';
import { FrameDecoder, frameBody } from '../../wire/frame.ts';
import { decodeData, decodeFin, decodeReset, decodeYield } from '../../wire/messages/binary.ts';
import { frameFlag, frameType } from '../../wire/spec.ts';
import type { LinkPosition } from '../scheduler.ts';

/** Frames as tests read them. */

/** A link on which everything has left as soon as it is written. */
export const emptyLink: LinkPosition = { writtenBytes: 0, leftBytes: Number.POSITIVE_INFINITY };

/** The frame that these bytes are; a copy, so that it may be looked at later. */
export function parseFrame(bytes: Uint8Array): Frame {
  const frames: Frame[] = [];
  new FrameDecoder().push(Buffer.from(bytes), frame => frames.push(frame));
  const [frame] = frames;
  if (frame === undefined) throw new Error('not a frame');
  return frame;
}

/** A frame of a stream in one line: `DATA 0+5 NOW`, `FIN 5`, `RESET 26`; others by their type. */
export function streamFrameText(bytes: Uint8Array): string {
  const frame = parseFrame(bytes);
  const body = frameBody(frame);
  switch (frame.type) {
    case frameType.data: {
      const { offset, bytes: data } = decodeData(body);
      return `DATA ${offset}+${data.length}${(frame.flags & frameFlag.now) !== 0 ? ' NOW' : ''}`;
    }
    case frameType.fin:
      return `FIN ${decodeFin(body)}`;
    case frameType.reset:
      return `RESET ${decodeReset(body)}${(frame.flags & frameFlag.echo) !== 0 ? ' ECHO' : ''}`;
    case frameType.yield:
      return `YIELD ${decodeYield(body)}`;
    default:
      return `type ${frame.type}`;
  }
}

/** Bytes that tell where they stand, so that none can be lost, doubled or moved unnoticed. */
export function pattern(length: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let state = seed;
  for (let at = 0; at < length; at++) {
    state = (state * 1_103_515_245 + 12_345) & 0x7fff_ffff;
    bytes[at] = state >> 16;
  }
  return bytes;
}
