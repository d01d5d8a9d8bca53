import { Type } from '@sinclair/typebox';
import type { ErrorCode } from '../../base/errors.ts';
import type { Terminal } from '../../terminal/index.ts';
import type { Features } from '../features/features.ts';
import type { ApiAttachment } from './api-attachment.ts';
import type { ApiAttachments } from './api-attachments.ts';
import { type Api, tokenOf } from './api-request.ts';
import { auditRoutes } from './audit-routes.ts';
import type { BulkJobs } from './bulk-jobs.ts';
import { connectionRoutes } from './connection-routes.ts';
import { declaredRoutes } from './declared-routes.ts';
import { deviceRoutes } from './device-routes.ts';
import { documentRoutes } from './document-routes.ts';
import type { EnrolmentDesk } from './enrolment-desk.ts';
import { enrolmentRoutes } from './enrolment-routes.ts';
import type { GrantDesk } from './grant-desk.ts';
import { grantRoutes } from './grant-routes.ts';
import { jobRoutes, jobSchema } from './job-routes.ts';
import { labelsOf, mediatorsOf, pageOf, viewOf } from './mediator-view.ts';
import { portRoutes } from './port-routes.ts';
import { ApiFailure } from './problem.ts';
import * as schemas from './schemas.ts';

/** What the routes act on. */
export interface RouteParts {
  readonly terminal: Terminal;
  readonly attachments: ApiAttachments;
  readonly jobs: BulkJobs;
  readonly grants: GrantDesk;
  readonly enrolments: EnrolmentDesk;
  /** Hands documents to the server (P6.2). */
  readonly pushDocuments: (documents: readonly string[]) => Promise<(ErrorCode | undefined)[]>;
  readonly auditFile: string;
  /** Published ports and standing services; undefined until the server has begun. */
  readonly features: () => Features | undefined;
  /** False while the server is being stopped. */
  readonly ready: () => boolean;
  /** The text of `/metrics`. */
  readonly metrics: () => Promise<string>;
}

/** Adds every route of version 1. */
export function addRoutes(api: Api, parts: RouteParts): void {
  api.addSchema(jobSchema);
  operationsRoutes(api, parts);
  mediatorRoutes(api, parts);
  attachmentRoutes(api, parts);
  eventRoute(api, parts);
  portRoutes(api, parts.attachments);
  connectionRoutes(api, parts.attachments);
  declaredRoutes(api, parts.features, () => parts.terminal.clock.wallTimeMs());
  deviceRoutes(api, parts.attachments);
  jobRoutes(api, parts.terminal, parts.jobs);
  documentRoutes(api, parts.pushDocuments);
  grantRoutes(api, parts.grants);
  enrolmentRoutes(api, parts.enrolments);
  auditRoutes(api, parts.auditFile);
}

function operationsRoutes(api: Api, { ready, metrics }: RouteParts): void {
  api.get('/healthz', { config: { open: true } }, async () => ({ status: 'ok' }));
  api.get('/readyz', { config: { open: true } }, async (_request, reply) =>
    ready() ? { status: 'ready' } : reply.code(503).send({ status: 'stopping' }),
  );
  api.get('/openapi.json', { config: { open: true }, schema: { hide: true } }, async () => api.swagger());
  api.get('/metrics', { schema: { hide: true } }, async (_request, reply) =>
    reply.type('text/plain; version=0.0.4').send(await metrics()),
  );
}

function mediatorRoutes(api: Api, { terminal }: RouteParts): void {
  const listing = { querystring: schemas.mediatorsQuery, response: { 200: schemas.mediatorsPage } };
  api.get('/v1/mediators', { schema: listing }, async request =>
    pageOf(mediatorsOf(terminal, tokenOf(request)), request.query),
  );
  const one = { params: schemas.mediatorParams, response: { 200: Type.Ref('Mediator') } };
  api.get('/v1/mediators/:name', { schema: one }, async request => {
    const found = mediatorsOf(terminal, tokenOf(request)).find(({ name }) => name === request.params.name);
    if (found === undefined)
      throw new ApiFailure(
        404,
        `This token's grant names no mediator ${JSON.stringify(request.params.name)}.`,
      );
    return viewOf(found);
  });
  const labels = { response: { 200: schemas.labelsList } };
  api.get('/v1/labels', { schema: labels }, async request => ({
    labels: labelsOf(mediatorsOf(terminal, tokenOf(request))),
  }));
}

function attachmentView({ attachment }: ApiAttachment) {
  const { id, mediator, purpose, grant } = attachment.peer;
  const state = attachment.suspended === undefined ? 'attached' : 'suspended';
  return { id, mediator, purpose, grant, state };
}

function attachmentRoutes(api: Api, { attachments }: RouteParts): void {
  const made = { body: schemas.attachWish, response: { 201: Type.Ref('Attachment') } };
  api.post('/v1/attachments', { schema: made }, async (request, reply) =>
    reply.code(201).send(attachmentView(await attachments.attach(tokenOf(request), request.body))),
  );
  const all = { response: { 200: Type.Object({ attachments: Type.Array(Type.Ref('Attachment')) }) } };
  api.get('/v1/attachments', { schema: all }, async request => ({
    attachments: attachments.of(tokenOf(request)).map(attachmentView),
  }));
  const named = { params: schemas.attachmentParams };
  api.get('/v1/attachments/:attachment', { schema: named }, async request =>
    attachmentView(attachments.get(tokenOf(request), request.params.attachment)),
  );
  api.delete(
    '/v1/attachments/:attachment',
    { schema: { ...named, response: schemas.done } },
    async (request, reply) => {
      attachments.get(tokenOf(request), request.params.attachment).attachment.detach();
      return reply.code(204).send();
    },
  );
  const asked = { params: schemas.attachmentParams, querystring: schemas.resolveQuery };
  api.get('/v1/attachments/:attachment/resolve', { schema: asked }, async request => {
    const { attachment } = attachments.get(tokenOf(request), request.params.attachment);
    return { addresses: await attachment.resolve(request.query.name) };
  });
  api.get('/v1/attachments/:attachment/limits', { schema: named }, async request => ({
    limits: await attachments.get(tokenOf(request), request.params.attachment).attachment.limits(),
  }));
}

/** Between two events a line every 20 s keeps proxies from taking the stream for dead. */
const heartbeatMs = 20_000;

function eventRoute(api: Api, { attachments }: RouteParts): void {
  const schema = { params: schemas.attachmentParams };
  api.get('/v1/attachments/:attachment/events', { schema }, (request, reply) => {
    const { feed } = attachments.get(tokenOf(request), request.params.attachment);
    const last = Number(request.headers['last-event-id'] ?? 0);
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    raw.write(': events\n\n');
    const heartbeat = setInterval(() => raw.write(':\n\n'), heartbeatMs);
    const stop = feed.follow(
      Number.isSafeInteger(last) && last > 0 ? last : 0,
      ({ id, kind, data }) => raw.write(`id: ${id}\nevent: ${kind}\ndata: ${JSON.stringify(data)}\n\n`),
      () => raw.end(),
    );
    raw.once('close', () => {
      clearInterval(heartbeat);
      stop();
    });
  });
}
