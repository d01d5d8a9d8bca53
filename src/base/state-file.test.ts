import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { EntremiseError } from './errors.ts';
import {
  createPrivateFile,
  readPrivateFile,
  readStateFile,
  readStateFileIfPresent,
  writePrivateFile,
} from './state-file.ts';

function scratch(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'entremise-state-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

function refused(t: ExecutionContext, run: () => unknown, message: RegExp): void {
  const error = t.throws(run, { instanceOf: EntremiseError, message });
  t.is(error?.code, 'state-unreadable');
}

const modeOf = (path: string) => statSync(path).mode & 0o777;

test('a written file is 0600 and the directories made for it are 0700', t => {
  const path = join(scratch(t), 'made', 'deep', 'state.json');
  writePrivateFile(path, 'one');
  t.is(modeOf(path), 0o600);
  t.is(modeOf(join(path, '..')), 0o700);
  t.is(modeOf(join(path, '..', '..')), 0o700);
});

test('writing again replaces the whole file and leaves no temporary file', t => {
  const directory = scratch(t);
  const path = join(directory, 'state');
  writePrivateFile(path, 'a longer first version');
  writePrivateFile(path, Buffer.from('second'));
  t.is(readStateFile(path).toString(), 'second');
  t.deepEqual(readdirSync(directory), ['state']);
});

test('replacing a file that others could read makes it private', t => {
  const path = join(scratch(t), 'state');
  writeFileSync(path, 'open', { mode: 0o644 });
  writePrivateFile(path, 'closed');
  t.is(modeOf(path), 0o600);
});

test('a created file is never overwritten', t => {
  const directory = scratch(t);
  const path = join(directory, 'key');
  createPrivateFile(path, 'first');
  refused(t, () => createPrivateFile(path, 'second'), /key: it exists and is not overwritten/);
  t.is(readPrivateFile(path).toString(), 'first');
  t.deepEqual(readdirSync(directory), ['key']);
});

test('a failed write names the file and leaves nothing behind', t => {
  const directory = scratch(t);
  const path = join(directory, 'taken');
  mkdirSync(path);
  writeFileSync(join(path, 'inside'), '');
  refused(t, () => writePrivateFile(path, 'x'), /Cannot write .*taken/);
  t.deepEqual(readdirSync(directory), ['taken']);
});

test('an absent file is an error that says what to do, or undefined for who asks so', t => {
  const path = join(scratch(t), 'absent');
  refused(t, () => readStateFile(path), /Cannot read .*absent: it does not exist; /);
  t.is(readStateFileIfPresent(path), undefined);
});

test('a directory in the place of a file is an error for both readers', t => {
  const path = scratch(t);
  refused(t, () => readStateFile(path), /it is a directory/);
  refused(t, () => readStateFileIfPresent(path), /it is a directory/);
});

for (const mode of [0o640, 0o604, 0o620, 0o660, 0o644]) {
  test(`a secret with mode ${mode.toString(8)} is refused with the command that mends it`, t => {
    const path = join(scratch(t), 'secret.key');
    writeFileSync(path, 'secret');
    chmodSync(path, mode);
    refused(
      t,
      () => readPrivateFile(path),
      /secret\.key holds a secret but has mode 0[67]\d\d.*chmod 600 .*secret\.key/,
    );
    chmodSync(path, 0o600);
    t.is(readPrivateFile(path).toString(), 'secret');
  });
}
