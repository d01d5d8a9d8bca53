/** Keeps the last bytes of an endless output, so that a chatty program cannot fill the memory of a test. */
export class TailBuffer {
  readonly #keepBytes: number;
  #chunks: Buffer[] = [];
  #keptBytes = 0;
  #totalBytes = 0;

  /** `keepBytes`: at most this much is kept; older bytes are forgotten. */
  constructor(keepBytes: number) {
    this.#keepBytes = keepBytes;
  }

  /** Adds the next bytes of the output. */
  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#keptBytes += chunk.length;
    this.#totalBytes += chunk.length;
    // Twice the size before trimming: trimming copies, and would otherwise cost a copy for every chunk.
    if (this.#keptBytes > 2 * this.#keepBytes) this.#trim();
  }

  /** What is kept, as text. */
  text(): string {
    if (this.#keptBytes > this.#keepBytes) this.#trim();
    return Buffer.concat(this.#chunks).toString('utf8');
  }

  /** How many bytes were forgotten. */
  droppedBytes(): number {
    return Math.max(0, this.#totalBytes - this.#keepBytes);
  }

  #trim(): void {
    const kept = Buffer.concat(this.#chunks).subarray(-this.#keepBytes);
    this.#chunks = [Buffer.from(kept)];
    this.#keptBytes = kept.length;
  }
}
