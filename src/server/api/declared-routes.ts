import { Type } from '@sinclair/typebox';
import type { FastifyRequest } from 'fastify';
import type { EntremiseError } from '../../base/errors.ts';
import { readPublication } from '../declared/publication.ts';
import { readStandingService } from '../declared/standing-service.ts';
import { byToken } from '../declared/token-bounds.ts';
import type { Features } from '../features/features.ts';
import type { PublicationStatus } from '../features/publish-feature.ts';
import type { ServiceStatus } from '../features/service-feature.ts';
import { type Api, tokenWithScope } from './api-request.ts';
import { ApiFailure } from './problem.ts';
import { done } from './schemas.ts';

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

/** What a request may see and change. */
interface Desk {
  readonly running: Features;
  readonly declaredBy: string;
  /** Its own, and what a token has left that is good no more. */
  isOpen(each: { readonly declaredBy: string }): boolean;
}

/** @throws ApiFailure 401, 403 without the scope, 503 while the server begins */
function deskFor(request: FastifyRequest, features: GetFeatures): Desk {
  const declaredBy = byToken(tokenWithScope(request, 'declare').id);
  const running = features();
  if (running === undefined) throw new ApiFailure(503, 'The server begins.');
  const isOpen = (each: { readonly declaredBy: string }) =>
    each.declaredBy === declaredBy || !running.bounds.isHeld(each.declaredBy);
  return { running, declaredBy, isOpen };
}

/** @throws ApiFailure 404 */
function found<T>(all: readonly T[], isIt: (each: T) => boolean, what: string): T {
  const one = all.find(isIt);
  if (one === undefined) throw new ApiFailure(404, `This token has no ${what}.`);
  return one;
}

function refuseIf(refusal: EntremiseError | undefined): void {
  if (refusal !== undefined) throw refusal;
}

/**
 * Published ports and standing services (P7.6), for tokens with the scope `declare`. What they may do is bounded by the grants
 * of the features that keep them, whoever declares them, and by the token's own.
 */
export function declaredRoutes(api: Api, features: GetFeatures, wallTimeMs: () => number): void {
  publicationRoutes(api, features, wallTimeMs);
  serviceRoutes(api, features);
}

function publicationRoutes(api: Api, features: GetFeatures, wallTimeMs: () => number): void {
  const base = '/v1/publications';
  const listed = { response: { 200: Type.Object({ publications: Type.Array(publication) }) } };
  api.get(base, { schema: listed }, async request => {
    const { running, isOpen } = deskFor(request, features);
    return { publications: running.publications().filter(isOpen) };
  });
  const made = { body: publicationWish, response: { 201: publication } };
  api.post(base, { schema: made }, async (request, reply) => {
    const { running, declaredBy } = deskFor(request, features);
    const { forS: lifeS, ...wish } = request.body;
    const value = readPublication(wish);
    const expiresAtMs = lifeS === undefined ? undefined : wallTimeMs() + lifeS * 1000;
    refuseIf(running.bounds.ofPublication({ value, declaredBy, expiresAtMs }));
    running.declarations.publish(value, declaredBy, expiresAtMs);
    return reply.code(201).send(await running.settled(value.id));
  });
  const params = Type.Object({ id: text('as it was made') }, closed);
  api.get(`${base}/:id`, { schema: { params, response: { 200: publication } } }, async request => {
    const desk = deskFor(request, features);
    return publicationOf(desk, request.params.id);
  });
  api.delete(`${base}/:id`, { schema: { params, response: done } }, async (request, reply) => {
    const desk = deskFor(request, features);
    const { id } = publicationOf(desk, request.params.id);
    desk.running.declarations.remove('publication', id);
    return reply.code(204).send();
  });
}

/** @throws ApiFailure 404 */
function publicationOf({ running, isOpen }: Desk, id: string): PublicationStatus {
  return found(running.publications().filter(isOpen), each => each.id === id, `publication ${id}`);
}

/** @throws ApiFailure 404 */
function serviceOf({ running, isOpen }: Desk, name: string): ServiceStatus {
  return found(running.services().filter(isOpen), each => each.name === name, `service ${name}`);
}

function serviceRoutes(api: Api, features: GetFeatures): void {
  const base = '/v1/services';
  const listed = { response: { 200: Type.Object({ services: Type.Array(service) }) } };
  api.get(base, { schema: listed }, async request => {
    const { running, isOpen } = deskFor(request, features);
    return { services: running.services().filter(isOpen) };
  });
  const params = Type.Object({ name: text('its name') }, closed);
  api.get(`${base}/:name`, { schema: { params, response: { 200: service } } }, async request =>
    serviceOf(deskFor(request, features), request.params.name),
  );
  const put = { params, body: serviceWish, response: { 200: service } };
  api.put(`${base}/:name`, { schema: put }, async request => {
    const desk = deskFor(request, features);
    const { running, declaredBy, isOpen } = desk;
    const value = readStandingService({ ...request.body, name: request.params.name });
    const other = running.services().find(({ name }) => name === value.name);
    if (other !== undefined && !isOpen(other))
      throw new ApiFailure(409, `There is a service ${value.name}, which this token has not declared.`);
    refuseIf(running.bounds.ofServiceAnywhere({ value, declaredBy, expiresAtMs: undefined }));
    running.declarations.applyService(value, declaredBy);
    return serviceOf(desk, value.name);
  });
  api.delete(`${base}/:name`, { schema: { params, response: done } }, async (request, reply) => {
    const desk = deskFor(request, features);
    const { name } = serviceOf(desk, request.params.name);
    desk.running.declarations.remove('service', name);
    return reply.code(204).send();
  });
}
