import { asEntremiseError, EntremiseError, type ErrorCode, errorNumber } from '../base/errors.ts';
import { type Frame, FrameDecoder, frameBody } from '../wire/frame.ts';
import { decodeCredit } from '../wire/messages/binary.ts';
import { goaway, ping, pong } from '../wire/messages/link.ts';
import { frameType, maxUnauthenticatedBytes } from '../wire/spec.ts';
import { AckWindow } from './ack-window.ts';
import { type GoawayHint, goawayError } from './goaway.ts';
import { type LinkHandlers, type LinkOptions, noPromiseMs } from './link-options.ts';
import { LinkOutput } from './link-output.ts';
import type { Scheduler } from './scheduler.ts';
import { checkMore, linkFrames } from './spanning.ts';
import { Upkeep } from './upkeep.ts';

/**
 * Where a link meets its transport and the clock: bytes to frames, the scheduler's frames to the transport while little
 * waits there, PING and PONG, and the one end that a link has. Knows no label and no handshake.
 */

/** A peer that lets this much of label 0 wait does not read what it is told. */
const linkBacklogBytes = 4 * 1024 * 1024;

/** See the head of this file. */
export class LinkDriver {
  private readonly options: LinkOptions;
  private readonly handlers: LinkHandlers;
  private readonly decoder = new FrameDecoder();
  private readonly upkeep: Upkeep;
  private readonly output: LinkOutput;
  private readonly window: AckWindow | undefined;
  private receivedBytes = 0;
  private authenticated = false;
  private reason: EntremiseError | undefined;
  private closed = false;
  private cancelTick: (() => void) | undefined;
  private tickAtMs = Number.POSITIVE_INFINITY;
  /** When something last crossed the link, either way. */
  private crossedMs: number;
  private silenceMs = 0;

  constructor(options: LinkOptions, handlers: LinkHandlers) {
    this.options = options;
    this.handlers = handlers;
    this.crossedMs = options.clock.now();
    this.upkeep = new Upkeep(options.keepaliveMs, this.crossedMs, options.transport.pathFacts());
    this.upkeep.pingsHeld = true;
    const { transport, clock } = options;
    const onWritten = (asks: boolean) => this.onWritten(asks);
    if (transport.hidesBacklog) this.window = new AckWindow();
    this.output = new LinkOutput({ transport, clock, paced: this.isMember, window: this.window, onWritten });
  }

  private get isMember(): boolean {
    return this.options.keepaliveMs !== undefined;
  }

  /** The order in which frames leave. */
  get scheduler(): Scheduler {
    return this.output.scheduler;
  }

  /** From now on frames come and go. */
  start(): void {
    this.options.transport.start({
      onBytes: piece => this.onBytes(piece),
      onDrain: () => this.output.onDrain(),
      onClosed: cause => this.onTransportClosed(cause),
    });
    this.armTick();
  }

  /** The peer is authenticated: the limits before that fall away. `promisedMs`: it will not be silent for longer (P8.1). */
  onAuthenticated(promisedMs = noPromiseMs): void {
    this.authenticated = true;
    this.upkeep.pingsHeld = false;
    this.onPromise(promisedMs);
    this.sendPing();
  }

  private onPromise(withinMs: number): void {
    if (withinMs !== noPromiseMs) this.upkeep.onPromise(withinMs, this.options.clock.now());
  }

  /** Smoothed round trip in milliseconds, or undefined before the first PONG. */
  get roundTripMs(): number | undefined {
    return this.upkeep.roundTripMs;
  }

