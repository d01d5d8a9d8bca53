import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { MemberDirectory } from './directory.ts';

function fresh(t: ExecutionContext): MemberDirectory {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-directory-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return new MemberDirectory(join(folder, 'a', 'profile'));
}

const membership = {
  role: 'mediator',
  name: 'gw-1',
  servers: ['server.example:443'],
  serverPins: ['pin'],
  statement: 'statement',
  trust: 'trust',
} as const;

test('everything is readable by its owner alone', t => {
  const directory = fresh(t);
  directory.key();
  directory.saveMembership(membership);
  directory.saveGrant('grant-one', 'text');
  t.is(statSync(directory.path).mode & 0o777, 0o700);
  for (const name of ['member.key', 'membership.json', 'grants/grant-one.jwt'])
    t.is(statSync(join(directory.path, name)).mode & 0o777, 0o600, name);
});

test('the key is made once', t => {
  const directory = fresh(t);
  t.is(directory.key().text, directory.key().text);
});

test('a key that others could read is refused with what to do', t => {
  const directory = fresh(t);
  directory.key();
  chmodSync(join(directory.path, 'member.key'), 0o644);
  t.throws(() => directory.key(), { code: 'state-unreadable', message: /chmod 600/ });
});

test('who has not enrolled has no membership, and is told how to get one', t => {
  const directory = fresh(t);
  t.is(directory.membership(), undefined);
  t.deepEqual(directory.grants(), []);
  t.throws(() => directory.requireMembership(), { code: 'not-enrolled', message: /enrol first/ });
  directory.saveMembership(membership);
  t.deepEqual(directory.requireMembership(), membership);
});

test('of the files in grants only grants are read', t => {
  const directory = fresh(t);
  directory.saveGrant('grant-one', 'one');
  directory.saveGrant('grant-two', 'two');
  writeFileSync(join(directory.path, 'grants', 'notes.txt'), 'three');
  t.deepEqual(directory.grants(), ['one', 'two']);
});
