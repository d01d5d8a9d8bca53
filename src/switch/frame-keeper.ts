/** A frame this long is kept as it came: the piece it is a view of is at most a few times longer. */
const worthAPieceBytes = 4096;

/** Frames up to this share a room; between the two each gets a buffer of its own. */
const smallBytes = 512;

const roomBytes = 4096;

/**
 * Keeps small frames that wait from pinning memory many times their size (P2.3: what is counted must be what is held).
 * A frame is a view of a received piece of up to 64 KiB; a queue of 12-byte frames, one a piece, would hold gigabytes
 * for its few kilobytes of credit. Small frames are copied into rooms that only one kind of one queue uses, and so are
 * emptied together.
 */
export class FrameKeeper {
  private room = Buffer.alloc(0);
  private used = 0;

  /** The frame itself, or a copy when it is small. */
  keep(frame: Buffer): Buffer {
    if (frame.length >= worthAPieceBytes) return frame;
    if (frame.length > smallBytes) {
      const own = Buffer.allocUnsafeSlow(frame.length);
      frame.copy(own);
      return own;
    }
    if (frame.length > this.room.length - this.used) {
      this.room = Buffer.allocUnsafeSlow(roomBytes);
      this.used = 0;
    }
    const copy = this.room.subarray(this.used, this.used + frame.length);
    frame.copy(copy);
    this.used += frame.length;
    return copy;
  }
}
