import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const root = fileURLToPath(new URL('../../', import.meta.url));

interface Row {
  readonly requirement: string;
  readonly code: string;
  readonly test: string;
  readonly state: string;
}

function rows(): Row[] {
  const lines = readFileSync(join(root, 'docs/patent-map.md'), 'utf8').split('\n');
  return lines
    .filter(line => /^\| S\d+ \|/.test(line))
    .map(line => {
      const [, requirement = '', , , code = '', testFile = '', state = ''] = line
        .split('|')
        .map(cell => cell.trim());
      return { requirement, code: code.replaceAll('`', ''), test: testFile.replaceAll('`', ''), state };
    });
}

test('docs/patent-map.md has one row for each of S1 to S17', t => {
  t.deepEqual(
    rows().map(({ requirement }) => requirement),
    Array.from({ length: 17 }, (_none, index) => `S${index + 1}`),
  );
});

test('every row names code and a test that are there, and a state', t => {
  for (const { requirement, code, test: testFile, state } of rows()) {
    t.true(existsSync(join(root, code)), `${requirement}: ${code}`);
    t.true(existsSync(join(root, testFile)), `${requirement}: ${testFile}`);
    t.regex(state, /^(done|open: .+)$/, requirement);
  }
});

test('every test that a row names says which requirement or rule it shows', t => {
  for (const { requirement, test: testFile } of rows()) {
    const path = join(root, testFile);
    const titles = existsSync(path) ? readFileSync(path, 'utf8') : '';
    t.regex(titles, /\b(S\d+|P\d\.\d+|EVENT)\b/, `${requirement}: ${testFile}`);
  }
});
