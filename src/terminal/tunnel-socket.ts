import { addAbortSignal, type Duplex } from 'node:stream';
import type { Clock } from '../base/clock.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { SlabPool } from '../session/slab.ts';
import type { Stream } from '../session/stream.ts';
import { callOut } from './call-out.ts';
import { linger, lingerMs, resetBehindData } from './linger.ts';
import type { Timers } from './path-clock.ts';
import { type ConnectionEnds, SocketManners } from './socket-manners.ts';
import { StreamWriter } from './stream-writer.ts';
import { failure } from './tunnel-error.ts';

/**
 * A TCP connection made by a mediator, with the manners of net.Socket.
 *
 * Writing: a write is done when the stream has taken its bytes, which bounds what waits (P3.2). Reading: bytes are
 * pushed as they come and count as taken only when the application has read them, so a socket that is not read stops
 * its peer at the window (P3.1). Ends: 'end' is the peer's FIN and nothing else (P3.6). Any other end is 'error' and
 * then 'close' with true; bytes that came before it are read first (P3.5).
 *
 * destroy(), with an error or without, is a kernel's close(): FIN behind what was written, RESET if something is unread
 * or not yet taken. Where half a transfer must not look whole, use resetAndDestroy(). 'close' after an orderly end says
 * that the other process has acknowledged everything: the attachment may then be detached without loss.
 */

/** Options that net.Socket has too. */
export interface TunnelSocketOptions {
  /** False (default): the socket ends its own half when the peer has ended the other. */
  readonly allowHalfOpen?: boolean | undefined;
  /** Aborting it destroys the socket with an AbortError, by RESET. */
  readonly signal?: AbortSignal | undefined;
}

/** What a socket needs of its attachment. */
export interface SocketResources {
  readonly pool: SlabPool;
  readonly clock: Clock;
  /** Of what waits for the mediator: stands still while there is no way to it. */
  readonly pathClock: Timers;
}

/** The side of a socket on which its stream is plugged in: not for applications. */
export interface SocketPlug {
  /** The stream to use. With `early` bytes go at once (P3.4), else once {@link connected}. Replaces one that failed. */
  begin(stream: Stream, early: boolean): void;
  /** The connection stands. `announce`: 'connect' and 'ready' are emitted. */
  connected(ends: ConnectionEnds, announce: boolean): void;
  /** There will be no connection. */
  fail(error: Error): void;
  /** True when the application has destroyed the socket. */
  readonly gone: boolean;
}

/** See the head of this file. */
export class TunnelSocket extends SocketManners {
  private readonly resources: SocketResources;
  private stream: Stream | undefined;
  private writer: StreamWriter | undefined;
  /** What waits until bytes may go: the write or the end that is under way. */
  private held: (() => void) | undefined;
  /** Ends the write that is under way, once. */
  private writeDone: ((error?: Error | null) => void) | undefined;
  private mayWrite = false;
  private takenBytes = 0;
  /** The stream is over; told when everything before it has been read. */
  private ending: Error | undefined;
  private abortive = false;
  private behindData = false;

  /** Sockets come from an attachment, a port or a listener; `plugIn` is called once, at once. */
  constructor(resources: SocketResources, options: TunnelSocketOptions, plugIn: (plug: SocketPlug) => void) {
    super(resources.clock, {
      allowHalfOpen: options.allowHalfOpen ?? false,
      emitClose: false,
      highWaterMark: 64 * 1024,
    });
    this.resources = resources;
    if (options.signal !== undefined) addAbortSignal(options.signal, this);
    plugIn(this.plug());
  }

  private plug(): SocketPlug {
    const isGone = () => this.destroyed;
    return {
      begin: (stream, early) => this.begin(stream, early),
      connected: (ends, announce) => this.onConnected(ends, announce),
      fail: error => callOut(() => this.destroy(error)),
      get gone() {
        return isGone();
      },
    };
  }

  private begin(stream: Stream, early: boolean): void {
    if (this.destroyed) return stream.abort('aborted');
    this.stream = stream;
    this.writer = new StreamWriter(stream, this.resources.pool);
    stream.setHandlers({
      onData: bytes => this.onData(bytes),
      onFin: () => this.onFin(),
      onReset: code => this.onReset(stream, code),
      onRoom: () => callOut(() => this.writer?.resume()),
      onFinished: () => {},
    });
    if (early) this.release();
  }

  private onConnected(ends: ConnectionEnds, announce: boolean): void {
    this.ends = ends;
    this.connecting = false;
    this.idle.touch();
    if (this.destroyed) return;
    if (announce) callOut(() => this.emit('connect'));
    if (announce) callOut(() => this.emit('ready'));
    this.release();
  }

  /** From now on bytes go. */
  private release(): void {
    this.mayWrite = true;
    const { held } = this;
    this.held = undefined;
    if (held !== undefined) callOut(held);
  }

  private onData(bytes: Buffer): void {
    this.idle.touch();
    this.pushedBytes += bytes.length;
    callOut(() => this.push(bytes));
    this.settleTaken();
  }

  private onFin(): void {
    callOut(() => {
      this.push(null);
      // As net.Socket: 'end' comes without a read when there is nothing to read.
      this.read(0);
    });
  }

