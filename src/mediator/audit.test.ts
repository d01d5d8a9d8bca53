import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { AuditFile } from './audit.ts';

function scratch(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-audit-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const entry = {
  terminal: 'key',
  grant: 'jti',
  attachment: '00',
  verb: 'open',
  decision: 'allowed',
} as const;

test('a line is in the file when write returns, and it is one line whatever a name holds', t => {
  const path = join(scratch(t), 'made', 'audit.jsonl');
  const audit = new AuditFile(path, () => 0);
  t.teardown(() => audit.reopen());
  audit.write({ ...entry, name: 'evil\n{"decision":"allowed"}\u2028"' });
  audit.write(entry);
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  t.is(lines.length, 2);
  t.deepEqual(JSON.parse(lines[1] ?? ''), { time: '1970-01-01T00:00:00.000Z', ...entry });
  t.is(statSync(path).mode & 0o777, 0o600);
});

test('lines are appended to what is there, and to the new file after it was rotated', t => {
  const path = join(scratch(t), 'audit.jsonl');
  new AuditFile(path, () => 0).write(entry);
  const audit = new AuditFile(path, () => 0);
  audit.write(entry);
  renameSync(path, `${path}.1`);
  audit.reopen();
  audit.write(entry);
  audit.reopen();
  t.is(readFileSync(`${path}.1`, 'utf8').split('\n').length - 1, 2);
  t.is(readFileSync(path, 'utf8').split('\n').length - 1, 1);
});

test('a line that cannot be written is `audit-unavailable`, with the reason', t => {
  const folder = scratch(t);
  const audit = new AuditFile(folder, () => 0);
  t.throws(() => audit.write(entry), { code: 'audit-unavailable', message: /EISDIR/ });
});

test('a full disk is `audit-unavailable`, and the next line is tried anew', t => {
  if (!existsSync('/dev/full')) {
    t.pass('no /dev/full here');
    return;
  }
  const audit = new AuditFile('/dev/full', () => 0);
  for (let count = 0; count < 3; count++)
    t.throws(() => audit.write(entry), { code: 'audit-unavailable', message: /ENOSPC/ });
});
