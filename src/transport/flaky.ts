import type { Clock } from '../base/clock.ts';
import { asError } from './fault.ts';
import type { PathFacts, Transport, TransportHandlers } from './transport.ts';

/**
 * A transport that misbehaves on cue, around a real one: what networks do to links, repeatable in tests. Without
 * options it changes nothing, which the compliance suite proves.
 */

/** What is to go wrong. Absent = does not. */
export interface Faults {
  /** Breaks after this many written bytes have gone: the peer gets exactly these, both ends are closed. */
  readonly cutAfterSentBytes?: number;
  /** Breaks after this many bytes have been handed to `onBytes`. */
  readonly cutAfterReceivedBytes?: number;
  /** Splits every write into pieces of 1 to `maxBytes` bytes; the same seed gives the same pieces. */
  readonly splitWrites?: { readonly seed: number; readonly maxBytes: number };
  /** Everything that arrives, the end too, is handed on this much later. */
  readonly delay?: { readonly clock: Clock; readonly delayMs: number };
}

/** Numbers from 0 to below 1 that look random and are the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What a cut gives as cause to `onClosed`. */
export class FlakyCut extends Error {
  override readonly name = 'FlakyCut';
}

/** See the head of this file. */
export class FlakyTransport implements Transport {
  private readonly inner: Transport;
  private readonly faults: Faults;
  private readonly random: () => number;
  private handlers: TransportHandlers | undefined;
  private sentBytes = 0;
  private receivedBytes = 0;
  private cutCause: FlakyCut | undefined;
  private destroyed = false;

  constructor(inner: Transport, faults: Faults = {}) {
    this.inner = inner;
    this.faults = faults;
    this.random = seededRandom(faults.splitWrites?.seed ?? 0);
  }

  get remote(): string {
    return this.inner.remote;
  }

  get serverPin(): Buffer {
    return this.inner.serverPin;
  }

  get alpn(): string | undefined {
    return this.inner.alpn;
  }

  get backlogBytes(): number {
    return this.inner.backlogBytes;
  }

  get hidesBacklog(): boolean {
    return this.inner.hidesBacklog;
  }

  unsentBytes(): number | undefined {
    return this.inner.unsentBytes();
  }

  pathFacts(): PathFacts | undefined {
    return this.inner.pathFacts();
  }

  exportKeyingMaterial(label: string, lengthBytes: number): Buffer {
    return this.inner.exportKeyingMaterial(label, lengthBytes);
  }

  start(handlers: TransportHandlers): void {
    this.handlers = handlers;
    this.inner.start({
      onBytes: piece => this.later(() => this.receive(piece)),
      onDrain: () => handlers.onDrain(),
      onClosed: cause => this.later(() => this.closed(cause)),
    });
  }

  write(bytes: Buffer): void {
    if (this.cutCause !== undefined) return;
    const left = (this.faults.cutAfterSentBytes ?? Number.POSITIVE_INFINITY) - this.sentBytes;
    this.writeSplit(bytes.length <= left ? bytes : bytes.subarray(0, left));
    this.sentBytes += Math.min(bytes.length, left);
    if (bytes.length < left) return;
    this.cutCause = new FlakyCut(`cut after ${this.sentBytes} sent bytes`);
    this.inner.end();
  }

  end(): void {
    this.inner.end();
  }

  destroy(cause?: Error): void {
    this.destroyed = true;
    this.inner.destroy(cause);
  }

  /** Breaks now; what is not sent is lost. */
  cut(): void {
    this.breakNow(new FlakyCut('cut on cue'));
  }

  private breakNow(cause: FlakyCut): void {
    this.cutCause ??= cause;
    this.destroy(cause);
  }

  private writeSplit(bytes: Buffer): void {
    const maxBytes = this.faults.splitWrites?.maxBytes ?? bytes.length;
    let from = 0;
    while (from < bytes.length) {
      const to = maxBytes >= bytes.length ? bytes.length : from + 1 + Math.floor(this.random() * maxBytes);
      this.inner.write(bytes.subarray(from, to));
      from = to;
    }
  }

  private later(run: () => void): void {
    const { delay } = this.faults;
    if (delay === undefined) run();
    else delay.clock.after(delay.delayMs, () => this.guarded(run));
  }

  /** The inner transport catches what handlers throw, but not from a clock. */
  private guarded(run: () => void): void {
    try {
      run();
    } catch (thrown) {
      this.destroy(asError(thrown));
    }
  }

  private receive(piece: Buffer): void {
    if (this.destroyed) return;
    const left = (this.faults.cutAfterReceivedBytes ?? Number.POSITIVE_INFINITY) - this.receivedBytes;
    const kept = piece.length <= left ? piece : piece.subarray(0, left);
    this.receivedBytes += kept.length;
    if (kept.length > 0) this.handlers?.onBytes(kept);
    if (piece.length >= left) this.breakNow(new FlakyCut(`cut after ${this.receivedBytes} received bytes`));
  }

  private closed(cause: Error | undefined): void {
    const { handlers } = this;
    this.handlers = undefined;
    handlers?.onClosed(this.cutCause ?? cause);
  }
}
