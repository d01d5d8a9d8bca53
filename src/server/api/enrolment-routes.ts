import { Type } from '@sinclair/typebox';
import { maxInvitationLifeMs } from '../../policy/inviter.ts';
import { type Api, tokenWithScope } from './api-request.ts';
import type { EnrolmentDesk, ListedCode } from './enrolment-desk.ts';
import { done } from './schemas.ts';

const closed = { additionalProperties: false };
const text = (maxLength: number) => Type.String({ minLength: 1, maxLength });

const labelList = Type.Array(text(63), { maxItems: 32, uniqueItems: true });

const codeRequest = Type.Object(
  {
    name: text(63),
    labels: Type.Optional(labelList),
    lifeS: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: maxInvitationLifeMs / 1000,
        description: 'when absent 10 min, or less where the inviter allows less',
      }),
    ),
  },
  closed,
);

const codeAnswer = Type.Object({
  id: Type.String(),
  name: Type.String(),
  labels: Type.Array(Type.String()),
  expires: Type.String({ format: 'date-time' }),
  state: Type.String({ description: 'pending, used, expired, cancelled, refused' }),
  key: Type.Optional(Type.String({ description: 'of the mediator that has used it' })),
});

/** The code itself is in this answer and in no other. */
const madeAnswer = Type.Composite([Type.Object({ code: Type.String() }), codeAnswer]);

function viewOf({ id, name, labels, expiresAtMs, state, usedBy }: ListedCode) {
  const expires = new Date(expiresAtMs).toISOString();
  const view = { id, name, labels: [...labels], expires, state };
  return usedBy === undefined ? view : { ...view, key: usedBy };
}

/**
 * Enrolment codes for mediators that the server makes as an inviter (P6.5), for tokens with the scope `enrol`, and labels of who
 * came by them, for those with the scope `labels`.
 */
export function enrolmentRoutes(api: Api, desk: EnrolmentDesk): void {
  const made = { body: codeRequest, response: { 201: madeAnswer } };
  api.post('/v1/enrolment-codes', { schema: made }, async (request, reply) => {
    const { code, invitation } = await desk.issue(tokenWithScope(request, 'enrol'), request.body);
    const { key: id, name, labels, notAfterMs } = invitation;
    const expires = new Date(notAfterMs).toISOString();
    reply.code(201).header('Cache-Control', 'no-store');
    return reply.send({ code, id, name, labels: [...labels], expires, state: 'pending' });
  });
  const listed = { response: { 200: Type.Object({ codes: Type.Array(codeAnswer) }) } };
  api.get('/v1/enrolment-codes', { schema: listed }, async request => ({
    codes: desk.list(tokenWithScope(request, 'enrol')).map(viewOf),
  }));
  const labelled = {
    params: Type.Object({ name: text(63) }, closed),
    body: Type.Object({ labels: labelList }, closed),
    response: {
      200: Type.Object({ name: Type.String(), key: Type.String(), labels: Type.Array(Type.String()) }),
    },
  };
  api.put('/v1/mediators/:name/labels', { schema: labelled }, async request => {
    const token = tokenWithScope(request, 'labels');
    const { name, key, labels } = await desk.label(token, request.params.name, request.body.labels);
    return { name, key, labels: [...labels] };
  });
  const named = { params: Type.Object({ id: text(64) }, closed), response: done };
  api.delete('/v1/enrolment-codes/:id', { schema: named }, async (request, reply) => {
    desk.cancel(tokenWithScope(request, 'enrol'), request.params.id);
    return reply.code(204).send();
  });
}
