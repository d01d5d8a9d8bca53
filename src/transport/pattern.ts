import { setImmediate as nextTurn } from 'node:timers/promises';
import { RecordingHandlers } from './recording-handlers.ts';
import type { Transport } from './transport.ts';

/** For tests: bytes by which a receiver knows that nothing was lost, doubled or moved. */

/** What a write of the suite holds at most, in bytes: a full frame (P1.1) as far as a transport is concerned. */
export const frameBytes = 16_384;

/** Odd in length and pseudo-random, so that bytes that are lost, doubled or moved never match. */
const pattern = (() => {
  const bytes = Buffer.alloc(1_048_583);
  let state = 1;
  for (let index = 0; index < bytes.length; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    bytes[index] = state >>> 24;
  }
  return Buffer.concat([bytes, bytes.subarray(0, frameBytes)]);
})();
const patternPeriod = pattern.length - frameBytes;

/** The `length` bytes (at most {@link frameBytes}) of the pattern that stand at `offset`. */
export function patternAt(offset: number, length: number): Buffer {
  const from = offset % patternPeriod;
  return pattern.subarray(from, from + length);
}

/** Compares what comes with the pattern and keeps none of it. */
export class PatternReader extends RecordingHandlers {
  /** Offset of the first frame that differs. */
  mismatchAt: number | undefined;

  override onBytes(piece: Buffer): void {
    for (let from = 0; from < piece.length; from += frameBytes) {
      const part = piece.subarray(from, from + frameBytes);
      const offset = this.receivedBytes + from;
      if (!part.equals(patternAt(offset, part.length))) this.mismatchAt ??= offset;
    }
    super.onBytes(piece);
    this.pieces.length = 0;
  }
}

/** Writes the pattern in frames with at most 256 KiB of backlog, going on whenever it drains. */
export function sendPattern(transport: Transport, handlers: RecordingHandlers, totalBytes: number): void {
  let sent = 0;
  const pump = () => {
    while (sent < totalBytes && transport.backlogBytes < 262_144) {
      transport.write(patternAt(sent, Math.min(frameBytes, totalBytes - sent)));
      sent += frameBytes;
    }
    return sent >= totalBytes;
  };
  void handlers.until(pump);
}

/**
 * Writes to a peer that does not read, until the backlog has not fallen for some turns of the event loop. Gives the
 * number of bytes written.
 */
export async function fillUntilStuck(transport: Transport): Promise<number> {
  let written = 0;
  for (let stuckTurns = 0; stuckTurns < 20; stuckTurns++) {
    const before = transport.backlogBytes;
    for (let count = 0; count < 16; count++) {
      transport.write(patternAt(written, frameBytes));
      written += frameBytes;
    }
    await nextTurn();
    if (transport.backlogBytes < before + 16 * frameBytes) stuckTurns = 0;
  }
  return written;
}
