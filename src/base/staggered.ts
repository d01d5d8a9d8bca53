import type { Clock } from './clock.ts';

/** Without a reason of ours each abort makes an error with a stack, which costs more than all else here. */
const over = new Error('another attempt was the first');

/** One way to a result; gives up when told to. */
export type Attempt<T> = (signal: AbortSignal) => Promise<T>;

/** How {@link firstOf} goes about it. */
export interface StaggerOptions<T> {
  readonly clock: Clock;
  /** The next attempt begins when the one before has failed, or after so many milliseconds. */
  readonly delayMs: number;
  /** Gives all of them up; a signal that is aborted already starts none. */
  readonly signal?: AbortSignal | undefined;
  /** Takes a result that came too late to be used. */
  discard(result: T): void;
}

/**
 * The result of the attempt that succeeds first; the others are told to give up. They begin one after another, so that
 * an attempt that hangs costs no more than the delay (RFC 8305 §5). At least one is needed.
 * @throws AggregateError with what each has thrown, in their order, when none succeeds or all are given up
 */
export function firstOf<T>(attempts: readonly Attempt<T>[], options: StaggerOptions<T>): Promise<T> {
  return new Promise((resolve, reject) => new Race(attempts, options, resolve, reject).start());
}

class Race<T> {
  private readonly attempts: readonly Attempt<T>[];
  private readonly options: StaggerOptions<T>;
  private readonly resolve: (result: T) => void;
  private readonly reject: (error: unknown) => void;
  private readonly giveUp = new AbortController();
  private readonly errors: unknown[] = [];
  private begun = 0;
  private failed = 0;
  private over = false;
  private cancelTimer = () => {};
  private readonly onAbort = () => this.lose();

  constructor(
    attempts: readonly Attempt<T>[],
    options: StaggerOptions<T>,
    resolve: (result: T) => void,
    reject: (error: unknown) => void,
  ) {
    this.attempts = attempts;
    this.options = options;
    this.resolve = resolve;
    this.reject = reject;
  }

  start(): void {
    const { signal } = this.options;
    signal?.addEventListener('abort', this.onAbort);
    if (signal?.aborted === true || this.attempts.length === 0) return this.lose();
    this.beginNext();
  }

  private beginNext(): void {
    this.cancelTimer();
    const place = this.begun++;
    const attempt = this.attempts[place];
    if (this.over || attempt === undefined) return;
    this.cancelTimer = this.options.clock.after(this.options.delayMs, () => this.beginNext());
    attempt(this.giveUp.signal).then(
      result => this.onResult(result),
      error => this.onError(place, error),
    );
  }

  private onResult(result: T): void {
    if (this.over) return this.options.discard(result);
    this.end();
    this.resolve(result);
  }

  private onError(place: number, error: unknown): void {
    this.errors[place] = error;
    this.failed++;
    if (this.failed === this.attempts.length) return this.lose();
    // All that have begun have failed: nothing is waited for.
    if (this.failed === this.begun) this.beginNext();
  }

  private lose(): void {
    this.end();
    this.reject(new AggregateError(this.errors, 'every attempt has failed'));
  }

  private end(): void {
    if (this.over) return;
    this.over = true;
    this.cancelTimer();
    this.options.signal?.removeEventListener('abort', this.onAbort);
    this.giveUp.abort(over);
  }
}
