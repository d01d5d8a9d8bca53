import type { Socket } from 'node:net';
import type { Report } from '../../wire/messages/report.ts';
import type { MediatorAttachment } from '../mediator-attachment.ts';
import type { SocketReader } from './socket-reader.ts';

/** A client that has said what it wants. */
export interface SocksClient {
  readonly socket: Socket;
  readonly reader: SocketReader;
}

/** What does it. */
export interface SocksService {
  readonly attachment: MediatorAttachment;
  /** What the mediator says of its interfaces. */
  readonly report: () => Report | undefined;
}

/** Writes the last words, ends the connection and reads what still comes, so that no RST takes them back. */
export function endWith(socket: Socket, bytes: Uint8Array | string): void {
  socket.on('data', () => {});
  socket.end(bytes);
  // The client may keep its own direction open for ever.
  socket.once('finish', () => socket.destroySoon());
}
