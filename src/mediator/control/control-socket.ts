import { chmodSync, lstatSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import * as v from 'valibot';
import { asEntremiseError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { type Purpose, purposes } from '../../policy/schema.ts';
import { maxWindowMinutes } from './consent.ts';
import type { MediatorStatus } from './status.ts';

/**
 * The door of the gateway's owner: a unix socket that only the mediator's user and root can open. One line of JSON in, one
 * out, and the connection is over.
 */

/** What may be asked for. */
export type ControlRequest = v.InferOutput<typeof requestSchema>;

const requestSchema = v.variant('verb', [
  v.strictObject({ verb: v.literal('status') }),
  v.strictObject({
    verb: v.literal('allow'),
    minutes: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(maxWindowMinutes)),
    purpose: v.optional(v.picklist(purposes)),
  }),
  v.strictObject({ verb: v.literal('stop') }),
]);

/** What comes back: the status as it is after the request, or what was wrong with it. */
export type ControlAnswer =
  | { readonly ok: true; readonly status: MediatorStatus }
  | { readonly ok: false; readonly code: string; readonly message: string };

/** What the socket carries out. */
export interface Controls {
  status(): MediatorStatus;
  allow(minutes: number, purpose: Purpose | undefined): void;
  stop(): void;
}

const maxRequestBytes = 4096;
const requestTimeoutMs = 5000;

function carryOut(line: string, controls: Controls): ControlAnswer {
  try {
    const request = v.parse(requestSchema, JSON.parse(line));
    if (request.verb === 'allow') controls.allow(request.minutes, request.purpose);
    if (request.verb === 'stop') controls.stop();
    return { ok: true, status: controls.status() };
  } catch (thrown) {
    if (thrown instanceof v.ValiError || thrown instanceof SyntaxError)
      return { ok: false, code: 'bad-request', message: 'The request is none that the mediator knows.' };
    const { code, message } = asEntremiseError(thrown);
    return { ok: false, code, message };
  }
}

function serve(socket: Socket, controls: Controls): void {
  let text = '';
  socket.setTimeout(requestTimeoutMs, () => socket.destroy());
  // Who asks may have gone.
  socket.on('error', () => socket.destroy());
  socket.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
    const end = text.indexOf('\n');
    if (end >= 0) socket.end(`${JSON.stringify(carryOut(text.slice(0, end), controls))}\n`);
    else if (text.length > maxRequestBytes) socket.destroy();
  });
}

/** Only a socket: a path that names something else by mistake is left alone. */
function removeSocket(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) rmSync(path, { force: true });
}

/** The socket, open from the beginning of the program to its end. */
export class ControlSocket {
  private readonly path: string;
  private readonly server: Server;

  /** Opens `path`, in the place of what a program before left there. A mediator without one still does its work. */
  constructor(path: string, controls: Controls, log: Log) {
    this.path = path;
    this.server = createServer(socket => serve(socket, controls));
    this.server.on('error', error => log.warn({ path, reason: error.message }, 'no control socket'));
    this.server.maxConnections = 16;
    removeSocket(path);
    this.server.listen(path, () => chmodSync(path, 0o600));
  }

  /** Closes it and takes it away. */
  close(): void {
    this.server.close();
    removeSocket(this.path);
  }
}
