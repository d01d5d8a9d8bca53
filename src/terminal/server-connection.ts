import type { Clock } from '../base/clock.ts';
import { type Deferred, deferred } from '../base/deferred.ts';
import { EntremiseError, type ErrorCode } from '../base/errors.ts';
import { onAbort, throwIfAborted } from './abort-error.ts';
import { failure, TunnelError } from './tunnel-error.ts';

/** How long {@link ServerConnection.ready} waits for the server when no signal says otherwise. */
const readyTimeoutMs = 15_000;

/** Trying again does not help against these. */
const fatal: ReadonlySet<ErrorCode> = new Set([
  'not-enrolled',
  'key-revoked',
  'pin-mismatch',
  'version-mismatch',
  'proof-invalid',
]);

/** Waits that can be given up. */
export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
}

/** What is known of the way to the server. */
export interface ConnectionState {
  /** The link is up and the list of mediators complete. */
  readonly connected: boolean;
  /** When that became so. */
  readonly since: Date;
  /** The error of the last loss or try. */
  readonly error: TunnelError | undefined;
}

/** Whether the server can be reached, and who waits for that or for any other change at this terminal. */
export class ServerConnection {
  private readonly clock: Clock;
  private readonly waiting = new Set<Deferred<void>>();
  private connected = false;
  private closed = false;
  private sinceMs: number;
  private lastError: EntremiseError | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
    this.sinceMs = clock.wallTimeMs();
  }

  /** See {@link ConnectionState}. */
  get state(): ConnectionState {
    const error = this.lastError && new TunnelError(this.lastError);
    return { connected: this.connected, since: new Date(this.sinceMs), error };
  }

  /** The link is up and the list of mediators complete. */
  onComplete(): void {
    this.connected = true;
    this.lastError = undefined;
    this.sinceMs = this.clock.wallTimeMs();
    this.wake();
  }

  /** The link is gone, or a try has failed. */
  onOffline(error: EntremiseError): void {
    if (this.connected) this.sinceMs = this.clock.wallTimeMs();
    this.connected = false;
    this.lastError = error;
    this.wake();
  }

  /** The terminal is closed: nobody need wait any more. */
  close(): void {
    this.closed = true;
    this.wake();
  }

  /** Something has changed: who waits looks again. */
  wake(): void {
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const each of waiting) each.resolve();
  }

  /**
   * Until something changes.
   * @throws AbortError; TunnelError `shutting-down`
   */
  async nextChange(signal: AbortSignal | undefined): Promise<void> {
    throwIfAborted(signal);
    if (this.closed) throw failure('shutting-down', 'The terminal is closed.');
    const change = deferred<void>();
    const stopListening = onAbort(signal, error => change.reject(error));
    this.waiting.add(change);
    try {
      await change.promise;
    } finally {
      this.waiting.delete(change);
      stopListening();
    }
  }

  /**
   * Resolves when the link is up and the list of mediators complete. Without `signal` it waits 15 s.
   * @throws TunnelError with the reason of the last try; AbortError
   */
  async ready({ signal }: WaitOptions): Promise<void> {
    let timedOut = false;
    const cancel = this.clock.after(readyTimeoutMs, () => {
      timedOut = true;
      this.wake();
    });
    try {
      while (!this.connected) {
        this.throwIfHopeless();
        if (timedOut && signal === undefined) throw this.unreachable();
        await this.nextChange(signal);
      }
    } finally {
      cancel();
    }
  }

  /** @throws TunnelError when the last try failed for a reason that another would fail for too */
  throwIfHopeless(): void {
    const { lastError } = this;
    if (lastError !== undefined && fatal.has(lastError.code)) throw new TunnelError(lastError);
  }

  private unreachable(): TunnelError {
    const why = this.lastError === undefined ? 'it does not answer.' : this.lastError.message;
    const message = `No link to the server within ${readyTimeoutMs / 1000} s: ${why}`;
    return new TunnelError(new EntremiseError('server-unreachable', { message, cause: this.lastError }));
  }
}
