import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import test from 'ava';
import { makeDirectory } from './make-directory.ts';

const folder = mkdtempSync(join(tmpdir(), 'entremise-make-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

test('what is missing is made, for its owner alone; what is there is left as it is', t => {
  const path = join(folder, 'a', 'b', 'c');
  makeDirectory(path);
  makeDirectory(path, 0o755);
  makeDirectory(`${path}/`);
  t.is(statSync(path).mode & 0o777, 0o700);
  t.is(statSync(join(folder, 'a')).mode & 0o777, 0o700);
  symlinkSync(path, join(folder, 'link'));
  makeDirectory(join(folder, 'link'));
  makeDirectory(join(folder, 'link', 'd'));
  t.true(existsSync(join(path, 'd')));
});

test('where nothing can be made that is said, and not waited for: in /proc, in a file, behind a link to nothing', t => {
  writeFileSync(join(folder, 'file'), '');
  symlinkSync('/nowhere/at/all', join(folder, 'dangling'));
  const errnos = (path: string) => Reflect.get(t.throws(() => makeDirectory(path)) ?? {}, 'code');
  t.is(errnos('/proc/nothing/below'), 'ENOENT');
  t.is(errnos(join(folder, 'file')), 'EEXIST');
  t.is(errnos(join(folder, 'file', 'below')), 'ENOTDIR');
  t.is(errnos(join(folder, 'dangling', 'below')), 'ENOENT');
});

test('below a working directory that was removed it is said as well', t => {
  const gone = join(folder, 'gone');
  makeDirectory(gone);
  const script = `const { rmdirSync } = await import('node:fs');
    const { makeDirectory } = await import(${JSON.stringify(new URL('./make-directory.js', import.meta.url).href)});
    rmdirSync(process.cwd());
    try { makeDirectory('state/server'); } catch ({ code }) { console.log(code); }`;
  const words = ['--input-type=module', '-e', script];
  const said = execFileSync(process.execPath, words, { cwd: gone, encoding: 'utf8', timeout: 60_000 });
  t.is(said.trim(), 'ENOENT');
});
