import { type Deferred, deferred } from '../../base/deferred.ts';
import type { ErrorCode } from '../../base/errors.ts';
import type { Stream, StreamHandlers } from '../../session/stream.ts';

/** A stream's end at the terminal, with promises for what is told of it. */
export class TestStream implements StreamHandlers {
  readonly stream: Stream;
  readonly pieces: Buffer[] = [];
  readonly told: string[] = [];
  /** Bytes are not taken while true: a reader that has stopped. */
  holding = false;
  private heldBytes = 0;
  private waiters: { holds: () => boolean; done: Deferred<void> }[] = [];

  constructor(stream: Stream) {
    this.stream = stream;
    stream.setHandlers(this);
  }

  /** What has come, as text. */
  get text(): string {
    return Buffer.concat(this.pieces).toString('latin1');
  }

  /** Bytes that have come. */
  get length(): number {
    return this.pieces.reduce((sum, piece) => sum + piece.length, 0);
  }

  onData(bytes: Buffer): void {
    this.pieces.push(Buffer.from(bytes));
    if (this.holding) this.heldBytes += bytes.length;
    else this.stream.taken(bytes.length);
    this.look();
  }

  /** Takes what was held, and goes on taking. */
  release(): void {
    this.holding = false;
    this.stream.taken(this.heldBytes);
    this.heldBytes = 0;
  }

  onFin(): void {
    this.tell('fin');
  }

  onReset(code: ErrorCode): void {
    this.tell(`reset ${code}`);
  }

  onRoom(): void {
    this.look();
  }

  onFinished(): void {
    this.tell('finished');
  }

  private tell(what: string): void {
    this.told.push(what);
    this.look();
  }

  private look(): void {
    for (const waiter of this.waiters.filter(({ holds }) => holds())) waiter.done.resolve();
    this.waiters = this.waiters.filter(({ holds }) => !holds());
  }

  /** Resolves when `holds` does. */
  until(holds: () => boolean): Promise<void> {
    const done = deferred<void>();
    this.waiters.push({ holds, done });
    this.look();
    return done.promise;
  }

  /** Resolves when that was told. */
  heard(what: string): Promise<void> {
    return this.until(() => this.told.includes(what));
  }

  /** Resolves when that many bytes have come. */
  got(lengthBytes: number): Promise<void> {
    return this.until(() => this.length >= lengthBytes);
  }

  /** Sends all of it, as windows allow. */
  async sendAll(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      await this.until(() => this.stream.roomBytes > 0 || this.stream.ended);
      const part = bytes.subarray(at, at + this.stream.roomBytes);
      this.stream.send(part);
      at += part.length;
      if (this.stream.ended) return;
    }
  }
}