  /** How long nothing had crossed the link, at most, before something was written that nothing has come after; 0 for nothing. */
  get idleMs(): number {
    return this.silenceMs;
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

  /**
   * Sends a message of label 0, a member's at the pace of P1.6. Ends the link when far too many of them wait.
   * @throws EntremiseError `frame-too-large` when the message is longer than its type allows
   */
  send(type: number, body: Uint8Array): void {
    this.output.send(type, body);
    this.checkBacklog();
  }

  private sendNow(type: number, body: Uint8Array): void {
    this.output.sendNow(type, body);
    this.checkBacklog();
  }

  private checkBacklog(): void {
    if (this.output.linkBytes > linkBacklogBytes)
      this.close('limit', 'What was said on label 0 is not read.');
  }

  /** Ends the link with a GOAWAY that says why, and when and where to come back; the owner is told the same. */
  close(code: ErrorCode, message?: string, hint?: GoawayHint): void {
    this.closeWith(new EntremiseError(code, message === undefined ? {} : { message }), hint);
  }

  private closeWith(error: EntremiseError, { afterMs, server }: GoawayHint = {}): void {
    if (this.closed || this.reason !== undefined) return;
    this.end(error);
    const body = goaway.toBytes({
      reason: errorNumber(error.code),
      message: error.message.slice(0, 500),
      ...(afterMs === undefined ? {} : { afterMs }),
      ...(server === undefined ? {} : { server }),
    });
    for (const frame of linkFrames(frameType.goaway, body)) this.options.transport.write(frame);
    this.options.transport.end();
  }

  private onBytes(piece: Buffer): void {
    if (this.reason !== undefined) return;
    this.receivedBytes += piece.length;
    this.crossedMs = this.options.clock.now();
    this.silenceMs = 0;
    this.upkeep.onReceived(this.crossedMs);
    try {
      this.decoder.push(piece, frame => this.onFrame(frame));
      // Only now: what comes behind the frame that authenticates may be in the same piece.
      if (!this.authenticated && this.receivedBytes > maxUnauthenticatedBytes)
        throw new EntremiseError('frame-too-large');
    } catch (thrown) {
      this.fail(asEntremiseError(thrown));
    }
  }

  private fail(error: EntremiseError): void {
    // The owner is told the same and logs it once; where it came from is for who looks for a fault.
    this.options.log.debug(
      { code: error.code, err: error, remote: this.options.transport.remote },
      'link ended by an error',
    );
    this.closeWith(error);
  }

  private onFrame(frame: Frame): void {
    if (this.reason !== undefined) return;
    if (frame.label === 0) checkMore(frame);
    if (frame.label === 0 && frame.type === frameType.goaway) return this.onGoaway(frame);
    if (frame.type === frameType.credit) this.onCredit(frame);
    if (!this.authenticated || frame.label !== 0) return this.handlers.onFrame(frame);
    this.options.onLinkFrame?.(frame.bytes.length);
    switch (frame.type) {
      case frameType.ping:
        return this.onPing(frame);
      case frameType.pong:
        return this.onPong(frame);
      default:
        return this.handlers.onFrame(frame);
    }
  }

  private onPing(frame: Frame): void {
    const { id, nextWithinMs } = ping.fromBytes(frameBody(frame));
    this.onPromise(nextWithinMs);
    this.sendNow(frameType.pong, pong.toBytes({ id, received: this.receivedBytes }));
    if (!this.isMember) this.sendPing();
    this.armTick();
  }

  private onPong(frame: Frame): void {
    const { id, received } = pong.fromBytes(frameBody(frame));
    const nowMs = this.options.clock.now();
    const roundTripMs = this.upkeep.onPong(id, received, nowMs);
    if (roundTripMs !== undefined) this.window?.onRoundTrip(roundTripMs);
    this.acknowledge(received);
  }

  /** The peer has had so many bytes of the link. */
  private acknowledge(totalBytes: number): void {
    this.upkeep.onAcknowledged(totalBytes);
    if (this.window === undefined) return;
    this.window.onAcknowledged(totalBytes, this.options.clock.now());
    this.output.onWindow();
    this.askHowFar();
  }

  private askHowFar(): void {
    if (this.window?.wantsPing(this.output.writtenBytes) === true) this.ask();
  }

  /** PING now, unless one is unanswered: something says that the path is not what it was (P8.1). */
  ask(): void {
    const { live, reason, authenticated, upkeep } = this;
    if (live && reason === undefined && authenticated && !upkeep.isAsking) this.sendPing();
  }

  /** Besides what it tells its label, it says how much of the link the server has had (P2.3). */
  private onCredit(frame: Frame): void {
    const total = linkReceivedOf(frameBody(frame));
    if (total !== undefined) this.acknowledge(total);
  }

  private onGoaway(frame: Frame): void {
    this.end(goawayError(frameBody(frame), this.isMember ? 'server' : undefined));
    this.options.transport.end();
  }

  /** Nothing comes or goes any more but the last GOAWAY. */
  private end(error: EntremiseError): void {
    this.reason = error;
    this.output.stop();
    this.handlers.onEnding?.(error);
  }

  private sendPing(): void {
    const { keepaliveMs: nextWithinMs = noPromiseMs, clock } = this.options;
    this.window?.onPing(this.output.writtenBytes);
    this.sendNow(frameType.ping, ping.toBytes({ id: this.upkeep.ping(clock.now()), nextWithinMs }));
  }

  private onWritten(asks: boolean): void {
    const nowMs = this.options.clock.now();
    this.silenceMs = Math.max(this.silenceMs, nowMs - this.crossedMs);
    this.crossedMs = nowMs;
    this.upkeep.onSent(nowMs, this.output.writtenBytes, asks);
    this.askHowFar();
    this.armTick();
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
    return !this.authenticated && !this.isMember;
  }

  private tick(): void {
    this.tickAtMs = Number.POSITIVE_INFINITY;
    if (this.closed || this.reason !== undefined) return;
    const action = this.upkeep.tick(this.options.clock.now(), this.options.transport.pathFacts());
    if (action === 'ping') this.sendPing();
    if (action === 'dead') return this.options.transport.destroy(new Error('the peer fell silent'));
    if (action === 'idle-timeout') return this.close('idle-timeout');
    this.armTick();
  }

  private onTransportClosed(cause: Error | undefined): void {
    if (this.closed) return;
    this.closed = true;
    this.cancelTick?.();
    this.output.stop();
    this.handlers.onClosed(this.reason ?? lostBy(cause));
  }
}

function lostBy(cause: Error | undefined): EntremiseError {
  const message = `The link was lost: ${cause?.message ?? 'the connection was closed without a word'}.`;
  return new EntremiseError('link-lost', { message, ...(cause === undefined ? {} : { cause }) });
}

/** A CREDIT that says nothing sensible is for its label to refuse. */
function linkReceivedOf(body: Buffer): number | undefined {
  try {
    return decodeCredit(body).linkReceived;
  } catch {
    return undefined;
  }
}
