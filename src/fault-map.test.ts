import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Every fault that a tunnel through a home's NATs is to outlive; the numbers between them were never given. */
const faults = [
  ...[1, 2, 3, 4, 5, 6, 8, 9, 12, 13, 14, 15, 17, 18, 20, 22, 24, 25, 26, 27, 28],
  ...[30, 32, 33, 34, 36, 37, 38, 40, 42],
].map(number => `F${number}`);

interface Row {
  readonly fault: string;
  /** `file: words of its title`, several of them, or nothing. */
  readonly shown: string;
  /** What of it is not shown, and why; `-` for nothing. */
  readonly missing: string;
}

function rows(): Row[] {
  const lines = readFileSync(join(root, 'docs/testbed.md'), 'utf8').split('\n');
  return lines
    .filter(line => /^\| F\d+ \|/.test(line))
    .map(line => {
      const [, fault = '', , , shown = '', missing = ''] = line.split('|').map(cell => cell.trim());
      return { fault, shown, missing };
    });
}

/** The tests that a row names. */
function testsOf({ shown }: Row): { file: string; title: string }[] {
  return [...shown.matchAll(/`([^`]+\.test\.ts)`: ([^;`]+)/g)].map(([, file = '', title = '']) => {
    return { file, title: title.trim() };
  });
}

test('docs/testbed.md has one row for each fault', t => {
  t.deepEqual(
    rows().map(({ fault }) => fault),
    faults,
  );
});

test('every row names a test, or says why there is none', t => {
  for (const row of rows()) {
    t.true(testsOf(row).length > 0 || row.missing.length > 10, row.fault);
    t.true(row.missing !== '', row.fault);
  }
});

test('every test that a row names is there, under that title', t => {
  for (const row of rows())
    for (const { file, title } of testsOf(row)) {
      const path = ['testbed/scenarios', 'testbed', 'src']
        .map(folder => join(root, folder, file))
        .find(existsSync);
      t.truthy(path, `${row.fault}: ${file}`);
      const text = path === undefined ? '' : readFileSync(path, 'utf8');
      t.true(text.includes(title), `${row.fault}: ${file} has no test with "${title}"`);
    }
});
