import { maxHeaderSize } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import { ApiFailure } from './problem.ts';

/**
 * Closes a connection in stages (RFC 9112 §9.6), so that the last answer on it arrives. What closes a socket in which bytes
 * stand unread resets the connection, and a RST takes with it what the peer has not read: the 431 to a header that is too
 * long, the 401 or 413 to a body that nobody reads.
 */

/** How long a peer may take to read its answer and close, or may go on with what nobody reads. */
const patienceMs = 2_000;

/** See the head of this file. */
export class StagedClose {
  private readonly clock: Clock;
  private readonly closing = new WeakSet<Socket>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Whatever that connection says from now on is nothing. */
  isClosing(socket: Socket): boolean {
    return this.closing.has(socket);
  }

  /** Node closes a connection after the last answer by destroySoon(): from now on in stages. */
  watch(socket: Socket): void {
    socket.destroySoon = () => this.close(socket);
  }

  /** Answers what was no request (Fastify's `clientErrorHandler`), and closes. Each further piece of it fails again. */
  readonly onClientError = ({ code }: NodeJS.ErrnoException, socket: Socket): void => {
    if (this.isClosing(socket)) return;
    if (code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
    this.close(socket, answerTo(code));
  };

  private close(socket: Socket, answer?: string): void {
    if (this.isClosing(socket)) return;
    this.closing.add(socket);
    const cancel = this.clock.after(patienceMs, () => socket.destroy());
    socket.once('close', cancel);
    if (answer === undefined) socket.end();
    else socket.end(answer);
  }
}

function answerTo(code: string | undefined): string {
  const { problem } = failureOf(code);
  const body = JSON.stringify(problem);
  const headers = [
    `HTTP/1.1 ${problem.status} ${problem.title}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  return `${headers.join('\r\n')}\r\n\r\n${body}`;
}

function failureOf(code: string | undefined): ApiFailure {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new ApiFailure(408, 'The request did not come in time.');
  if (code === 'HPE_HEADER_OVERFLOW')
    return new ApiFailure(431, `The headers are longer than ${maxHeaderSize} bytes.`);
  return new ApiFailure(400, 'That is not HTTP/1.1.');
}
