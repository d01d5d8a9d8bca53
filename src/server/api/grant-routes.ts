import { Type } from '@sinclair/typebox';
import type { Grant } from '../../policy/documents.ts';
import { maxGrantLifeMs } from '../../policy/grant.ts';
import { type PermissionVerb, permissionVerbs } from '../../policy/schema.ts';
import { type Api, tokenWithScope } from './api-request.ts';
import type { GrantDesk } from './grant-desk.ts';
import { done } from './schemas.ts';

const closed = { additionalProperties: false };
const text = (maxLength: number) => Type.String({ minLength: 1, maxLength });
const ranges = Type.Optional(Type.Array(Type.Union([Type.Integer(), text(11)]), { maxItems: 256 }));
const addresses = Type.Optional(Type.Array(text(64), { maxItems: 256 }));
const limit = Type.Optional(Type.Integer({ minimum: 1 }));

/** The fields are a grant's (docs/security.md); what its document would not take is told when it is signed. */
const grantRequest = Type.Object(
  {
    terminal: Type.String({
      maxLength: 64,
      description: 'the key or the name of the terminal that it is for',
    }),
    mediators: Type.Array(
      Type.Object(
        {
          name: Type.Optional(text(64)),
          key: Type.Optional(text(64)),
          labels: Type.Optional(Type.Array(text(64), { maxItems: 32 })),
        },
        closed,
      ),
      { minItems: 1, maxItems: 64 },
    ),
    purpose: Type.Optional(Type.Union([Type.Literal('assistance'), Type.Literal('service')])),
    commands: Type.Optional(
      Type.Array(Type.Unsafe<PermissionVerb>(Type.String({ enum: [...permissionVerbs] })), { maxItems: 8 }),
    ),
    targets: Type.Optional(Type.Object({ networks: addresses, tcp: ranges, udp: ranges }, closed)),
    ports: Type.Optional(Type.Object({ addresses, tcp: ranges, udp: ranges }, closed)),
    limits: Type.Optional(
      Type.Object(
        { newStreamsPerSecond: limit, bytesPerSecond: limit, ports: limit, streams: limit },
        closed,
      ),
    ),
    lifeS: Type.Optional(
      Type.Integer({ minimum: 60, maximum: maxGrantLifeMs.service / 1000, description: '12 h when absent' }),
    ),
  },
  closed,
);

const grantAnswer = Type.Object({
  id: Type.String(),
  purpose: Type.String(),
  terminal: Type.String({ description: 'thumbprint of its key, cnf.jkt' }),
  mediators: Type.Array(Type.Unknown()),
  expires: Type.String({ format: 'date-time' }),
  status: Type.String({ description: 'valid, expired, revoked' }),
  document: Type.String(),
});

function viewOf(
  { id, purpose, terminalThumbprint, mediators, expiresAtMs, text: document }: Grant,
  status: string,
) {
  const expires = new Date(expiresAtMs).toISOString();
  return { id, purpose, terminal: terminalThumbprint, mediators: [...mediators], expires, status, document };
}

/** Grants that the server signs as a delegate (P6.2), for tokens with the scope `grants`. */
export function grantRoutes(api: Api, desk: GrantDesk): void {
  const made = { body: grantRequest, response: { 201: grantAnswer } };
  api.post('/v1/grants', { schema: made }, async (request, reply) => {
    const grant = await desk.issue(tokenWithScope(request, 'grants'), request.body);
    return reply.code(201).send(viewOf(grant, 'valid'));
  });
  const listed = { response: { 200: Type.Object({ grants: Type.Array(grantAnswer) }) } };
  api.get('/v1/grants', { schema: listed }, async request => ({
    grants: desk.list(tokenWithScope(request, 'grants')).map(({ grant, status }) => viewOf(grant, status)),
  }));
  const named = { params: Type.Object({ grant: text(64) }, closed), response: done };
  api.delete('/v1/grants/:grant', { schema: named }, async (request, reply) => {
    desk.revoke(tokenWithScope(request, 'grants'), request.params.grant);
    return reply.code(204).send();
  });
}
