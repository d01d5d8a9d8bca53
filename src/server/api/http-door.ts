import http from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyReply } from 'fastify';
import type { Clock } from '../../base/clock.ts';
import { asEntremiseError, EntremiseError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { version } from '../../base/version.ts';
import type { Api } from './api-request.ts';
import { addDeadlines, defaultHttpLimits, endStranger, type HttpLimits } from './http-deadlines.ts';
import { addIdempotency } from './idempotency.ts';
import { ApiFailure, type Problem, problemOf } from './problem.ts';
import { attachmentSchema, connectionSchema, mediatorSchema, portSchema, problemSchema } from './schemas.ts';
import { StagedClose } from './staged-close.ts';
import type { TokenStore } from './token-store.ts';

/**
 * HTTP on the service port (P1.7, ALPN `http/1.1`): Fastify on a server that never listens and is handed connections
 * whose TLS handshake is done. Everything but health wants a bearer token; every failure is a problem (RFC 9457).
 */

/** What the door needs. */
export interface HttpDoorParts {
  readonly tokens: TokenStore;
  readonly clock: Clock;
  readonly log: Log;
  /** Adds routes. */
  readonly routes: (api: Api) => void;
  readonly limits?: HttpLimits;
}

/** HTTP on the service port. */
export interface HttpDoor {
  /** A connection whose TLS handshake is done; `authenticated` is called when a good token comes on it. */
  serve(socket: TLSSocket, authenticated: () => void): void;
  close(): Promise<void>;
}

/** Technicians' CLI is one file without these packages; only a server that is told to serve HTTP wants them. */
async function loadPackages() {
  try {
    const [{ default: Fastify }, { default: swagger }] = await Promise.all([
      import('fastify'),
      import('@fastify/swagger'),
    ]);
    return { Fastify, swagger };
  } catch (cause) {
    const message =
      'The HTTP API needs packages that are not installed: npm install fastify @fastify/swagger.';
    throw new EntremiseError('environment-unfit', { message, cause });
  }
}

/**
 * Makes the door.
 * @throws EntremiseError `environment-unfit` when its packages are not installed
 */
export async function openHttpDoor(parts: HttpDoorParts): Promise<HttpDoor> {
  const { Fastify, swagger } = await loadPackages();
  const { clock, limits = defaultHttpLimits } = parts;
  const waiting = new WeakMap<object, () => void>();
  const staged = new StagedClose(clock);
  const api = Fastify({
    serverFactory: handler =>
      http.createServer(nodeOptions(limits), (request, reply) =>
        staged.isClosing(request.socket) ? request.resume() : handler(request, reply),
      ),
    clientErrorHandler: staged.onClientError,
    logger: false,
    bodyLimit: 128 * 1024,
    requestTimeout: 0,
    ajv: { customOptions: { coerceTypes: 'array', removeAdditional: false } },
    forceCloseConnections: true,
    // Of a path that is none, or too long a word of one: before any route is found.
    frameworkErrors: ({ statusCode = 400 }, _request, reply) =>
      void tell(reply as FastifyReply, problemOf(new ApiFailure(statusCode, 'The path is malformed.'))),
  }).withTypeProvider<TypeBoxTypeProvider>() as unknown as Api;
  guard(api, parts, waiting);
  addDeadlines(api, clock, limits);
  failures(api, parts.log);
  await document(api, swagger);
  addIdempotency(api, clock);
  parts.routes(api);
  await api.ready();
  // A server that never listens checks none of its time-outs.
  api.server.emit('listening');
  return {
    serve(socket, authenticated) {
      const known = endStranger(socket, clock, limits);
      waiting.set(socket, () => {
        known();
        authenticated();
      });
      socket.on('error', () => {});
      staged.watch(socket);
      api.server.emit('connection', socket);
    },
    async close() {
      api.server.closeAllConnections();
      await api.close();
    },
  };
}

/** Bodies have deadlines of their own: some are passed on for as long as they come. */
function nodeOptions({ headersMs, lookEveryMs }: HttpLimits): http.ServerOptions {
  const times = { headersTimeout: headersMs, requestTimeout: 0, connectionsCheckingInterval: lookEveryMs };
  return { requireHostHeader: false, ...times };
}

function guard(api: Api, { tokens, clock }: HttpDoorParts, waiting: WeakMap<object, () => void>): void {
  api.decorateRequest('token', undefined);
  api.addHook('onRequest', async (request, reply) => {
    // Two readers might each go by another.
    if (hostsOf(request.raw) > 1) {
      reply.header('Connection', 'close');
      throw new ApiFailure(400, 'A request has one Host header.');
    }
    if (request.routeOptions.config.open === true) return;
    const [, text] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
    request.token = text === undefined ? undefined : tokens.find(text, clock.wallTimeMs());
    if (request.token === undefined) {
      reply.header('WWW-Authenticate', 'Bearer realm="entremise"');
      throw new ApiFailure(401, 'A bearer token is needed: entremise server token create.');
    }
    waiting.get(request.raw.socket)?.();
    waiting.delete(request.raw.socket);
  });
}

/** How often a header of that name stands there: Node gives the first alone. */
function hostsOf({ rawHeaders }: http.IncomingMessage): number {
  return rawHeaders.filter((text, index) => index % 2 === 0 && text.toLowerCase() === 'host').length;
}

function tell(reply: FastifyReply, problem: Problem) {
  return reply.code(problem.status).type('application/problem+json').send(JSON.stringify(problem));
}

function failures(api: Api, log: Log): void {
  api.setErrorHandler((thrown, request, reply) => {
    const problem = problemOf(thrown);
    if (problem.status >= 500 && problem.type === 'about:blank')
      log.error({ err: asEntremiseError(thrown), route: request.routeOptions.url }, 'a request has failed');
    return tell(reply, problem);
  });
  api.setNotFoundHandler((request, reply) => {
    const detail = `There is no ${request.method} ${request.url.slice(0, 200)}.`;
    return tell(reply, problemOf(new ApiFailure(404, detail)));
  });
}

async function document(
  api: Api,
  swagger: Awaited<ReturnType<typeof loadPackages>>['swagger'],
): Promise<void> {
  for (const schema of [problemSchema, mediatorSchema, attachmentSchema, portSchema, connectionSchema])
    api.addSchema(schema);
  await api.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Entremise', version, description: 'Mediators at your disposal: docs/operations.md.' },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    refResolver: { buildLocalReference: json => String(json.$id) },
  });
}
