import { appendFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ChainedFile, chainBegin, isNextLine, readChainLine } from './chained-file.ts';

function scratch(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-chain-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'audit.jsonl');
}

/** How many lines stand in order from the beginning. */
function goodLines(text: string): number {
  let [before, count] = [chainBegin, 0];
  for (const line of text.trimEnd().split('\n')) {
    const read = readChainLine(line);
    if (read === undefined || !isNextLine(before, read)) return count;
    before = read;
    count++;
  }
  return count;
}

test('each line has its number and a hash over itself and the one before', t => {
  const path = scratch(t);
  const file = new ChainedFile(path);
  for (const name of ['a', 'b"}', 'c\n']) file.append({ name });
  const text = readFileSync(path, 'utf8');
  t.is(goodLines(text), 3);
  t.like(JSON.parse(text.split('\n')[1] ?? ''), { line: 2, name: 'b"}' });
  t.is(file.head.seq, 3);
});

test('a line that is changed, taken out, put in or moved is found', t => {
  const path = scratch(t);
  const file = new ChainedFile(path);
  for (let n = 1; n <= 5; n++) file.append({ n });
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  const spoiled = (change: (copy: string[]) => unknown) => {
    const copy = [...lines];
    change(copy);
    return goodLines(copy.join('\n'));
  };
  t.is(
    spoiled(copy => (copy[2] = copy[2]?.replace('"n":3', '"n":4') ?? '')),
    2,
  );
  t.is(
    spoiled(copy => copy.splice(1, 1)),
    1,
  );
  t.is(
    spoiled(copy => copy.splice(3, 0, copy[2] ?? '')),
    3,
  );
  t.is(
    spoiled(copy => copy.reverse()),
    0,
  );
});

test('another process goes on behind the last whole line, whatever stands torn behind it', t => {
  const path = scratch(t);
  new ChainedFile(path).append({ n: 1 });
  appendFileSync(path, '{"line":2,"n":');
  const again = new ChainedFile(path);
  t.is(again.head.seq, 1);
  again.append({ n: 2 });
  const whole = readFileSync(path, 'utf8')
    .split('\n')
    .filter(line => readChainLine(line) !== undefined);
  t.is(goodLines(whole.join('\n')), 2);
});

test('the chain goes on when the file was rotated, and a process later from the head that was published', t => {
  const path = scratch(t);
  const file = new ChainedFile(path);
  file.append({ n: 1 });
  renameSync(path, `${path}.1`);
  file.reopen();
  file.append({ n: 2 });
  t.is(goodLines(readFileSync(`${path}.1`, 'utf8') + readFileSync(path, 'utf8')), 2);
  t.like(file.publish('now'), { seq: 2 });
  t.is(file.publish('later'), undefined);
  writeFileSync(path, '');
  const later = new ChainedFile(path);
  t.deepEqual(later.head, file.head);
});
