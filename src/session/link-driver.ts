import type { Clock } from '../base/clock.ts';
import { asEntremiseError, EntremiseError, type ErrorCode, errorNumber } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Transport } from '../transport/transport.ts';
import { type Frame, FrameDecoder, frameBody } from '../wire/frame.ts';
import { goaway, ping, pong } from '../wire/messages/link.ts';
import { frameType, maxUnauthenticatedBytes } from '../wire/spec.ts';
import { goawayError } from './handshake.ts';
import { RateMeter } from './rate-meter.ts';
import { Scheduler } from './scheduler.ts';
import { linkFrames } from './spanning.ts';
import { Upkeep } from './upkeep.ts';

/**
 * Where a link meets its transport and the clock: bytes to frames, the scheduler's frames to the transport while little
 * waits there, PING and PONG, and the one end that a link has. Knows no label and no handshake.
 */

/** What the owner of a link is told. */
export interface LinkHandlers {
  /** A frame other than PING, PONG and GOAWAY. A throw closes the link with the error's code. */
  onFrame(frame: Frame): void;
  /**
   * GOAWAY was said or heard, once: no frame comes or goes any more, though the transport may take its time. Not called
   * for a link that is simply lost.
   */
  onEnding?(error: EntremiseError): void;
  /** The link is over, once. `link-lost` when nobody said why. */
  onClosed(error: EntremiseError): void;
}

/** How a link is run. */
export interface LinkOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Log;
  /**
   * Members: PING after that long without sending. The server: undefined; it promises nothing, and measures its round
   * trip when the member's PING comes.
   */
  readonly keepaliveMs: number | undefined;
  /** Told the size of each frame of label 0 once the peer is authenticated. A throw closes the link (P1.6). */
  readonly onLinkFrame?: (frameBytes: number) => void;
}

/** In PING and WELCOME: "I do not say when I speak next". */
export const noPromiseMs = 0xffff_ffff;

/** A peer that lets this much of label 0 wait does not read what it is told. */
const linkBacklogBytes = 4 * 1024 * 1024;

/** See the head of this file. */
export class LinkDriver {
  /** The order in which frames leave. */
  readonly scheduler: Scheduler;
  private readonly options: LinkOptions;
  private readonly handlers: LinkHandlers;
  private readonly decoder = new FrameDecoder();
  private readonly upkeep: Upkeep;
  private readonly rate = new RateMeter();
  private receivedBytes = 0;
  private writtenBytes = 0;
  private authenticated = false;
  private pumpQueued = false;
  private reason: EntremiseError | undefined;
  private closed = false;
  private cancelTick: (() => void) | undefined;
  private tickAtMs = Number.POSITIVE_INFINITY;

  constructor(options: LinkOptions, handlers: LinkHandlers) {
    this.options = options;
    this.handlers = handlers;
    this.upkeep = new Upkeep(options.keepaliveMs, options.clock.now());
    this.scheduler = new Scheduler(() => this.requestPump());
  }

  /** From now on frames come and go. */
  start(): void {
    this.options.transport.start({
      onBytes: piece => this.onBytes(piece),
      onDrain: () => this.onDrain(),
      onClosed: cause => this.onTransportClosed(cause),
    });
    this.armTick();
  }

  /** The peer is authenticated: the limits before that fall away. */
  onAuthenticated(): void {
    this.authenticated = true;
    this.sendPing();
  }

  /** Smoothed round trip in milliseconds, or undefined before the first PONG. */
  get roundTripMs(): number | undefined {
    return this.upkeep.roundTripMs;
  }

  /** All bytes received so far. */
  get totalReceivedBytes(): number {
    return this.receivedBytes;
  }

  /** True until the link is over. */
  get live(): boolean {
    return !this.closed;
  }

  /** The other end, for lists and logs. */
  get remote(): string {
    return this.options.transport.remote;
  }

  /** Sends a message of label 0. Ends the link when the peer has let far too many of them wait. */
  send(type: number, body: Uint8Array): void {
    for (const frame of linkFrames(type, body)) this.scheduler.sendOnLink(frame);
    if (this.scheduler.linkBytes > linkBacklogBytes)
      this.close('limit', 'What was said on label 0 is not read.');
  }

  /** Ends the link with a GOAWAY that says why; the owner is told the same. */
  close(code: ErrorCode, message?: string): void {
    this.closeWith(new EntremiseError(code, message === undefined ? {} : { message }));
  }

