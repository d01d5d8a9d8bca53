import { Type } from '@sinclair/typebox';
import type { FastifyRequest } from 'fastify';
import { readPublication } from '../declared/publication.ts';
import { readStandingService } from '../declared/standing-service.ts';
import type { Features } from '../features/features.ts';
import type { PublicationStatus } from '../features/publish-feature.ts';
import type { ServiceStatus } from '../features/service-feature.ts';
import { type Api, tokenWithScope } from './api-request.ts';
import { ApiFailure } from './problem.ts';

const closed = { additionalProperties: false };
const text = (description: string) => Type.String({ minLength: 1, maxLength: 300, description });
const protocol = Type.Optional(Type.Union([Type.Literal('tcp'), Type.Literal('udp')], { default: 'udp' }));
const bounds = {
  peers: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535, default: 256 })),
  newPeersPerSecond: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, default: 32 })),
  idleS: Type.Optional(Type.Integer({ minimum: 120, maximum: 86_400, description: 'for udp' })),
};
const published = {
  mediator: text('its name'),
  protocol,
  on: text('address:port of this server'),
  to: text('address:port in the LAN; for tcp a name, too'),
  from: Type.Array(text('a network that clients may come from'), { minItems: 1, maxItems: 64 }),
  ...bounds,
};
const forS = Type.Integer({ minimum: 1, maximum: 366 * 86_400, description: 'then it ends by itself' });
const publicationWish = Type.Object({ ...published, forS: Type.Optional(forS) }, closed);
const serving = {
  protocol,
  at: text('address:port of the mediators, or lan:port'),
  to: text('address:port of the plain server; for tcp a name, too'),
  mediator: Type.Optional(text('this one')),
  labels: Type.Optional(Type.Array(text('those that have all of these'), { minItems: 1, maxItems: 32 })),
  wanted: Type.Optional(Type.Boolean({ description: 'those that want a service of that name' })),
  ...bounds,
};
const serviceWish = Type.Object(serving, closed);

const state = {
  state: Type.String({ description: 'applied; pending: it will be by itself; refused: somebody has to act' }),
  code: Type.Optional(Type.String({ description: 'of the catalogue' })),
  reason: Type.Optional(Type.String()),
};
const declaredBy = Type.String({ description: 'server.toml, cli, or token and its id' });
const publication = Type.Unsafe<PublicationStatus>(
  Type.Object({
    id: Type.String(),
    ...published,
    declaredBy,
    expires: Type.Optional(Type.String({ format: 'date-time' })),
    ...state,
    counts: Type.Optional(Type.Record(Type.String(), Type.Integer())),
  }),
);
const applied = Type.Object({ mediator: Type.String(), devices: Type.Optional(Type.Integer()), ...state });
const service = Type.Unsafe<ServiceStatus>(
  Type.Object({
    name: Type.String(),
    ...serving,
    declaredBy,
    problem: Type.Optional(Type.String()),
    mediators: Type.Array(applied),
  }),
);

/** Undefined until the server has begun. */
type GetFeatures = () => Features | undefined;

/** @throws ApiFailure 401, 403 without the scope, 503 while the server begins */
function featuresFor(request: FastifyRequest, features: GetFeatures) {
  const { id } = tokenWithScope(request, 'declare');
  const running = features();
  if (running === undefined) throw new ApiFailure(503, 'The server begins.');
  return { running, declaredBy: `token ${id}` };
}

/** @throws ApiFailure 404 */
function found<T>(all: readonly T[], isIt: (each: T) => boolean, what: string): T {
  const one = all.find(isIt);
  if (one === undefined) throw new ApiFailure(404, `There is no ${what}.`);
  return one;
}

/**
 * Published ports and standing services (P7.6), for tokens with the scope `declare`. What they may do is bounded by the grants
 * of the features that keep them, whoever declares them.
 */
export function declaredRoutes(api: Api, features: GetFeatures, wallTimeMs: () => number): void {
  publicationRoutes(api, features, wallTimeMs);
  serviceRoutes(api, features);
}

function publicationRoutes(api: Api, features: GetFeatures, wallTimeMs: () => number): void {
  const base = '/v1/publications';
  const listed = { response: { 200: Type.Object({ publications: Type.Array(publication) }) } };
  api.get(base, { schema: listed }, async request => ({
    publications: featuresFor(request, features).running.publications(),
  }));
  const made = { body: publicationWish, response: { 201: publication } };
  api.post(base, { schema: made }, async (request, reply) => {
    const { running, declaredBy: who } = featuresFor(request, features);
    const { forS: lifeS, ...wish } = request.body;
    const value = readPublication(wish);
    const expiresAtMs = lifeS === undefined ? undefined : wallTimeMs() + lifeS * 1000;
    running.declarations.publish(value, who, expiresAtMs);
    return reply.code(201).send(await running.settled(value.id));
  });
  const params = Type.Object({ id: text('as it was made') }, closed);
  api.get(`${base}/:id`, { schema: { params, response: { 200: publication } } }, async request => {
    const all = featuresFor(request, features).running.publications();
    return found(all, ({ id }) => id === request.params.id, `publication ${request.params.id}`);
  });
  api.delete(`${base}/:id`, { schema: { params } }, async (request, reply) => {
    const { declarations } = featuresFor(request, features).running;
    const { id } = request.params;
    if (!declarations.remove('publication', id)) throw new ApiFailure(404, `There is no publication ${id}.`);
    return reply.code(204).send();
  });
}

function serviceRoutes(api: Api, features: GetFeatures): void {
  const base = '/v1/services';
  const listed = { response: { 200: Type.Object({ services: Type.Array(service) }) } };
  api.get(base, { schema: listed }, async request => ({
    services: featuresFor(request, features).running.services(),
  }));
  const params = Type.Object({ name: text('its name') }, closed);
  const serviceOf = (running: Features, name: string) =>
    found(running.services(), each => each.name === name, `service ${name}`);
  api.get(`${base}/:name`, { schema: { params, response: { 200: service } } }, async request =>
    serviceOf(featuresFor(request, features).running, request.params.name),
  );
  const put = { params, body: serviceWish, response: { 200: service } };
  api.put(`${base}/:name`, { schema: put }, async request => {
    const { running, declaredBy: who } = featuresFor(request, features);
    const { name } = request.params;
    running.declarations.applyService(readStandingService({ ...request.body, name }), who);
    return serviceOf(running, name);
  });
  api.delete(`${base}/:name`, { schema: { params } }, async (request, reply) => {
    const { declarations } = featuresFor(request, features).running;
    const { name } = request.params;
    if (!declarations.remove('service', name)) throw new ApiFailure(404, `There is no service ${name}.`);
    return reply.code(204).send();
  });
}
