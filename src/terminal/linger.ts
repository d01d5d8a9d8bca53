import type { Stream } from '../session/stream.ts';
import type { Timers } from './path-clock.ts';

/** How long a stream whose socket is gone may wait for the peer's end (Linux gives an orphan 60 s). */
export const lingerMs = 60_000;

/** How a destroyed socket leaves its stream. */
export interface LingerOptions {
  readonly timers: Timers;
  /** Bytes that the socket has taken of the stream. */
  readonly takenBytes: number;
  /** The application had ended its half: what the peer still sends is dropped. Else it is answered with RESET. */
  readonly wasEnded: boolean;
}

/**
 * What a kernel does for a closed socket: FIN behind what was written, the peer's end awaited for a while, RESET for
 * data that nobody will read. After an orderly end such data is dropped instead (up to the window, which is not opened
 * again), since a RESET would cost the peer the answer that is still on its way to it.
 */
export function linger(stream: Stream, options: LingerOptions): void {
  const { timers, takenBytes, wasEnded } = options;
  const cancel = timers.after(lingerMs, () => stream.abort('aborted'));
  const abort = () => {
    cancel();
    stream.abort('aborted');
  };
  if (!wasEnded) stream.finish();
  stream.setHandlers({
    onData: () => (wasEnded ? undefined : abort()),
    onFin: () => stream.taken(stream.receivedOffset - takenBytes),
    onReset: cancel,
    onRoom: () => {},
    onFinished: cancel,
  });
}

/**
 * RESET behind what the stream was given, as far as the peer takes it within {@link lingerMs} (P3.5). What the peer still
 * sends is dropped.
 */
export function resetBehindData(stream: Stream, timers: Timers): void {
  const cancel = timers.after(lingerMs, () => stream.abort('aborted'));
  stream.setHandlers({
    onData: () => {},
    onFin: () => {},
    onReset: cancel,
    onRoom: () => {},
    onFinished: cancel,
  });
  stream.abortAfterData('aborted');
}
