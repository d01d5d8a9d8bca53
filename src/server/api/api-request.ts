import type http from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ApiFailure } from './problem.ts';
import type { ApiToken, TokenScope } from './token-store.ts';

/** Fastify with our schemas. */
export type Api = FastifyInstance<
  http.Server,
  http.IncomingMessage,
  http.ServerResponse,
  never,
  TypeBoxTypeProvider
>;

declare module 'fastify' {
  interface FastifyRequest {
    /** The token of the request; routes with `config.open` have none. */
    token: ApiToken | undefined;
  }
  interface FastifyContextConfig {
    /** Served without a token. */
    open?: boolean;
  }
}

/** The token by which a request has come. */
export function tokenOf(request: FastifyRequest): ApiToken {
  if (request.token === undefined) throw new ApiFailure(401, 'A bearer token is needed.');
  return request.token;
}

/** As {@link tokenOf}, of a token that has the scope. @throws ApiFailure 403 */
export function tokenWithScope(request: FastifyRequest, scope: TokenScope): ApiToken {
  const token = tokenOf(request);
  if (token.scopes.includes(scope)) return token;
  throw new ApiFailure(
    403,
    `This token has no scope "${scope}": entremise server token create --scope ${scope}.`,
  );
}
