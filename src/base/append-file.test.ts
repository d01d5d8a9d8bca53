import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { AppendFile } from './append-file.ts';

function scratch(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-append-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function opened(t: ExecutionContext, path: string): AppendFile {
  const file = new AppendFile(path, 'server');
  t.teardown(() => file.reopen());
  return file;
}

test('a line is in the file when append returns, and nobody else may read it', t => {
  const path = join(scratch(t), 'deep', 'audit.jsonl');
  const file = opened(t, path);
  file.append({ name: 'evil\n{"allowed":true}\u2028' });
  t.is(readFileSync(path, 'utf8').split('\n').length, 2);
  t.is(statSync(path).mode & 0o777, 0o600);
  t.is(statSync(join(path, '..')).mode & 0o777, 0o700);
});

test('a failure says which file, why, and who refuses', t => {
  const folder = scratch(t);
  const error = t.throws(() => opened(t, folder).append({}), {
    code: 'audit-unavailable',
    message: /EISDIR/,
  });
  t.true(error?.message.includes(folder));
  t.like(error, { by: 'server' });
});

test('a file that cannot be opened is tried again with the next line', t => {
  const folder = scratch(t);
  const path = join(folder, 'place', 'audit.jsonl');
  const blocker = opened(t, join(folder, 'place'));
  blocker.append({});
  const file = opened(t, path);
  t.throws(() => file.append({ line: 1 }), { code: 'audit-unavailable' });
  renameSync(join(folder, 'place'), join(folder, 'aside'));
  file.append({ line: 2 });
  t.is(readFileSync(path, 'utf8'), '{"line":2}\n');
});

/** Appends in a process whose files may not grow beyond 1 KiB, as on a disk that gets full in the middle of a line. */
function appendWithin1KiB(path: string): string[] {
  const module = new URL('./append-file.js', import.meta.url).href;
  const program = `
    process.on('SIGXFSZ', () => {});
    const { AppendFile } = await import(${JSON.stringify(module)});
    const { truncateSync } = await import('node:fs');
    const file = new AppendFile(${JSON.stringify(path)});
    const told = [];
    const tell = line => { try { file.append(line); told.push('ok'); } catch (thrown) { told.push(thrown.code); } };
    tell({ first: 1 });
    tell({ long: 'x'.repeat(1100) });
    tell({ again: 2 });
    truncateSync(${JSON.stringify(path)}, 100);
    tell({ last: 3 });
    console.log(told.join(' '));`;
  const script = 'ulimit -f 1; exec "$0" --input-type=module -e "$1"';
  const printed = execFileSync('bash', ['-c', script, process.execPath, program], { encoding: 'utf8' });
  return printed.trim().split(' ');
}

test('a line of which a full disk took one half spoils no other line', t => {
  const path = join(scratch(t), 'audit.jsonl');
  t.deepEqual(appendWithin1KiB(path), ['ok', 'audit-unavailable', 'audit-unavailable', 'ok']);
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  t.is(lines.length, 3);
  t.is(lines[0], '{"first":1}');
  t.is(lines[2], '{"last":3}');
});

test('after reopen lines go to a new file', t => {
  const path = join(scratch(t), 'audit.jsonl');
  const file = opened(t, path);
  file.append({ line: 1 });
  renameSync(path, `${path}.1`);
  file.append({ line: 2 });
  t.false(existsSync(path));
  file.reopen();
  file.append({ line: 3 });
  t.is(readFileSync(`${path}.1`, 'utf8'), '{"line":1}\n{"line":2}\n');
  t.is(readFileSync(path, 'utf8'), '{"line":3}\n');
  truncateSync(path, 0);
  file.append({ line: 4 });
  t.is(readFileSync(path, 'utf8'), '{"line":4}\n');
});

test('a file that is full makes way for the next and stays beside it, and no line is lost or cut', t => {
  const path = join(scratch(t), 'audit.jsonl');
  const file = new AppendFile(path, 'mediator', 100);
  t.teardown(() => file.reopen());
  const linesOf = (name: string) => readFileSync(name, 'utf8').trimEnd().split('\n');
  for (let line = 0; line < 4; line++) file.append({ line, text: 'x'.repeat(20) });
  t.deepEqual([linesOf(`${path}.1`).length, linesOf(path).length], [2, 2]);
  file.reopen();
  file.append({ line: 4, text: 'y'.repeat(200) });
  t.is(linesOf(`${path}.1`).length, 2);
  t.regex(linesOf(path)[0] ?? '', /"line":4/, 'one that is longer than the bound is written all the same');
  t.true(statSync(path).size > 200);
});
