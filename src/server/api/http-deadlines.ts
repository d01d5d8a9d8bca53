import type { TLSSocket } from 'node:tls';
import type { Clock } from '../../base/clock.ts';
import { EntremiseError } from '../../base/errors.ts';
import type { Api } from './api-request.ts';
import { ApiFailure, problemOf } from './problem.ts';

/** Nobody holds a place by being slow: how long a connection may take over what, and how many requests a token may have open. */
export interface HttpLimits {
  /** From a connection's beginning, or the end of an answer, until a request's headers are there. */
  readonly headersMs: number;
  /** How often that is looked at. */
  readonly lookEveryMs: number;
  /** How long a connection may be there without a good token having come on it. */
  readonly strangerMs: number;
  /** How long a body takes that is read as a whole. What is passed on as it comes may take its time. */
  readonly bodyMs: number;
  /** Requests of one token at once, event streams and bytes of connections among them. */
  readonly requestsPerToken: number;
}

/** The limits of a server. */
export const defaultHttpLimits: HttpLimits = {
  headersMs: 10_000,
  lookEveryMs: 1_000,
  strangerMs: 30_000,
  bodyMs: 30_000,
  requestsPerToken: 512,
};

/** Ends a connection on which no good token comes in time. Returns what to call when one has. */
export function endStranger(socket: TLSSocket, clock: Clock, { strangerMs }: HttpLimits): () => void {
  const cancel = clock.after(strangerMs, () => socket.destroy());
  socket.once('close', cancel);
  return cancel;
}

/** Adds the deadlines of bodies and the bound of open requests; the token is known by then. */
export function addDeadlines(api: Api, clock: Clock, limits: HttpLimits): void {
  boundRequests(api, limits);
  api.addHook('onRequest', async (request, reply) => {
    const cancel = clock.after(limits.bodyMs, () => {
      if (reply.sent || request.raw.complete || isStream(request.headers['content-type'])) return;
      const problem = problemOf(new ApiFailure(408, 'The body did not come in time.'));
      reply.header('Connection', 'close').code(408).type('application/problem+json');
      reply.send(JSON.stringify(problem));
    });
    reply.raw.once('close', cancel);
  });
  // Node would read on what nobody wants, for as long as it comes.
  api.addHook('onSend', async (request, reply) => {
    if (!request.raw.complete) reply.header('Connection', 'close');
  });
}

const isStream = (contentType = '') => contentType.startsWith('application/octet-stream');

function boundRequests(api: Api, { requestsPerToken }: HttpLimits): void {
  const open = new Map<string, number>();
  api.addHook('onRequest', async (request, reply) => {
    const id = request.token?.id;
    if (id === undefined) return;
    const count = open.get(id) ?? 0;
    if (count >= requestsPerToken)
      throw new EntremiseError('limit', {
        message: `A token has at most ${requestsPerToken} requests open at once.`,
        by: 'server',
      });
    open.set(id, count + 1);
    reply.raw.once('close', () => {
      const left = (open.get(id) ?? 1) - 1;
      if (left === 0) open.delete(id);
      else open.set(id, left);
    });
  });
}
