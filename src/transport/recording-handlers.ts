import { type Deferred, deferred } from '../base/deferred.ts';
import type { Transport, TransportHandlers } from './transport.ts';

/** Handlers for tests: they keep what comes and let a test wait for it. */
export class RecordingHandlers implements TransportHandlers {
  /** The pieces in order. */
  readonly pieces: Buffer[] = [];
  /** Every call of onClosed with its cause. */
  readonly closures: (Error | undefined)[] = [];
  receivedBytes = 0;
  drains = 0;
  private readonly gone: Deferred<Error | undefined> = deferred();
  private waits: { readonly holds: () => boolean; readonly done: Deferred<void> }[] = [];

  /** The cause, once onClosed has been called. */
  get closed(): Promise<Error | undefined> {
    return this.gone.promise;
  }

  /** All bytes so far. */
  get bytes(): Buffer {
    return Buffer.concat(this.pieces);
  }

  /** Resolves as soon as `holds` after something has come. */
  until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve();
    const done = deferred<void>();
    this.waits.push({ holds, done });
    return done.promise;
  }

  /** Resolves once that many bytes have come. */
  untilBytes(count: number): Promise<void> {
    return this.until(() => this.receivedBytes >= count);
  }

  onBytes(piece: Buffer): void {
    this.pieces.push(piece);
    this.receivedBytes += piece.length;
    this.check();
  }

  onDrain(): void {
    this.drains++;
    this.check();
  }

  onClosed(cause: Error | undefined): void {
    this.closures.push(cause);
    this.gone.resolve(cause);
    this.check();
  }

  private check(): void {
    const met = this.waits.filter(wait => wait.holds());
    this.waits = this.waits.filter(wait => !met.includes(wait));
    for (const wait of met) wait.done.resolve();
  }
}

/** Starts a transport with fresh {@link RecordingHandlers}. */
export function record(transport: Transport): RecordingHandlers {
  const handlers = new RecordingHandlers();
  transport.start(handlers);
  return handlers;
}
