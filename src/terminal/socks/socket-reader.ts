import type { Socket } from 'node:net';
import type { Parsed } from './socks-messages.ts';
import { SocksFault } from './socks-messages.ts';

/** More than any message of a handshake has (RFC 1929: 513 bytes). */
const longestMessageBytes = 1024;

/**
 * Reads messages off a socket that is otherwise not read: what lies behind them stays in it for whoever uses it next.
 * One message is awaited at a time.
 */
export class SocketReader {
  /** Resolves when the client is gone, or has ended its direction and nothing is left to read. */
  readonly gone: Promise<void>;
  private readonly socket: Socket;
  private over = false;
  private wake: () => void = () => {};
  private readonly onReadable = () => this.wake();

  constructor(socket: Socket) {
    this.socket = socket;
    this.gone = new Promise(resolve => {
      const end = () => {
        this.over = true;
        this.wake();
        resolve();
      };
      socket.once('end', end).once('close', end);
    });
    socket.on('readable', this.onReadable);
  }

  /**
   * The next message.
   * @throws SocksFault when the client ends or writes something else; whatever `parse` throws
   */
  async next<T>(parse: (bytes: Buffer) => Parsed<T>): Promise<T> {
    for (;;) {
      const bytes: unknown = this.socket.read();
      const held = bytes instanceof Buffer ? bytes : Buffer.alloc(0);
      const parsed = held.length === 0 ? undefined : parse(held);
      const rest = held.subarray(parsed?.bytes ?? 0);
      if (rest.length > 0) this.socket.unshift(rest);
      if (parsed !== undefined) return parsed.value;
      if (this.over) throw new SocksFault('The client ended within its handshake.');
      if (held.length > longestMessageBytes) throw new SocksFault('The message does not end.');
      await this.moreThan(held.length);
    }
  }

  private async moreThan(heldBytes: number): Promise<void> {
    while (!this.over && this.socket.readableLength <= heldBytes)
      await new Promise<void>(resolve => {
        this.wake = resolve;
      });
  }

  /** Reads no more; the socket is as it was before. */
  release(): void {
    this.socket.off('readable', this.onReadable);
  }
}
