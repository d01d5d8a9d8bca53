import { type Static, Type } from '@sinclair/typebox';
import { EntremiseError } from '../../base/errors.ts';
import { type AuditSearch, searchAudit } from '../audit-reader.ts';
import { type Api, tokenOf } from './api-request.ts';
import { ApiFailure } from './problem.ts';
import type { ApiToken } from './token-store.ts';

/** Searches at once: each reads the file through. */
const maxSearches = 2;

const time = Type.String({ maxLength: 40, description: 'like 2026-11-29T10:00:00Z' });

const auditQuery = Type.Object(
  {
    text: Type.Optional(Type.String({ minLength: 1, maxLength: 256, description: 'somewhere in the line' })),
    action: Type.Optional(Type.String({ maxLength: 64, description: 'attach, or the verb of a command' })),
    since: Type.Optional(time),
    until: Type.Optional(time),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, default: 100 })),
    cursor: Type.Optional(Type.Integer({ minimum: 0, description: 'as the page before gave it' })),
  },
  { additionalProperties: false },
);

const auditPage = Type.Object({
  lines: Type.Array(Type.Unknown()),
  cursor: Type.Optional(Type.Integer({ description: 'for the next page; none: this is the last' })),
});

/** @throws ApiFailure 400 */
function momentOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new ApiFailure(400, `${JSON.stringify(text)} is no time.`);
  return ms;
}

/**
 * Audit search, the oldest first. A token sees the lines under its own grant; with the scope `audit` all of them.
 * `auditFile`: the one in use; what was rotated away is for `entremise audit search`.
 */
export function auditRoutes(api: Api, auditFile: string): void {
  let running = 0;
  const schema = { querystring: auditQuery, response: { 200: auditPage } };
  api.get('/v1/audit', { schema }, async request => {
    const token = tokenOf(request);
    if (running >= maxSearches) throw new EntremiseError('limit', { by: 'terminal' });
    running++;
    try {
      return await pageOf(auditFile, token, request.query);
    } finally {
      running--;
    }
  });
}

async function pageOf(auditFile: string, token: ApiToken, query: Static<typeof auditQuery>) {
  const { text, action, since, until, limit = 100, cursor } = query;
  const wanted: AuditSearch = { text, action, sinceMs: momentOf(since), untilMs: momentOf(until) };
  const lines: Readonly<Record<string, unknown>>[] = [];
  for await (const line of searchAudit([auditFile], wanted)) {
    if (!mayRead(token, line) || (cursor !== undefined && !(Number(line.line) > cursor))) continue;
    if (lines.length === limit) return { lines, cursor: Number(lines.at(-1)?.line ?? 0) };
    lines.push(line);
  }
  return { lines };
}

function mayRead({ scopes, grantId }: ApiToken, line: Readonly<Record<string, unknown>>): boolean {
  return scopes.includes('audit') || (grantId !== undefined && line.grant === grantId);
}
