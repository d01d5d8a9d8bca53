/** Frames in order. Taking one does not move the rest, as an array's shift() does when there are thousands. */
export class FrameFifo {
  private frames: Buffer[] = [];
  private head = 0;

  /** True when no frame waits. */
  get empty(): boolean {
    return this.head === this.frames.length;
  }

  /** Puts a frame at the end. */
  push(frame: Buffer): void {
    this.frames.push(frame);
  }

  /** The first frame, or undefined. */
  shift(): Buffer | undefined {
    const frame = this.frames[this.head];
    if (frame === undefined) return undefined;
    this.head++;
    if (this.head === this.frames.length) this.clear();
    else if (this.head >= 1024 && this.head * 2 > this.frames.length) this.dropTaken();
    return frame;
  }

  private clear(): void {
    this.frames.length = 0;
    this.head = 0;
  }

  private dropTaken(): void {
    this.frames = this.frames.slice(this.head);
    this.head = 0;
  }
}
