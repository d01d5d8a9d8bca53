import { createHash, hkdfSync, randomBytes } from 'node:crypto';
import { EntremiseError } from '../base/errors.ts';
import { ByteQueue } from './byte-queue.ts';
import { asError, reportFault } from './fault.ts';
import type { Transport, TransportHandlers } from './transport.ts';

/**
 * Two ends in one process: the twin of the TLS transport in tests, and the link of the server's own features.
 *
 * Each end has an outbox (what it wrote and the other has not taken: its backlog) and an inbox (what it took and has
 * not handed to its handlers, as a socket's receive buffer). Everything happens in `pull`, the deferred work of the
 * *receiving* end: take from the twin's outbox while the inbox has room, tell the twin that its backlog fell, hand
 * out. An end that does not read therefore fills its inbox and then makes the twin's backlog grow.
 *
 * Bytes are copied once, when they are taken: the writer may reuse its buffer from then on, and the receiver owns and
 * may change what it gets. A transport over a socket gives both for the same price.
 */

/** What {@link memoryPair} can be told. */
export interface MemoryPairOptions {
  /**
   * Runs something soon; queueMicrotask by default. Bulk through microtasks starves the sockets of the process:
   * programs that have any pass setImmediate.
   */
  readonly defer?: (run: () => void) => void;
  /** How many bytes to hand out next, of `availableBytes` that lie in one buffer; all by default. */
  readonly pieces?: (availableBytes: number) => number;
  /** Size of each inbox in bytes; 64 KiB by default. */
  readonly capacityBytes?: number;
  /** Pin that both ends report, 32 bytes. */
  readonly serverPin?: Buffer;
  /** ALPN name that both ends report. */
  readonly alpn?: string;
  /** What the server's end tells as its peer: `memory:client` by default. No network address. */
  readonly clientName?: string;
}

interface Shared {
  readonly defer: (run: () => void) => void;
  readonly pieces: (availableBytes: number) => number;
  readonly capacityBytes: number;
  readonly serverPin: Buffer;
  readonly alpn: string | undefined;
  readonly exporterSecret: Buffer;
}

/** One end of a {@link memoryPair}: a transport whose reading can be stopped, to play a slow peer. */
export class MemoryTransport implements Transport {
  readonly remote: string;
  readonly serverPin: Buffer;
  readonly alpn: string | undefined;
  private readonly shared: Shared;
  private twin: MemoryTransport | undefined;
  private handlers: TransportHandlers | undefined;
  private readonly outbox = new ByteQueue();
  private readonly inbox = new ByteQueue();
  private phase: 'open' | 'ending' | 'closed' = 'open';
  private closeCause: Error | undefined;
  private paused = false;
  private pullQueued = false;

  /** Use {@link memoryPair}. */
  constructor(remote: string, shared: Shared) {
    this.remote = remote;
    this.shared = shared;
    this.serverPin = shared.serverPin;
    this.alpn = shared.alpn;
  }

  get backlogBytes(): number {
    return this.outbox.bytes;
  }

  /** The twin's inbox is all there is below. */
  readonly hidesBacklog = false;

  /** No machine stands between the two ends. */
  pathFacts(): undefined {}

  /** As {@link pathFacts}. */
  unsentBytes(): undefined {}

  exportKeyingMaterial(label: string, lengthBytes: number): Buffer {
    if (this.phase === 'closed') throw new EntremiseError('link-closed');
    return Buffer.from(hkdfSync('sha256', this.shared.exporterSecret, '', label, lengthBytes));
  }

  start(handlers: TransportHandlers): void {
    this.handlers = handlers;
    if (this.phase === 'closed') this.shared.defer(() => this.reportClosed());
    else this.queuePull();
  }

  write(bytes: Buffer): void {
    if (this.phase !== 'open') return;
    this.outbox.push(bytes);
    this.twin?.queuePull();
  }

  end(): void {
    if (this.phase !== 'open') return;
    this.phase = 'ending';
    this.twin?.queuePull();
  }

  destroy(cause?: Error): void {
    if (this.phase === 'closed') return;
    this.close(cause);
    this.shared.defer(() => this.reportClosed());
  }

  /** From now on this end takes no more than its inbox holds. For tests. */
  pauseReading(): void {
    this.paused = true;
  }

  /** Undoes {@link pauseReading}. */
  resumeReading(): void {
    this.paused = false;
    this.queuePull();
  }

  /** Makes the two ends a pair. */
  join(twin: MemoryTransport): void {
    this.twin = twin;
    twin.twin = this;
  }

  private get isClosed(): boolean {
    return this.phase === 'closed';
  }

  private get isReading(): boolean {
    return this.handlers !== undefined && !this.paused && !this.isClosed;
  }

  private queuePull(): void {
    if (this.pullQueued || this.phase === 'closed') return;
    this.pullQueued = true;
    this.shared.defer(() => {
      this.pullQueued = false;
      this.pull();
    });
  }

  private pull(): void {
    const { twin } = this;
    if (twin === undefined || this.isClosed) return;
    try {
      this.takeFrom(twin);
      this.handOut();
    } catch (thrown) {
      this.destroy(asError(thrown));
      return;
    }
    if (this.isClosed) return;
    if (this.inbox.bytes === 0 && twin.phase !== 'open' && twin.outbox.bytes === 0) {
      this.close(undefined);
      this.reportClosed();
    } else if (this.isReading && twin.outbox.bytes > 0) this.queuePull();
  }

  private takeFrom(twin: MemoryTransport): void {
    const before = twin.outbox.bytes;
    for (;;) {
      const piece = twin.outbox.take(this.shared.capacityBytes - this.inbox.bytes);
      if (piece.length === 0) break;
      this.inbox.push(Buffer.from(piece));
    }
    if (twin.outbox.bytes < before) twin.drained();
  }

  private handOut(): void {
    while (this.isReading && this.inbox.bytes > 0) {
      const size = Math.max(1, this.shared.pieces(this.inbox.pieceBytes));
      this.handlers?.onBytes(this.inbox.take(size));
    }
  }

  private drained(): void {
    if (this.phase === 'closed') return;
    try {
      this.handlers?.onDrain();
    } catch (thrown) {
      this.destroy(asError(thrown));
    }
  }

  /** Nothing is sent or received any more; the twin finds out when it has read what it has. */
  private close(cause: Error | undefined): void {
    this.phase = 'closed';
    this.closeCause = cause;
    this.outbox.clear();
    this.inbox.clear();
    this.twin?.queuePull();
  }

  private reportClosed(): void {
    const { handlers } = this;
    this.handlers = undefined;
    try {
      handlers?.onClosed(this.closeCause);
    } catch (thrown) {
      reportFault(thrown);
    }
  }
}

/** A connected pair; each has its own exporter secret. */
export interface MemoryPair {
  readonly client: MemoryTransport;
  readonly server: MemoryTransport;
}

/** See the head of this file. */
export function memoryPair(options: MemoryPairOptions = {}): MemoryPair {
  const shared: Shared = {
    defer: options.defer ?? queueMicrotask,
    pieces: options.pieces ?? (availableBytes => availableBytes),
    capacityBytes: options.capacityBytes ?? 65_536,
    serverPin: options.serverPin ?? createHash('sha256').update('memory').digest(),
    alpn: options.alpn,
    exporterSecret: randomBytes(32),
  };
  const client = new MemoryTransport('memory:server', shared);
  const server = new MemoryTransport(options.clientName ?? 'memory:client', shared);
  client.join(server);
  return { client, server };
}
