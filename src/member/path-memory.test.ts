import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type RememberedPath, readRememberedPath, writeRememberedPath } from './path-memory.ts';

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'entremise-path-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const learned: RememberedPath = {
  path: 'wan 100.64.0.1 as 203.0.113.2 to 203.0.113.9:8443',
  knowledge: { origin: 'learned', keepaliveMs: 94_400, heldMs: 118_000, expiredMs: 178_000, atMs: 1 },
};

test('what was learned comes back as it was kept (P8.3), and nothing else is left in the folder', t => {
  const path = folder(t);
  t.is(readRememberedPath(path), undefined);
  writeRememberedPath(path, learned);
  t.deepEqual(readRememberedPath(path), learned);
  const cap: RememberedPath = {
    path: 'x',
    knowledge: { origin: 'halved', keepaliveMs: 47_200, atMs: 2 },
  };
  writeRememberedPath(path, cap);
  t.deepEqual(readRememberedPath(path), cap);
  t.deepEqual(readdirSync(path), ['path.json']);
  t.is(statSync(join(path, 'path.json')).mode & 0o077, 0);
});

test('what is damaged, foreign or senseless is as nothing: it is learned again', t => {
  const path = folder(t);
  const file = join(path, 'path.json');
  const { knowledge } = learned;
  const texts = [
    '',
    '{',
    'null',
    '{"path":"x"}',
    JSON.stringify({ ...learned, knowledge: { ...knowledge, origin: 'guessed' } }),
    JSON.stringify({ ...learned, knowledge: { ...knowledge, keepaliveMs: 0 } }),
    JSON.stringify({ ...learned, knowledge: { ...knowledge, keepaliveMs: 10 ** 9 } }),
    JSON.stringify({ ...learned, knowledge: { ...knowledge, atMs: '1' } }),
  ];
  for (const text of texts) {
    writeFileSync(file, text);
    chmodSync(file, 0o600);
    t.is(readRememberedPath(path), undefined, text);
  }
});
