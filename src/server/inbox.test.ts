import { execFileSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { pino } from 'pino';
import { type FakeClock, fakeClock } from '../base/clock.ts';
import type { ErrorCode } from '../base/errors.ts';
import { putIntoInbox, watchInbox } from './inbox.ts';
import { until } from './testing/test-operator.ts';

interface Watched {
  readonly stateDir: string;
  readonly inbox: string;
  readonly clock: FakeClock;
  readonly taken: string[];
  readonly logged: { level: number; msg: string; name?: string }[];
  look(): void;
  /** Looks until `predicate` holds. */
  lookUntil(predicate: () => boolean, what: string): Promise<void>;
  start(): Promise<() => Promise<void>>;
}

function scratch(t: ExecutionContext): Watched {
  const stateDir = mkdtempSync(join(tmpdir(), 'entremise-inbox-'));
  t.teardown(() => rmSync(stateDir, { recursive: true, force: true }));
  const clock = fakeClock(Date.now());
  const taken: string[] = [];
  const logged: Watched['logged'] = [];
  const log = pino({ base: null }, { write: line => logged.push(JSON.parse(line)) });
  return {
    stateDir,
    inbox: join(stateDir, 'inbox'),
    clock,
    taken,
    logged,
    look: () => clock.advance(500),
    lookUntil(predicate, what) {
      const look = () => {
        clock.advance(500);
        return predicate();
      };
      return until(look, what);
    },
    async start() {
      const accept = async (document: string): Promise<ErrorCode | undefined> => {
        taken.push(document);
        return document.startsWith('bad') ? 'document-invalid' : undefined;
      };
      const stop = await watchInbox({ stateDir, clock, log, accept });
      t.teardown(stop);
      return stop;
    },
  };
}

test('what was put in before the server began is taken when it begins, in the order in which it was put', async t => {
  const at = scratch(t);
  const sent = Array.from({ length: 12 }, (_, index) => `document ${index}`);
  for (const document of sent) {
    t.is(await putIntoInbox(at.stateDir, [document], 0), undefined);
    await until(() => Date.now() > statSync(at.inbox).mtimeMs + 1, 'a millisecond later');
  }
  await at.start();
  t.deepEqual(at.taken, sent);
});

test('a running server takes what is put in, and who put it is told of each document', async t => {
  const at = scratch(t);
  await at.start();
  t.deepEqual(await putIntoInbox(at.stateDir, ['one', 'bad', 'two'], 10_000), [
    undefined,
    'document-invalid',
    undefined,
  ]);
  t.deepEqual(readdirSync(at.inbox), []);
});

test('files that no watch tells of are found all the same', async t => {
  const at = scratch(t);
  await at.start();
  rmSync(at.inbox, { recursive: true });
  at.look();
  mkdirSync(at.inbox);
  writeFileSync(join(at.inbox, 'x.documents'), 'late\r\n\n');
  await at.lookUntil(() => at.taken.length > 0, 'it is found');
  t.deepEqual(at.taken, ['late']);
});

test('links, pipes, directories and giants are told of once, not followed, and hold nothing up', async t => {
  const at = scratch(t);
  mkdirSync(at.inbox);
  const secret = join(at.stateDir, 'secret');
  writeFileSync(secret, 'a secret\n');
  symlinkSync(secret, join(at.inbox, '1-link.documents'));
  symlinkSync('/dev/zero', join(at.inbox, '2-device.documents'));
  execFileSync('mkfifo', [join(at.inbox, '3-pipe.documents')]);
  mkdirSync(join(at.inbox, '4-directory.documents'));
  writeFileSync(join(at.inbox, '5-giant.documents'), Buffer.alloc(4 * 1024 * 1024 + 1, 'x'));
  writeFileSync(join(at.inbox, '6-good.documents'), 'good\n');
  writeFileSync(join(at.inbox, 'README'), 'not for the server');
  await at.start();
  t.deepEqual(at.taken, ['good']);
  for (let count = 0; count < 5; count++) {
    at.look();
    t.deepEqual(await putIntoInbox(at.stateDir, [`more ${count}`], 10_000), [undefined]);
  }
  const told = at.logged.filter(({ level }) => level >= 50).map(({ name }) => name);
  const bad = ['1-link', '2-device', '3-pipe', '4-directory', '5-giant'].map(name => `${name}.documents`);
  t.deepEqual(told, bad);
  t.deepEqual(readdirSync(at.inbox).sort(), [...bad, '6-good.outcome', 'README'].sort());
});

test('an inbox that is no directory does not end the server', async t => {
  const at = scratch(t);
  await at.start();
  rmSync(at.inbox, { recursive: true });
  writeFileSync(at.inbox, '');
  await at.lookUntil(() => at.logged.some(({ level }) => level >= 50), 'it is told');
  rmSync(at.inbox);
  t.is(await putIntoInbox(at.stateDir, ['after'], 0), undefined);
  await at.lookUntil(() => at.taken.length > 0, 'it is found');
  t.is(at.logged.filter(({ level }) => level >= 50).length, 1);
});

test('outcomes that nobody fetched and leftovers of interrupted commands go after a minute', async t => {
  const at = scratch(t);
  mkdirSync(at.inbox);
  const names = ['a.outcome', 'b.unfinished', 'c.documents.0123.tmp', 'd.other'];
  for (const name of names) writeFileSync(join(at.inbox, name), 'ok\n');
  await at.start();
  t.deepEqual(readdirSync(at.inbox).sort(), names);
  const old = (at.clock.wallTimeMs() - 61_000) / 1000;
  for (const name of names) utimesSync(join(at.inbox, name), old, old);
  await at.lookUntil(() => readdirSync(at.inbox).length === 1, 'they are gone');
  t.deepEqual(readdirSync(at.inbox), ['d.other']);
});

test('what root puts in belongs to the user that the server runs as', async t => {
  if (process.getuid?.() !== 0) {
    t.log('not root: nothing to hand over');
    t.pass();
    return;
  }
  const at = scratch(t);
  chownSync(at.stateDir, 1234, 1234);
  await putIntoInbox(at.stateDir, ['one'], 0);
  const [name = ''] = readdirSync(at.inbox);
  for (const path of [at.inbox, join(at.inbox, name)]) {
    const { uid, gid, mode } = statSync(path);
    t.deepEqual([uid, gid, mode & 0o077], [1234, 1234, 0]);
  }
});

test('stop waits for the file at hand and takes no other', async t => {
  const at = scratch(t);
  mkdirSync(at.inbox);
  const stop = await at.start();
  writeFileSync(join(at.inbox, 'x.documents'), 'x\n');
  await stop();
  at.look();
  t.true(at.taken.length === 0 || !existsSync(join(at.inbox, 'x.documents')));
});
