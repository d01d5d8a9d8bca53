import type { Server, Socket } from 'node:net';
import { EntremiseError } from '../base/errors.ts';

/** What becomes of a listen() and a connect() of Node, as promises. */

/** Resolves when `server` listens. Rejects with Node's error, or `aborted` when it is closed before. */
export function listening(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (outcome: () => void) => {
      server.off('listening', heard).off('error', failed).off('close', closed);
      outcome();
    };
    const heard = () => settle(resolve);
    const failed = (error: Error) => settle(() => reject(error));
    const closed = () => settle(() => reject(new EntremiseError('aborted')));
    server.once('listening', heard).once('error', failed).once('close', closed);
  });
}

/** Resolves when `socket` is connected; rejects when it is closed, which is when Node has let go of the fd. */
export function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    let failure: Error | undefined;
    const failed = (error: Error) => {
      failure = error;
    };
    const closed = () => reject(failure ?? new EntremiseError('aborted'));
    socket.once('error', failed).once('close', closed);
    socket.once('connect', () => {
      socket.off('error', failed).off('close', closed);
      resolve();
    });
  });
}

/** What was thrown if it is of the catalogue, else `otherwise`. */
export function asEntremise(thrown: unknown, otherwise: EntremiseError): EntremiseError {
  return thrown instanceof EntremiseError ? thrown : otherwise;
}
