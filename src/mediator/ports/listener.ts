import type { Socket } from 'node:net';
import type { EntremiseError } from '../../base/errors.ts';
import { rewrapAccepted } from '../../native/accepted.ts';
import type { HeldTcp } from '../../native/held-number.ts';
import { canonicalIp } from '../../wire/ip.ts';
import type { WireTap } from '../capture/wire-view.ts';
import { SlabFeed } from '../slab-feed.ts';
import { StreamPump } from '../stream-pump.ts';
import { ListeningSocket } from './listening-socket.ts';
import type { PortSurroundings } from './surroundings.ts';

/**
 * LISTEN (S10, S15): takes connections of LAN systems and makes streams of them, EVENT connected first.
 *
 * While stream 0 is full, the budgets have no floor or the grant's limits are reached, nothing is taken (P3.3, P3.7).
 * Node cannot leave a connection in the kernel's queue, so the queue is here: connections wait unread, as many as the
 * backlog; one more is turned away with a RST.
 *
 * While the terminal is away streams are made all the same, and announced when it is back, but no more than the backlog;
 * or, by `whileAway` false, nobody can connect (P4.7).
 */

/** Connections that may wait, whatever backlog is asked for: each is an open file. */
const maxWaiting = 256;

/** How often the queue is looked at while what stops it tells nobody when it ends. */
const retryMs = 200;

interface Waiting {
  readonly socket: Socket;
  readonly feed: SlabFeed;
  readonly peerAddress: string;
  readonly peerNumber: number;
  readonly localAddress: string;
}

/** What a listener is made with. */
export interface ListenerOptions {
  readonly port: number;
  readonly reserved: HeldTcp;
  readonly backlog: number;
  /** Whether it listens while the terminal is away (P4.7). */
  readonly whileAway: boolean;
  /** First window of every stream towards the terminal (P3.4). */
  readonly limit: number;
  readonly surroundings: PortSurroundings;
  /** Where it says which connections it tells of itself. */
  readonly tap: WireTap | undefined;
  /** A stream has ended, and how many still live. */
  onStreamEnded(liveStreams: number): void;
  /** It cannot listen any more. */
  onFailed(error: EntremiseError): void;
}

/** The address without its zone, in the spelling of the wire. */
function wireAddress(text: string | undefined): string | undefined {
  return text === undefined ? undefined : canonicalIp(text.split('%')[0] ?? '');
}

/** See the head of this file. */
export class Listener {
  private readonly options: ListenerOptions;
  private readonly socket: ListeningSocket;
  private readonly waiting: Waiting[] = [];
  private readonly pumps = new Set<StreamPump>();
  private stopped = false;
  /** While the terminal is away: streams made since. */
  private away: { streams: number } | undefined;
  private cancelRetry: (() => void) | undefined;

  constructor(options: ListenerOptions) {
    this.options = options;
    const { reserved, onFailed } = options;
    const onConnection = (socket: Socket) => this.onConnection(socket);
    this.socket = new ListeningSocket({ reserved, backlog: this.backlog, onConnection, onFailed });
  }

  private get backlog(): number {
    return Math.min(Math.max(1, this.options.backlog), maxWaiting);
  }

  /** True when it takes no more connections. */
  get over(): boolean {
    return this.stopped;
  }

  /** Live streams. */
  get liveStreams(): number {
    return this.pumps.size;
  }

  /** @throws EntremiseError what the reserved number says */
  start(): Promise<void> {
    return this.socket.start();
  }

  /** Takes no more connections; those that wait are turned away, streams live on. */
  stop(): void {
    this.leave(() => this.socket.stop());
  }

  /** As {@link stop}, and gives the number back to where it came from. */
  giveBack(): void {
    this.leave(() => this.socket.pause());
  }

  private leave(close: () => void): void {
    if (this.stopped) return;
    this.stopped = true;
    this.cancelRetry?.();
    close();
    for (const waiting of this.waiting.splice(0)) {
      this.options.tap?.release(waiting.localAddress, waiting);
      turnAway(waiting);
    }
  }

