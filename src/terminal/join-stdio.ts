import { closeSync } from 'node:fs';
import process from 'node:process';
import type { Readable, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { TunnelSocket } from './tunnel-socket.ts';

/** A program's two streams, stdin and stdout when absent. */
export interface StdioStreams {
  readonly input: Readable;
  readonly output: Writable;
  /** Tells the reader of `output` that nothing more comes, after all that was written. */
  endOutput(): void;
}

/** Node does not close its stdout; only a closed descriptor tells the reader of the pipe that this was all. */
function endStdout(): void {
  process.stdout.write('', () => {
    try {
      closeSync(1);
    } catch {
      // Closed already by who started us.
    }
  });
}

/**
 * Joins a connection to stdin and stdout, half-close kept both ways, as a ProxyCommand of ssh needs it. `socket` must
 * have been made with allowHalfOpen. Resolves when both halves have ended and the other side has everything.
 * @throws TunnelError when the connection was not made or did not end cleanly
 */
export async function joinStdio(
  socket: TunnelSocket,
  streams: StdioStreams = { input: process.stdin, output: process.stdout, endOutput: endStdout },
): Promise<void> {
  const { input, output, endOutput } = streams;
  const onOutputGone = () => socket.resetAndDestroy();
  // Who reads us is gone: what comes has nowhere to go.
  output.on('error', onOutputGone);
  const closed = new Promise<void>(resolve => void socket.once('close', () => resolve()));
  socket.once('end', endOutput);
  socket.pipe(output, { end: false });
  input.pipe(socket);
  try {
    await finished(socket);
    await closed;
  } finally {
    input.unpipe(socket);
    input.destroy();
    output.off('error', onOutputGone);
  }
}
