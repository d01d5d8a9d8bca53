import type { ErrorCode } from '../../base/errors.ts';
import type { Stream, StreamHandlers } from '../stream.ts';

/**
 * One end of a stream in the model: the real {@link Stream}, and beside it a plain queue of the bytes that this end has
 * handed over and that the far end has not been given. Whatever the real thing tells is compared with the far queue.
 */
export class ModelEnd implements StreamHandlers {
  readonly stream: Stream;
  private readonly name: string;
  private readonly farEnd: () => ModelEnd | undefined;
  private queue = Buffer.alloc(0);
  private untaken = 0;
  private attached = false;
  /** This end has said that no more bytes come. */
  finishing = false;
  /** Why this end has aborted, if it has. */
  aborted: ErrorCode | undefined;
  /** The abort stands behind all bytes that were handed over. */
  abortedBehindData = false;
  finSeen = false;
  /** There was no room, and nobody has said that there is again. */
  waitsForRoom = false;
  /** Why the stream is over, when the real thing says so. */
  resetSeen: ErrorCode | undefined;
  finished = false;
  /** What was first told that should not have been. The real thing takes what handlers throw for its own. */
  fault: string | undefined;

  /** `farEnd`: the other end, once it is there. Nothing is heard before {@link listen}. */
  constructor(name: string, stream: Stream, farEnd: () => ModelEnd | undefined) {
    this.name = name;
    this.stream = stream;
    this.farEnd = farEnd;
  }

  /** From now on the stream's events are heard, those from before too. */
  listen(): void {
    if (this.attached) return;
    this.attached = true;
    this.stream.setHandlers(this);
  }

  /** True when this end is over, however it ended. */
  get over(): boolean {
    return this.aborted !== undefined || this.resetSeen !== undefined || this.finished;
  }

  /** True when neither end has aborted and none has been told of a RESET. */
  get clean(): boolean {
    const far = this.farEnd();
    return [this, far].every(end => end?.aborted === undefined && end?.resetSeen === undefined);
  }

  /** Bytes handed over that the far end has not been given. */
  get pendingBytes(): number {
    return this.queue.length;
  }

  /** Hands over as many of `bytes` as there is room for. */
  write(bytes: Buffer): void {
    if (this.over || this.finishing) return;
    const part = bytes.subarray(0, this.stream.roomBytes);
    this.queue = Buffer.concat([this.queue, part]);
    this.stream.send(part);
    this.waitsForRoom = this.stream.roomBytes === 0;
  }

  /** Ends this half. */
  finish(): void {
    if (this.over) return;
    this.finishing = true;
    this.stream.finish();
  }

  /** Aborts the stream at this end, `afterData` as a source that died behind its bytes. */
  abort(code: ErrorCode, afterData: boolean): void {
    if (this.over) return;
    this.aborted = code;
    this.abortedBehindData = afterData;
    if (afterData) this.stream.abortAfterData(code);
    else this.stream.abort(code);
  }

  /** The application takes up to `bytes`. */
  take(bytes: number): void {
    this.listen();
    const part = Math.min(bytes, this.untaken);
    this.untaken -= part;
    this.stream.taken(part);
  }

  private fail(what: string): never {
    this.fault ??= `${this.name}: ${what}`;
    throw new Error(this.fault);
  }

  private mustBeLive(what: string): void {
    // An end that aborts behind its bytes goes on hearing until its RESET has gone.
    if (this.resetSeen !== undefined || this.finished) this.fail(`${what} after the end`);
  }

  onData(bytes: Buffer): void {
    this.mustBeLive('bytes');
    if (this.finSeen) this.fail('bytes after FIN');
    const far = this.farEnd();
    const expected = far?.queue.subarray(0, bytes.length);
    if (far === undefined || !expected?.equals(bytes)) return this.fail(`${bytes.length} wrong bytes`);
    far.queue = far.queue.subarray(bytes.length);
    this.untaken += bytes.length;
  }

  onFin(): void {
    this.mustBeLive('FIN');
    const far = this.farEnd();
    if (this.finSeen) this.fail('a second FIN');
    if (far?.finishing !== true) this.fail('a FIN that nobody has sent');
    if (far.queue.length > 0) this.fail(`FIN before the last ${far.queue.length} bytes`);
    this.finSeen = true;
  }

  onReset(code: ErrorCode): void {
    this.mustBeLive('RESET');
    this.resetSeen = code;
  }

  onRoom(): void {
    this.waitsForRoom = false;
  }

  onFinished(): void {
    this.mustBeLive('finished');
    if (!this.finSeen || !this.finishing) this.fail('finished before both FINs');
    this.finished = true;
  }
}
