import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { fakeClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { beforeMigration } from '../migration.ts';
import { openPrivateDatabase } from '../sqlite.ts';
import { openApiDatabase } from './api-database.ts';
import type { JobRecord, JobResult } from './bulk-job.ts';
import { IssuedGrants } from './issued-grants.ts';
import { JobStore } from './job-store.ts';

async function place(t: ExecutionContext) {
  const stateDir = mkdtempSync(join(tmpdir(), 'entremise-jobs-'));
  t.teardown(() => rmSync(stateDir, { recursive: true }));
  const clock = fakeClock();
  const open = async () => new JobStore({ ...(await openApiDatabase(stateDir)), clock, log: silentLog() });
  return { stateDir, clock, open };
}

const wish = {
  command: { verb: 'limits' },
  mediators: ['gw-1', 'gw-2', 'gw-3'],
  concurrency: 1,
  attempts: 1,
  timeoutMs: 1_000,
} as const;

const good: JobResult = { mediator: 'gw-1', ok: true, attempts: 1, value: { limits: [] } };
const bad: JobResult = {
  mediator: 'gw-2',
  ok: false,
  attempts: 2,
  error: { code: 'refused', message: 'It refused.' },
};

function job(id: string, createdAtMs: number): JobRecord {
  return { id, tokenId: 'token', wish, createdAtMs, state: 'running', results: [] };
}

test('a job that ran when its server died is interrupted, with the results that were half a second old', async t => {
  const { clock, open } = await place(t);
  const first = await open();
  first.add(job('one', clock.wallTimeMs()));
  first.addResult('one', 1, good);
  clock.advance(500);
  first.addResult('one', 2, bad);
  // As after a crash: nothing more of the first is written.
  const second = await open();
  t.deepEqual(second.load(), [
    { ...job('one', clock.wallTimeMs() - 500), state: 'interrupted', results: [good] },
  ]);
  second.close();
  first.close();
});

test('what has ended is told as it ended, for 30 days; what was removed is gone', async t => {
  const { clock, open } = await place(t);
  const first = await open();
  for (const id of ['done', 'cancelled', 'removed']) first.add(job(id, clock.wallTimeMs()));
  first.addResult('done', 1, good);
  first.addResult('removed', 1, good);
  first.setState('done', 'done');
  first.setState('cancelled', 'cancelled');
  first.remove('removed');
  first.close();
  const second = await open();
  t.deepEqual(
    second.load().map(({ id, state, results }) => [id, state, results]),
    [
      ['done', 'done', [good]],
      ['cancelled', 'cancelled', []],
    ],
  );
  clock.advance(30 * 24 * 3_600_000 + 1);
  t.deepEqual(second.load(), []);
  second.close();
});

test('a database of before there were jobs in it is brought forward, and its grants stay', async t => {
  const { stateDir, open } = await place(t);
  const path = join(stateDir, 'issued.sqlite');
  const old = await openPrivateDatabase(
    path,
    `CREATE TABLE issuedGrants (id TEXT PRIMARY KEY, tokenId TEXT NOT NULL, text TEXT NOT NULL,
      expiresAtMs INTEGER NOT NULL, revokedAtMs INTEGER);
     INSERT INTO issuedGrants VALUES ('grant', 'token', 'a grant', 10000, NULL); PRAGMA user_version = 1;`,
  );
  old.close();
  const grants = await IssuedGrants.open(stateDir);
  t.deepEqual(grants.of('token'), [{ text: 'a grant', revokedAtMs: undefined }]);
  const jobs = await open();
  t.deepEqual(jobs.load(), []);
  const before = await openPrivateDatabase(beforeMigration(path, 1), '');
  t.is(before.prepare('SELECT count(*) AS count FROM issuedGrants').get()?.count, 1);
  before.close();
  jobs.close();
  grants.close();
});