  private closeWith(error: EntremiseError): void {
    if (this.closed || this.reason !== undefined) return;
    this.reason = error;
    this.handlers.onEnding?.(error);
    const body = goaway.toBytes({ reason: errorNumber(error.code), message: error.message.slice(0, 500) });
    for (const frame of linkFrames(frameType.goaway, body)) this.options.transport.write(frame);
    this.options.transport.end();
  }

  private onBytes(piece: Buffer): void {
    if (this.reason !== undefined) return;
    this.receivedBytes += piece.length;
    this.upkeep.onReceived(this.options.clock.now());
    try {
      if (!this.authenticated && this.receivedBytes > maxUnauthenticatedBytes)
        throw new EntremiseError('frame-too-large');
      this.decoder.push(piece, frame => this.onFrame(frame));
    } catch (thrown) {
      this.fail(asEntremiseError(thrown));
    }
  }

  private fail(error: EntremiseError): void {
    this.options.log.warn(
      { code: error.code, err: error, remote: this.options.transport.remote },
      'link ended by an error',
    );
    this.closeWith(error);
  }

  private onFrame(frame: Frame): void {
    if (this.reason !== undefined) return;
    if (!this.authenticated || frame.label !== 0) return this.handlers.onFrame(frame);
    this.options.onLinkFrame?.(frame.bytes.length);
    switch (frame.type) {
      case frameType.ping:
        return this.onPing(frame);
      case frameType.pong:
        return this.upkeep.onPong(pong.fromBytes(frameBody(frame)).id, this.options.clock.now());
      case frameType.goaway:
        return this.onGoaway(frame);
      default:
        return this.handlers.onFrame(frame);
    }
  }

  private onPing(frame: Frame): void {
    const { id, nextWithinMs } = ping.fromBytes(frameBody(frame));
    this.upkeep.onPromise(nextWithinMs, this.options.clock.now());
    this.send(frameType.pong, pong.toBytes({ id, received: this.receivedBytes }));
    if (this.options.keepaliveMs === undefined) this.sendPing();
    this.armTick();
  }

  private onGoaway(frame: Frame): void {
    this.reason = goawayError(frameBody(frame));
    this.handlers.onEnding?.(this.reason);
    this.options.transport.end();
  }

  private sendPing(): void {
    const nextWithinMs = this.options.keepaliveMs ?? noPromiseMs;
    this.send(frameType.ping, ping.toBytes({ id: this.upkeep.ping(this.options.clock.now()), nextWithinMs }));
  }

  private requestPump(): void {
    if (this.pumpQueued || this.closed) return;
    this.pumpQueued = true;
    queueMicrotask(() => this.pump());
  }

  private pump(): void {
    this.pumpQueued = false;
    const { transport, clock } = this.options;
    const before = this.writtenBytes;
    while (
      this.reason === undefined &&
      !this.closed &&
      transport.backlogBytes < this.rate.backlogLimitBytes
    ) {
      const frame = this.scheduler.take();
      if (frame === undefined) break;
      this.writtenBytes += frame.length;
      transport.write(frame);
    }
    if (this.writtenBytes === before) return;
    this.upkeep.onSent(clock.now());
    this.armTick();
  }

  private onDrain(): void {
    this.rate.onTaken(this.writtenBytes - this.options.transport.backlogBytes, this.options.clock.now());
    this.pump();
  }

  /** One timer for the nearest deadline. A deadline that moved out is found out when the timer fires. */
  private armTick(): void {
    const atMs = this.upkeep.deadlineMs;
    if (this.closed || this.isServersHandshake || atMs >= this.tickAtMs) return;
    this.cancelTick?.();
    this.tickAtMs = atMs;
    this.cancelTick = this.options.clock.after(atMs - this.options.clock.now(), () => this.tick());
  }

  /** Before PROOF the server waits for its own deadline and no longer (P1.6). */
  private get isServersHandshake(): boolean {
    return !this.authenticated && this.options.keepaliveMs === undefined;
  }

  private tick(): void {
    this.tickAtMs = Number.POSITIVE_INFINITY;
    if (this.closed || this.reason !== undefined) return;
    const action = this.upkeep.tick(this.options.clock.now());
    // A PING may not stand in a handshake.
    if (action === 'ping' && this.authenticated) this.sendPing();
    if (action === 'dead') return this.options.transport.destroy(new Error('the peer fell silent'));
    if (action === 'idle-timeout') return this.close('idle-timeout');
    this.armTick();
  }

  private onTransportClosed(cause: Error | undefined): void {
    if (this.closed) return;
    this.closed = true;
    this.cancelTick?.();
    this.handlers.onClosed(
      this.reason ?? new EntremiseError('link-lost', cause === undefined ? {} : { cause }),
    );
  }
}
