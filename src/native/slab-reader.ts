import net, { type OnReadOpts, type Socket, type SocketConstructorOpts } from 'node:net';

/**
 * Reads without a copy and without an allocation a chunk: the reader lends memory, the socket reads into it.
 * One buffer is lent at a time. There is no way to say "enough" here: pause the socket.
 */
export interface SlabReader {
  /** Memory for the next read, not empty. Lent until `received`, the next call, or the socket's close gives it back. */
  nextBuffer(): Uint8Array;
  /** `lengthBytes` > 0 bytes have been read into the start of `buffer`. */
  received(lengthBytes: number, buffer: Uint8Array): void;
}

function onread(reader: SlabReader): OnReadOpts {
  return {
    buffer: () => reader.nextBuffer(),
    callback(lengthBytes, buffer) {
      reader.received(lengthBytes, buffer);
      return true;
    },
  };
}

/** A net.Socket that is not connected yet; half-close kept. It does not read before `resume()`. */
export function socketToConnect(slabs: SlabReader | undefined): Socket {
  const options: SocketConstructorOpts & { onread?: OnReadOpts } = { allowHalfOpen: true };
  if (slabs !== undefined) options.onread = onread(slabs);
  const socket = new net.Socket(options);
  socket.on('error', () => {});
  return socket.pause();
}

/**
 * Gives what an ordinary socket reads to `slabs`, by a copy; once it is paused nothing more. For sockets that somebody else
 * has made.
 */
export function readInto(socket: Socket, slabs: SlabReader): void {
  socket.on('data', (chunk: Buffer) => {
    for (let rest = chunk; rest.length > 0; ) {
      const buffer = slabs.nextBuffer();
      const lengthBytes = Math.min(rest.length, buffer.length);
      buffer.set(rest.subarray(0, lengthBytes));
      rest = rest.subarray(lengthBytes);
      slabs.received(lengthBytes, buffer);
      if (rest.length > 0 && socket.isPaused()) return socket.unshift(rest);
    }
  });
}

/**
 * A net.Socket on `fd`, which is Node's from here on; half-close kept. It does not read before `resume()`:
 * `manualStart` (undocumented, in Node 20 to 24) keeps the constructor from reading, which on a socket that
 * is not connected yet would fail with ENOTCONN and close the fd.
 * @throws Node's ERR_INVALID_FD_TYPE when fd is no TCP socket; the fd is then still the caller's
 */
export function socketOnFd(fd: number, slabs: SlabReader | undefined): Socket {
  const options: SocketConstructorOpts & { manualStart: boolean; onread?: OnReadOpts } = {
    fd,
    allowHalfOpen: true,
    manualStart: true,
  };
  if (slabs !== undefined) options.onread = onread(slabs);
  const socket = new net.Socket(options);
  // Between the hand-over and the moment somebody listens an error must not end the process; 'close' tells the rest.
  socket.on('error', () => {});
  return socket.pause();
}
