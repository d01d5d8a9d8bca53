import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { fakeClock } from './clock.ts';
import { silentLog } from './log.ts';
import { StatusFile } from './status-file.ts';

function made(t: ExecutionContext, below = '') {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-status-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'status.json'), 'of a program before');
  const file = join(folder, 'status.json', below);
  const clock = fakeClock();
  const now: { status: { readonly name: string } | undefined; reads: number } = {
    status: undefined,
    reads: 0,
  };
  const read = () => {
    now.reads++;
    return now.status;
  };
  return { file, clock, now, written: new StatusFile(file, read, clock, silentLog()) };
}

const named = (name: string) => ({ name });
const nameIn = (path: string) => (JSON.parse(readFileSync(path, 'utf8')) as { name: string }).name;

test('what a program before has left is gone, and there is none before there is a status', t => {
  const { file, clock, written } = made(t);
  t.false(existsSync(file));
  written.start();
  clock.advance(10_000);
  t.false(existsSync(file));
});

test('it is at most 2 s old, written anew only for news and every 20 s, and private', t => {
  const { file, clock, now, written } = made(t);
  written.start();
  now.status = named('one');
  clock.advance(2000);
  t.is(nameIn(file), 'one');
  t.is(statSync(file).mode & 0o777, 0o600);
  const { ino } = statSync(file);
  clock.advance(18_000);
  t.is(statSync(file).ino, ino, 'the same file still');
  clock.advance(2000);
  t.not(statSync(file).ino, ino, 'replaced as a whole');
  now.status = named('two');
  clock.advance(2000);
  t.is(nameIn(file), 'two');
  now.status = named('three');
  written.look();
  t.is(nameIn(file), 'three', 'at once, when told to');
});

test('at the end it is taken away, and nothing is looked at any more', t => {
  const { file, clock, now, written } = made(t);
  written.start();
  now.status = named('one');
  clock.advance(2000);
  written.close();
  t.false(existsSync(file));
  const { reads } = now;
  clock.advance(60_000);
  t.is(now.reads, reads);
});

test('where it cannot be written the mediator goes on', t => {
  const { clock, now, written } = made(t, 'a-file-is-no-folder');
  written.start();
  now.status = named('one');
  t.notThrows(() => clock.advance(60_000));
  written.close();
});
