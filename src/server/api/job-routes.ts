import { Type } from '@sinclair/typebox';
import { EntremiseError } from '../../base/errors.ts';
import { selectMediators, type Terminal } from '../../terminal/index.ts';
import { type Api, tokenOf } from './api-request.ts';
import type { BulkJob } from './bulk-job.ts';
import type { BulkJobs } from './bulk-jobs.ts';
import { jobCommandSchema } from './job-command.ts';
import { mediatorsOf } from './mediator-view.ts';
import { done } from './schemas.ts';

const closed = { additionalProperties: false };
const name = Type.String({ minLength: 1, maxLength: 64 });

/** A selection that is empty means every mediator that the token's grant names. */
const selection = Type.Object(
  {
    labels: Type.Optional(Type.Array(name, { maxItems: 16, description: 'all of them' })),
    names: Type.Optional(Type.Array(name, { minItems: 1, maxItems: 10_000 })),
    service: Type.Optional(name),
    online: Type.Optional(Type.Boolean()),
  },
  closed,
);

const jobWish = Type.Object(
  {
    command: jobCommandSchema,
    selection,
    dryRun: Type.Optional(Type.Boolean({ description: 'say which mediators, and do nothing' })),
    concurrency: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 20 })),
    attempts: Type.Optional(Type.Integer({ minimum: 1, maximum: 20, default: 2 })),
    timeoutMs: Type.Optional(Type.Integer({ minimum: 100, maximum: 600_000, default: 30_000 })),
  },
  closed,
);

/** A job as it is told. */
export const jobSchema = Type.Object(
  {
    id: Type.String(),
    state: Type.Union(
      [Type.Literal('running'), Type.Literal('done'), Type.Literal('cancelled'), Type.Literal('interrupted')],
      { description: 'interrupted: the server ended before it did; retry does the rest' },
    ),
    command: Type.Unknown(),
    created: Type.String({ format: 'date-time' }),
    total: Type.Integer(),
    done: Type.Integer({ description: 'mediators with a result, failed ones too' }),
    failed: Type.Integer(),
    retryOf: Type.Optional(Type.String({ description: 'the job whose failed or untried ones these are' })),
  },
  { $id: 'Job' },
);

function viewOf({ id, state, wish, createdAtMs, results, failed }: BulkJob) {
  const { command, mediators, retryOf } = wish;
  const created = new Date(createdAtMs).toISOString();
  const counts = { total: mediators.length, done: results.length, failed };
  return { id, state, command, created, ...counts, ...(retryOf === undefined ? {} : { retryOf }) };
}

const jobParams = Type.Object({ job: name }, closed);
const base = '/v1/jobs';

/** One command at many mediators: made, looked at, cancelled, and again for those that failed. */
export function jobRoutes(api: Api, terminal: Terminal, jobs: BulkJobs): void {
  // An empty page of names is no job, so 200 is the dry run's alone.
  const dry = Type.Object({ mediators: Type.Array(Type.String()) });
  const made = { body: jobWish, response: { 200: dry, 201: Type.Ref('Job') } };
  api.post(base, { schema: made, bodyLimit: 1024 * 1024 }, async (request, reply) => {
    const token = tokenOf(request);
    const {
      command,
      selection: wanted,
      dryRun,
      concurrency = 20,
      attempts = 2,
      timeoutMs = 30_000,
    } = request.body;
    const found = selectMediators(mediatorsOf(terminal, token), wanted);
    const mediators = found.flatMap(mediator => mediator.name ?? []);
    if (dryRun === true) return reply.code(200).send({ mediators });
    const job = jobs.begin(token, { command, mediators, concurrency, attempts, timeoutMs });
    return reply.code(201).send(viewOf(job));
  });
  const listed = { response: { 200: Type.Object({ jobs: Type.Array(Type.Ref('Job')) }) } };
  api.get(base, { schema: listed }, async request => ({ jobs: jobs.of(tokenOf(request)).map(viewOf) }));
  oneJob(api, jobs);
  resultRoute(api, jobs);
}

function oneJob(api: Api, jobs: BulkJobs): void {
  const one = { params: jobParams, response: { 200: Type.Ref('Job') } };
  api.get(`${base}/:job`, { schema: one }, async request =>
    viewOf(jobs.get(tokenOf(request), request.params.job)),
  );
  api.post(`${base}/:job/cancel`, { schema: one }, async request => {
    const job = jobs.get(tokenOf(request), request.params.job);
    job.cancel();
    await job.ended;
    return viewOf(job);
  });
  api.delete(`${base}/:job`, { schema: { params: jobParams, response: done } }, async (request, reply) => {
    jobs.remove(tokenOf(request), request.params.job);
    return reply.code(204).send();
  });
  const again = { params: jobParams, response: { 201: Type.Ref('Job') } };
  api.post(`${base}/:job/retry`, { schema: again }, async (request, reply) => {
    const token = tokenOf(request);
    const job = jobs.get(token, request.params.job);
    if (job.state === 'running')
      throw new EntremiseError('wrong-state', { message: 'The job still runs.', by: 'terminal' });
    const tried = new Set(job.results.filter(({ ok }) => ok).map(({ mediator }) => mediator));
    const mediators = job.wish.mediators.filter(mediator => !tried.has(mediator));
    return reply.code(201).send(viewOf(jobs.begin(token, { ...job.wish, mediators, retryOf: job.id })));
  });
}

function resultRoute(api: Api, jobs: BulkJobs): void {
  const page = Type.Object({
    results: Type.Array(Type.Unknown()),
    cursor: Type.Optional(Type.Integer({ description: 'for what comes behind these' })),
  });
  const querystring = Type.Object(
    {
      failed: Type.Optional(
        Type.Boolean({ description: 'only those that failed, or only those that did not' }),
      ),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, default: 100 })),
      cursor: Type.Optional(Type.Integer({ minimum: 0 })),
    },
    closed,
  );
  const schema = { params: jobParams, querystring, response: { 200: page } };
  api.get(`${base}/:job/results`, { schema }, async request => {
    const { results, state } = jobs.get(tokenOf(request), request.params.job);
    const { failed, limit = 100, cursor = 0 } = request.query;
    const rest = results.slice(cursor);
    const numbered = rest.map((result, index) => ({ result, next: cursor + index + 1 }));
    const shown = numbered
      .filter(({ result }) => failed === undefined || result.ok !== failed)
      .slice(0, limit);
    const next = shown.length === limit ? (shown.at(-1)?.next ?? cursor) : results.length;
    const more = state === 'running' || next < results.length;
    return { results: shown.map(({ result }) => result), ...(more ? { cursor: next } : {}) };
  });
}