  private onReset(stream: Stream, code: ErrorCode): void {
    if (stream !== this.stream) return;
    // The answer to CONNECT, on its way to fail(), says more.
    if (this.pending && code !== 'detached') return;
    // Who detaches closes his sockets himself.
    if (code === 'detached') return void callOut(() => this.destroy());
    this.ending = failure(code);
    // Who has begun to read will read on, and what came before the RESET is his.
    if (this.readableLength > 0 && this.readableFlowing !== null) return;
    callOut(() => this.destroy(this.ending));
  }

  /** Of Readable: everything is pushed as it comes. */
  override _read(): void {}

  /** Of Readable. What it returns is no longer this process's to bound: the peer may send as much again. */
  override read(size?: number): ReturnType<Duplex['read']> {
    const chunk = super.read(size);
    this.settleTaken();
    if (this.ending !== undefined && this.readableLength === 0) this.destroy(this.ending);
    return chunk;
  }

  private settleTaken(): void {
    const taken = this.pushedBytes - this.readableLength;
    if (taken <= this.takenBytes) return;
    const more = taken - this.takenBytes;
    this.takenBytes = taken;
    this.stream?.taken(more);
  }

  /** Of Writable. */
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.give([chunk], done);
  }

  /** Of Writable. */
  override _writev(
    entries: readonly { readonly chunk: Buffer }[],
    done: (error?: Error | null) => void,
  ): void {
    const chunks = entries.map(({ chunk }) => chunk);
    this.give(chunks, done);
  }

  private give(chunks: readonly Buffer[], done: (error?: Error | null) => void): void {
    this.writeDone = done;
    this.whenWritable(() => {
      this.idle.touch();
      this.writer?.write(chunks, () => {
        for (const chunk of chunks) this.writtenBytes += chunk.length;
        this.finishWrite(null);
      });
    });
  }

  private finishWrite(error: Error | null): void {
    const { writeDone } = this;
    this.writeDone = undefined;
    writeDone?.(error);
  }

  private whenWritable(run: () => void): void {
    if (this.mayWrite) run();
    else this.held = run;
  }

  /** Of Writable. */
  override _final(done: (error?: Error | null) => void): void {
    this.whenWritable(() => {
      this.stream?.finish();
      done();
    });
  }

  /** Of Duplex. */
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.connecting = false;
    this.idle.stop();
    this.held = undefined;
    const closed = (failed: Error | null) => {
      done(failed);
      process.nextTick(() => this.emit('close', failed !== null));
    };
    if (error?.name === 'AbortError') this.abortive = true;
    const { stream } = this;
    const wasClean = error === null && this.writableFinished && this.readableEnded && !this.abortive;
    if (wasClean && stream !== undefined && !stream.ended) return this.closeWhenFinished(closed);
    this.leave();
    closed(error);
    this.finishWrite(error ?? failure('aborted', 'The socket was destroyed before this was written.'));
  }

  /** Both ends have said FIN. Only when the peer process has it all, nothing can be lost any more. */
  private closeWhenFinished(closed: (failed: Error | null) => void): void {
    const { stream } = this;
    stream?.setHandlers({
      onData: () => {},
      onFin: () => {},
      onRoom: () => {},
      onReset: code => callOut(() => closed(code === 'detached' ? null : failure(code))),
      onFinished: () => callOut(() => closed(null)),
    });
  }

  /** Parts with a stream that has not ended at both sides. */
  private leave(): void {
    const { stream } = this;
    if (stream === undefined || stream.ended) return;
    const unread = this.readableLength > 0 && !this.writableFinished;
    const unwritten = this.writableLength > 0;
    if (this.behindData) resetBehindData(stream, this.resources.pathClock);
    else if (this.abortive || this.pending || unread || unwritten) stream.abort('aborted');
    else {
      const { pathClock: timers } = this.resources;
      linger(stream, { timers, takenBytes: this.takenBytes, wasEnded: this.writableFinished });
    }
  }

  /** Sends RESET, which becomes a real RST at the target; nothing more is read or written. Only 'close' follows. */
  resetAndDestroy(): this {
    this.abortive = true;
    return this.destroy();
  }

  /**
   * As {@link resetAndDestroy}, behind what was written, as far as the peer takes it: for a source that died behind bytes
   * which it had still sent (P3.5). A connection that is not there yet is waited for.
   */
  resetBehindWritten(): this {
    if (this.destroyed) return this;
    const cancel = this.resources.pathClock.after(lingerMs, () => this.resetAndDestroy());
    this.once('close', cancel);
    if (this.pending) this.once('connect', () => this.resetWhenWritten());
    else this.resetWhenWritten();
    return this;
  }

  private resetWhenWritten(): void {
    const reset = () => {
      this.behindData = true;
      this.resetAndDestroy();
    };
    if (this.writableFinished) reset();
    else if (this.writableEnded) this.once('finish', reset);
    else this.write(Buffer.alloc(0), error => error ?? reset());
  }

  /** Ends, and destroys when everything written has been taken. Of net.Socket; http.Server uses it. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }
}