  /** The terminal is away from now on. */
  onAway(): void {
    this.away = { streams: 0 };
    if (!this.options.whileAway) this.socket.pause();
  }

  /** The terminal is back. */
  onBack(): void {
    this.away = undefined;
    if (!this.options.whileAway) this.socket.resume();
    this.takeWaiting();
  }

  /** Ends every stream. */
  abortStreams(code: 'port-closed' | 'not-permitted'): void {
    for (const pump of [...this.pumps]) pump.abort(code);
  }

  private onConnection(accepted: Socket): void {
    const { surroundings } = this.options;
    accepted.on('error', () => {});
    const inLine = this.waiting.length + (this.away?.streams ?? 0);
    if (this.stopped || inLine >= this.backlog) {
      surroundings.log.info({ port: this.options.port }, 'connection turned away: too many wait');
      accepted.resetAndDestroy();
      return;
    }
    const waiting = this.rewrapped(accepted);
    if (waiting === undefined) return;
    this.options.tap?.claim(waiting.localAddress, waiting);
    this.waiting.push(waiting);
    this.takeWaiting();
  }

  private rewrapped(accepted: Socket): Waiting | undefined {
    const { native, pool, log } = this.options.surroundings;
    const peerAddress = wireAddress(accepted.remoteAddress);
    const localAddress = wireAddress(accepted.localAddress);
    const peerNumber = accepted.remotePort;
    // Gone already: there is nobody to tell of, and nothing was made yet.
    if (peerAddress === undefined || localAddress === undefined || peerNumber === undefined) {
      accepted.resetAndDestroy();
      return undefined;
    }
    const feed = new SlabFeed(pool);
    try {
      return {
        socket: rewrapAccepted(native, accepted, feed),
        feed,
        peerAddress,
        peerNumber,
        localAddress,
      };
    } catch (thrown) {
      log.warn({ err: thrown }, 'connection not taken');
      accepted.resetAndDestroy();
      return undefined;
    }
  }

  /** Takes what waits, as far as nothing stops it. */
  takeWaiting(): void {
    this.cancelRetry?.();
    this.cancelRetry = undefined;
    const { surroundings, limit } = this.options;
    const { usage, clock } = surroundings;
    if (this.away !== undefined && !this.options.whileAway) return;
    while (this.waiting.length > 0) {
      const free = !surroundings.controlFull() && usage.streamWaitMs(clock.now()) === 0;
      const made = free ? surroundings.createStream(limit) : undefined;
      const next = made === undefined ? undefined : this.waiting.shift();
      if (made === undefined || next === undefined) return this.retryLater();
      usage.addStream(clock.now());
      if (this.away !== undefined) this.away.streams++;
      this.begin(next, made);
    }
  }

  private retryLater(): void {
    this.cancelRetry = this.options.surroundings.clock.after(retryMs, () => this.takeWaiting());
  }

  private begin(
    { socket, feed, peerAddress, peerNumber, localAddress }: Waiting,
    made: NonNullable<ReturnType<PortSurroundings['createStream']>>,
  ): void {
    const { port, surroundings } = this.options;
    const timeMs = surroundings.clock.wallTimeMs();
    const event = { kind: 'connected', direction: 'from-device', port, timeMs } as const;
    const who = { peerAddress, peerNumber };
    surroundings.sendEvent(
      { ...event, ...who, localAddress, stream: made.stream.id, limit: made.limit },
      made.stream,
    );
    const onEnded = () => {
      surroundings.usage.removeStream();
      this.pumps.delete(pump);
      this.options.tap?.end(localAddress, who);
      this.options.onStreamEnded(this.pumps.size);
      this.takeWaiting();
    };
    const pump = new StreamPump(made.stream, port, surroundings, { onEnded }, feed);
    this.pumps.add(pump);
    pump.couple(socket);
  }
}

function turnAway({ socket, feed }: Waiting): void {
  socket.resetAndDestroy();
  feed.close();
}
