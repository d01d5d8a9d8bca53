import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { until } from '../native/test-sockets.ts';
import { frameBody } from '../wire/frame.ts';
import { type Report, report } from '../wire/messages/report.ts';
import { frameType } from '../wire/spec.ts';
import { askMediator } from './control/ask.ts';
import type { MediatorStatus } from './control/status.ts';
import { makeOperator, type Operator } from './testing/operator.ts';
import type { ServerDouble } from './testing/server-double.ts';

function configFile(operator: Operator, name: string, text: string): string {
  const path = join(operator.stateDir, name);
  writeFileSync(path, text);
  return path;
}

function toml(operator: Operator, text: string): string {
  return `stateDir = ${JSON.stringify(operator.stateDir)}\n${text}`;
}

function reportsOf(server: ServerDouble): Report[] {
  const frames = server.linkFrames.filter(({ type }) => type === frameType.report);
  return frames.map(frame => report.fromBytes(frameBody(frame)));
}

/** The mediator as a program of its own. */
function spawned(t: ExecutionContext, path: string, stateDir: string): ChildProcess {
  const program = `
    const { runMediator } = await import(${JSON.stringify(new URL('./run.js', import.meta.url).href)});
    const { ConfigFile } = await import(${JSON.stringify(new URL('./config-file.js', import.meta.url).href)});
    await runMediator(new ConfigFile(${JSON.stringify(path)}, ${JSON.stringify(stateDir)}), { software: 'test/1' });
    process.exitCode = 7;`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'ignore' });
  t.teardown(() => child.kill('SIGKILL'));
  return child;
}

test('the program stays while nothing happens, reads its policy on SIGHUP, and ends cleanly on SIGTERM', async t => {
  const operator = await makeOperator(t);
  const path = configFile(operator, 'mediator.toml', toml(operator, '[owner]\nhide = ["model"]\n'));
  const child = spawned(t, path, operator.stateDir);
  const exit = once(child, 'exit');
  const server = await operator.online();
  await until('the REPORT has come', () => reportsOf(server).length === 1);
  configFile(operator, 'mediator.toml', toml(operator, '[owner]\nhide = ["hostname"]\n'));
  child.kill('SIGHUP');
  await until('it has read the file', () => reportsOf(server).at(-1)?.hostname === '');
  child.kill('SIGTERM');
  t.deepEqual(await exit, [7, null]);
  await until('the server knows', () => !server.driver.live);
});

test('the owner asks the program that runs, in JSON and in words; SIGUSR2 is a stop too', async t => {
  const operator = await makeOperator(t);
  const text = toml(operator, 'logLevel = "loud"\n');
  const file = join(operator.stateDir, 'status.json');
  const path = configFile(
    operator,
    'mediator.toml',
    toml(operator, `statusFile = ${JSON.stringify(file)}\n`),
  );
  const child = spawned(t, path, operator.stateDir);
  await operator.online();
  const inFile = () => JSON.parse(readFileSync(file, 'utf8')) as MediatorStatus;
  const control = join(operator.stateDir, 'control.sock');
  const ask = (verb: 'status' | 'stop') => askMediator(control, { verb });
  await until('it answers', () =>
    ask('status').then(
      ({ link }) => link.online,
      () => false,
    ),
  );
  const { name, configuration, stopped } = await askMediator(control, { verb: 'allow', minutes: 30 });
  t.deepEqual([name, configuration, stopped], ['gateway', { path }, false]);
  const { link, recent } = await ask('status');
  t.regex(link.server ?? '', /^127\.0\.0\.1:\d+$/);
  const said = recent.map(({ what, details }) => [what, details]);
  t.deepEqual(said.at(-1), ['the owner has opened the consent window', { minutes: 30 }]);
  t.true(said.some(([what]) => what === 'online'));
  t.true((await ask('stop')).stopped);
  t.deepEqual(inFile(), await ask('status'), 'for who has no time to ask');
  t.false((await askMediator(control, { verb: 'allow', minutes: 1 })).stopped);
  child.kill('SIGUSR2');
  await until('it has stopped', async () => (await ask('status')).stopped);
  configFile(operator, 'mediator.toml', text);
  child.kill('SIGHUP');
  await until('it says what is wrong', async () =>
    /logLevel/.test((await ask('status')).configuration.problem ?? ''),
  );
});

const uci = (hostname: string, wanted: string) => `
config mediator 'main'
	option enabled '1'
	option audit_file '/dev/null'
	option log_level '${wanted}'
config owner 'all'
	list hide '${hostname}'
`;

test("a change that is not the owner's starts the mediator anew; a bad one is not taken, even by a program that starts with it", async t => {
  const operator = await makeOperator(t);
  const path = configFile(operator, 'config.uci', uci('hostname', 'warn'));
  const child = spawned(t, path, operator.stateDir);
  const exit = once(child, 'exit');
  const server = await operator.online();
  configFile(operator, 'config.uci', uci('model', 'error'));
  const anew = operator.online();
  child.kill('SIGHUP');
  const second = await anew;
  await until('the first link is over', () => !server.driver.live);
  await until('it reports anew', () => reportsOf(second).at(-1)?.hostname !== '');
  configFile(operator, 'config.uci', uci('hostname', 'loud'));
  child.kill('SIGTERM');
  t.deepEqual(await exit, [7, null]);
  const third = operator.online();
  spawned(t, path, operator.stateDir);
  await until('it runs on the last good file', () => second.driver.live === false);
  const again = await third;
  await until('it reports', () => reportsOf(again).length > 0);
  t.not(reportsOf(again).at(-1)?.hostname, '');
  t.is(readFileSync(join(operator.stateDir, 'last-good.uci'), 'utf8'), uci('model', 'error'));
});
