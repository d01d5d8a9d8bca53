import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { Clock } from '../../base/clock.ts';
import { type Api, tokenOf } from './api-request.ts';
import { ApiFailure } from './problem.ts';

/** How long an answer is kept for who asks again, and how many. */
const keptMs = 10 * 60_000;
const maxKept = 10_000;

interface Kept {
  readonly fingerprint: string;
  readonly forget: () => void;
  /** Undefined while the first request runs. */
  answer: { readonly status: number; readonly body: unknown } | undefined;
}

/**
 * `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a POST that a client sends again with the same key, because
 * it has seen no answer, is answered as the first and not done twice. Kept in memory, as what it has made is; failures are
 * not kept.
 */
export function addIdempotency(api: Api, clock: Clock): void {
  const kept = new Map<string, Kept>();
  /** Of the requests that run, those that were the first with their key: the only ones whose answers count. */
  const first = new WeakMap<FastifyRequest, Kept>();
  api.addHook('preHandler', async (request, reply) => {
    const key = request.headers['idempotency-key'];
    if (request.method !== 'POST' || typeof key !== 'string') return;
    if (key.length > 128) throw new ApiFailure(400, 'An Idempotency-Key has at most 128 characters.');
    const name = `${tokenOf(request).id} ${key}`;
    const asked = JSON.stringify([request.url, request.body]);
    const fingerprint = createHash('sha256').update(asked).digest('base64');
    const known = kept.get(name);
    if (known === undefined) return void first.set(request, remember(kept, name, fingerprint, clock));
    if (known.fingerprint !== fingerprint)
      throw new ApiFailure(422, 'That Idempotency-Key belongs to another request.');
    if (known.answer === undefined) throw new ApiFailure(409, 'The first request with that key still runs.');
    // A code may stand there.
    reply.header('Idempotency-Replayed', 'true').header('Cache-Control', 'no-store');
    await reply.code(known.answer.status).type('application/json').send(known.answer.body);
  });
  api.addHook('onSend', async (request, reply, payload) => {
    const found = first.get(request);
    if (reply.statusCode >= 400) found?.forget();
    else if (found !== undefined) found.answer = { status: reply.statusCode, body: payload };
    return payload;
  });
}

function remember(kept: Map<string, Kept>, name: string, fingerprint: string, clock: Clock): Kept {
  const oldest = kept.size >= maxKept ? kept.values().next().value : undefined;
  oldest?.forget();
  const cancel = clock.after(keptMs, () => kept.delete(name));
  const forget = () => {
    cancel();
    kept.delete(name);
  };
  const made: Kept = { fingerprint, forget, answer: undefined };
  kept.set(name, made);
  return made;
}
