import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ConfigFile } from './config-file.ts';

function folder(t: ExecutionContext): { file: string; state: string; write(text: string): void } {
  const path = mkdtempSync(join(tmpdir(), 'entremise-config-'));
  t.teardown(() => rmSync(path, { recursive: true }));
  const file = join(path, 'config.uci');
  return { file, state: join(path, 'state'), write: text => writeFileSync(file, text) };
}

const withLevel = (level: string) => `config mediator 'main'\n\toption log_level '${level}'\n`;

test('a bad file changes nothing and is said to be bad, until it is good again', t => {
  const { file, state, write } = folder(t);
  write(withLevel('warn'));
  const config = new ConfigFile(file, state);
  t.is(config.problem, undefined);
  write(withLevel('loud'));
  t.is(config.reread().logLevel, 'warn');
  t.regex(config.problem ?? '', /config\.uci: logLevel must be one of/);
  write("config mediator 'main");
  t.is(config.reread().logLevel, 'warn');
  t.regex(config.problem ?? '', /line 1: a quotation mark has no partner/);
  rmSync(file);
  t.is(config.reread().logLevel, 'warn');
  t.regex(config.problem ?? '', /does not exist/);
  write(withLevel('error'));
  t.is(config.reread().logLevel, 'error');
  t.is(config.problem, undefined);
});

test('what starts with a bad file runs on what was good last', t => {
  const { file, state, write } = folder(t);
  write(withLevel('warn'));
  t.is(new ConfigFile(file, state).current.logLevel, 'warn');
  write(withLevel('loud'));
  const config = new ConfigFile(file, state);
  t.is(config.current.logLevel, 'warn');
  t.regex(config.problem ?? '', /loud|one of/);
});

test('a bad file of which no good one is known is an error', t => {
  const { file, state, write } = folder(t);
  write(withLevel('loud'));
  t.throws(() => new ConfigFile(file, state), { code: 'bad-config' });
});

test('flash is written only when the file is another one, and TOML has no copy', t => {
  const { file, state, write } = folder(t);
  write(withLevel('warn'));
  const config = new ConfigFile(file, state);
  const { ino } = statSync(join(state, 'last-good.uci'));
  config.reread();
  t.is(statSync(join(state, 'last-good.uci')).ino, ino);
  write(withLevel('error'));
  config.reread();
  t.not(statSync(join(state, 'last-good.uci')).ino, ino);
  const toml = join(state, 'mediator.toml');
  writeFileSync(toml, `stateDir = ${JSON.stringify(state)}\n`);
  t.is(new ConfigFile(toml).current.stateDir, state);
  t.deepEqual(readdirSync(state).sort(), ['last-good.uci', 'mediator.toml']);
});
