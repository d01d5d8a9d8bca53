import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { EntremiseError } from '../../base/errors.ts';
import { silentLog } from '../../base/log.ts';
import { until } from '../../native/test-sockets.ts';
import { askMediator } from './ask.ts';
import { ControlSocket, type Controls } from './control-socket.ts';
import type { MediatorStatus } from './status.ts';

const status = { name: 'gateway' } as MediatorStatus;

function folderOf(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-control-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A socket that notes what it is asked. */
async function opened(t: ExecutionContext, changes: Partial<Controls> = {}) {
  const path = join(folderOf(t), 'control.sock');
  const calls: unknown[][] = [];
  const controls: Controls = {
    status: () => status,
    allow: (...words) => calls.push(['allow', ...words]),
    stop: () => calls.push(['stop']),
    ...changes,
  };
  const socket = new ControlSocket(path, controls, silentLog());
  t.teardown(() => socket.close());
  await until('it is open', () => statSync(path, { throwIfNoEntry: false })?.mode === 0o140600);
  return { path, socket, calls };
}

/** What comes back for these bytes. */
async function answerTo(path: string, bytes: string): Promise<string> {
  const socket = connect(path);
  socket.write(bytes);
  return text(socket);
}

test('what the owner asks for is done, and the status after it comes back', async t => {
  const { path, calls } = await opened(t);
  t.deepEqual(await askMediator(path, { verb: 'status' }), status);
  await askMediator(path, { verb: 'allow', minutes: 30 });
  await askMediator(path, { verb: 'allow', minutes: 5, purpose: 'service' });
  t.deepEqual(await askMediator(path, { verb: 'stop' }), status);
  t.deepEqual(calls, [['allow', 30, undefined], ['allow', 5, 'service'], ['stop']]);
});

test('what is no request does nothing', async t => {
  const { path, calls } = await opened(t);
  const wrong = [
    '{',
    '1',
    '{}',
    '{"verb":"open"}',
    '{"verb":"allow"}',
    '{"verb":"allow","minutes":0}',
    '{"verb":"allow","minutes":1441}',
    '{"verb":"allow","minutes":1.5}',
    '{"verb":"allow","minutes":5,"purpose":"all"}',
    '{"verb":"stop","now":true}',
  ];
  for (const line of wrong) t.regex(await answerTo(path, `${line}\n`), /"code":"bad-request"/, line);
  t.is(await answerTo(path, 'x'.repeat(10_000)), '');
  t.deepEqual(calls, []);
});

test('what fails is told with its sentence', async t => {
  const stop = () => {
    throw new EntremiseError('state-unreadable', { message: 'The disk is full.' });
  };
  const { path } = await opened(t, { stop });
  await t.throwsAsync(askMediator(path, { verb: 'stop' }), { message: 'The disk is full.' });
});

test('a socket that a killed program left is replaced, and the end leaves none', async t => {
  const { path, socket } = await opened(t);
  const second = new ControlSocket(path, { status: () => status, allow() {}, stop() {} }, silentLog());
  await until('it answers', async () => (await askMediator(path, { verb: 'status' })).name === 'gateway');
  second.close();
  socket.close();
  await until('it is gone', () => statSync(path, { throwIfNoEntry: false }) === undefined);
  await t.throwsAsync(askMediator(path, { verb: 'status' }), {
    code: 'environment-unfit',
    message: /it does not run/,
  });
});

test('whatever else lies at the path stays, and the mediator goes on without a socket', async t => {
  const path = join(folderOf(t), 'precious');
  writeFileSync(path, 'text');
  new ControlSocket(path, { status: () => status, allow() {}, stop() {} }, silentLog()).close();
  t.is(readFileSync(path, 'utf8'), 'text');
});

test('a mediator that hangs up without an answer is told as such', async t => {
  const path = join(folderOf(t), 'control.sock');
  const server = createServer(socket => socket.destroy());
  t.teardown(() => server.close());
  await new Promise<void>(resolve => server.listen(path, resolve));
  await t.throwsAsync(askMediator(path, { verb: 'status' }), { code: 'environment-unfit' });
});
