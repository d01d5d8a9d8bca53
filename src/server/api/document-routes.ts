import { Type } from '@sinclair/typebox';
import type { ErrorCode } from '../../base/errors.ts';
import type { Api } from './api-request.ts';

const documentsWish = Type.Object(
  {
    documents: Type.Array(Type.String({ minLength: 1, maxLength: 16_384 }), { minItems: 1, maxItems: 32 }),
  },
  { additionalProperties: false },
);

const outcomes = Type.Object({
  results: Type.Array(
    Type.Object({ accepted: Type.Boolean(), code: Type.Optional(Type.String({ description: 'why not' })) }),
  ),
});

/** Of JSON in which 32 documents stand. */
const maxBodyBytes = 32 * 16_384 + 4_096;

/**
 * Hands the server what the authority has signed: invitations, member statements (names, labels), grants, trust statements
 * (P6.2). Whoever carries them is of no account; the signature is.
 */
export function documentRoutes(
  api: Api,
  push: (documents: readonly string[]) => Promise<(ErrorCode | undefined)[]>,
): void {
  const schema = { body: documentsWish, response: { 200: outcomes } };
  api.post('/v1/documents', { schema, bodyLimit: maxBodyBytes }, async request => {
    const codes = await push(request.body.documents);
    return {
      results: codes.map(code => (code === undefined ? { accepted: true } : { accepted: false, code })),
    };
  });
}
