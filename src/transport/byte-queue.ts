/** Bytes waiting in order, without copying them and without moving the rest when some are taken. */
export class ByteQueue {
  private buffers: Buffer[] = [];
  private head = 0;
  private total = 0;

  /** What waits, in bytes. */
  get bytes(): number {
    return this.total;
  }

  /** How many bytes one {@link take} can give at most. */
  get pieceBytes(): number {
    return this.buffers[this.head]?.length ?? 0;
  }

  /** Puts bytes at the end. */
  push(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.buffers.push(bytes);
    this.total += bytes.length;
  }

  /** The first bytes, at most `maxBytes` and at most {@link pieceBytes}; empty when none wait. */
  take(maxBytes: number): Buffer {
    const first = this.buffers[this.head] ?? Buffer.alloc(0);
    const piece = first.length <= maxBytes ? first : first.subarray(0, maxBytes);
    if (piece.length === first.length) this.dropHead();
    else this.buffers[this.head] = first.subarray(piece.length);
    this.total -= piece.length;
    return piece;
  }

  /** Forgets everything. */
  clear(): void {
    this.buffers = [];
    this.head = 0;
    this.total = 0;
  }

  private dropHead(): void {
    this.head++;
    if (this.head * 2 < this.buffers.length) return;
    this.buffers = this.buffers.slice(this.head);
    this.head = 0;
  }
}
