import { randomBytes } from 'node:crypto';
import test from 'ava';
import { fakeClock } from '../base/clock.ts';
import { deferred } from '../base/deferred.ts';
import { EntremiseError, errorNumber } from '../base/errors.ts';
import { generateSigningKey } from '../base/keys.ts';
import { silentLog } from '../base/log.ts';
import { type MemoryTransport, memoryPair } from '../transport/memory.ts';
import type { Transport } from '../transport/transport.ts';
import { frameBody } from '../wire/frame.ts';
import { hello } from '../wire/messages/link.ts';
import { frameType } from '../wire/spec.ts';
import { Member } from './member.ts';
import { type RawPeer, rawServer, settled } from './testing/raw-peer.ts';

const signer = generateSigningKey();

/** A member and the servers that it has reached, newest last. */
function makeMember(random = () => 1) {
  const clock = fakeClock();
  const servers: RawPeer[] = [];
  const transports: MemoryTransport[] = [];
  const told: string[] = [];
  const asked: (string | undefined)[] = [];
  const state = {
    reachable: true,
    tries: 0,
    connecting: undefined as Promise<void> | undefined,
    cause: undefined as unknown,
  };
  async function connect(hinted: string | undefined): Promise<Transport> {
    state.tries++;
    asked.push(hinted);
    await state.connecting;
    if (!state.reachable) throw new EntremiseError('server-unreachable', { cause: state.cause });
    const { client, server } = memoryPair();
    servers.push(rawServer(server));
    transports.push(client);
    return client;
  }
  const identity = { role: 'terminal', signer, instance: randomBytes(16), software: 'test' } as const;
  const member = new Member(
    {
      connect,
      identity: { ...identity, capabilities: [] },
      clock,
      log: silentLog(),
      keepaliveMs: () => 25_000,
      random,
    },
    {
      onAttach: () => {},
      onAttached: () => {},
      onPresence: () => {},
      onStatement: () => {},
      onService: () => {},
      onOnline: () => told.push('online'),
      onOffline: (error, retryInMs) => told.push(`${error.code}, again in ${retryInMs}`),
    },
  );
  const server = () => {
    const newest = servers.at(-1);
    if (newest === undefined) throw new Error('the member has reached no server');
    return newest;
  };
  return { clock, member, servers, server, transports, told, asked, state };
}

async function pass(clock: { advance(ms: number): void }, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 1000) {
    clock.advance(Math.min(left, 1000));
    await settled();
  }
}

test('a link that was good for 10 s is replaced within 0.5 s when it is lost', async t => {
  const { clock, member, servers, server, told } = makeMember();
  member.start();
  await settled();
  t.true(member.link?.driver.live);
  await pass(clock, 10_000);
  server().transport.destroy();
  await settled();
  t.deepEqual(told, ['online', 'link-lost, again in 500']);
  clock.advance(500);
  await settled();
  t.deepEqual(told.slice(2), ['online']);
  t.is(servers.length, 2);
  member.stop();
});

test('a link that was lost before that is replaced within 1 s', async t => {
  const { clock, member, server, told } = makeMember();
  member.start();
  await settled();
  await pass(clock, 9_999);
  server().transport.destroy();
  await settled();
  t.deepEqual(told, ['online', 'link-lost, again in 1000']);
  t.is(member.link, undefined);
  member.stop();
});

test('tries go on with a span that doubles up to 60 s', async t => {
  const { clock, member, told, state } = makeMember();
  state.reachable = false;
  member.start();
  await settled();
  for (let count = 0; count < 9; count++) await pass(clock, Number(told.at(-1)?.split(' ').at(-1)));
  t.deepEqual(
    told.map(text => Number(text.split(' ').at(-1))),
    [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000, 60_000],
  );
  t.true(told.every(text => text.startsWith('server-unreachable')));
  state.reachable = true;
  await pass(clock, 60_000);
  t.is(told.at(-1), 'online');
  member.stop();
});

test('a link that is up and lost again and again is replaced within 1 s three times, then within 4 s at the longest', async t => {
  const { clock, member, server, told } = makeMember();
  member.start();
  for (let loss = 0; loss < 7; loss++) {
    await settled();
    server().transport.destroy();
    await settled();
    await pass(clock, 4_000);
  }
  const waits = told.filter(line => line !== 'online').map(line => Number(line.split(' ').at(-1)));
  t.deepEqual(waits, [1_000, 1_000, 1_000, 2_000, 4_000, 4_000, 4_000]);
});

test('WELCOME proves the server: what an outage had taught is forgotten with it', async t => {
  const { clock, member, server, told, state } = makeMember();
  state.reachable = false;
  member.start();
  await settled();
  await pass(clock, 1_000 + 2_000 + 4_000);
  t.is(told.at(-1), 'server-unreachable, again in 8000');
  state.reachable = true;
  await pass(clock, 8_000);
  server().transport.destroy();
  await settled();
  t.is(told.at(-1), 'link-lost, again in 1000');
  member.stop();
});

test('P1.10: a server that sends away from one young link after the other is asked ever less often', async t => {
  const { clock, member, server, told } = makeMember();
  member.start();
  const waits: number[] = [];
  for (let count = 0; count < 8; count++) {
    await settled();
    server().leave(errorNumber('protocol-error'));
    await settled();
    waits.push(Number(told.at(-1)?.split(' ').at(-1)));
    await pass(clock, waits.at(-1) ?? 0);
  }
  t.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
});

test('the wait is anything within the span, so that a fleet does not come back in step', async t => {
  const numbers = [0.5, 0, 0.25];
  const { clock, member, told, state } = makeMember(() => numbers.shift() ?? 1);
  state.reachable = false;
  member.start();
  await settled();
  await pass(clock, 500);
  clock.advance(0);
  await settled();
  t.deepEqual(
    told.map(text => Number(text.split(' ').at(-1))),
    [500, 0, 1_000],
  );
  member.stop();
});

test('after a good link the span begins anew', async t => {
  const { clock, member, server, told, state } = makeMember();
  state.reachable = false;
  member.start();
  await settled();
  await pass(clock, 1_000 + 2_000 + 4_000);
  state.reachable = true;
  await pass(clock, 8_000);
  t.is(told.at(-1), 'online');
  await pass(clock, 20_000);
  state.reachable = false;
  server().transport.destroy();
  await settled();
  clock.advance(500);
  await settled();
  t.deepEqual(told.slice(-2), ['link-lost, again in 500', 'server-unreachable, again in 1000']);
  member.stop();
});

test('P1.10: a GOAWAY is told with its code, and its afterMs is waited for', async t => {
  const { clock, member, server, servers, told } = makeMember();
  member.start();
  await settled();
  await pass(clock, 20_000);
  server().leave(errorNumber('duplicate-identity'), { afterMs: 60_000 });
  await settled();
  t.deepEqual(told, ['online', 'duplicate-identity, again in 60000']);
  await pass(clock, 59_999);
  t.is(servers.length, 1);
  clock.advance(1);
  await settled();
  t.is(servers.length, 2);
  member.stop();
});

test('P4.1: linkNo rises with every link, the instance stays', async t => {
  const { clock, member, servers, server } = makeMember(() => 0);
  member.start();
  await settled();
  for (let count = 0; count < 2; count++) {
    server().transport.destroy();
    await settled();
    clock.advance(0);
    await settled();
  }
  const hellos = servers.map(({ frames }) => hello.fromBytes(frameBody(at(frames))));
  t.deepEqual(
    hellos.map(({ linkNo }) => linkNo),
    [1, 2, 3],
  );
  t.is(new Set(hellos.map(({ instance }) => Buffer.from(instance).toString('hex'))).size, 1);
  member.stop();
});

function at<T>(list: readonly T[], index = 0): T {
  const found = list[index];
  if (found === undefined) throw new Error(`there is no ${index}`);
  return found;
}

test('retryNow ends a wait, and does nothing while a link is up or a try is under way', async t => {
  const { clock, member, state, told } = makeMember();
  state.reachable = false;
  member.retryNow();
  t.is(state.tries, 0);
  member.start();
  member.retryNow();
  await settled();
  t.is(state.tries, 1);
  member.retryNow();
  member.retryNow();
  await settled();
  t.is(state.tries, 2);
  state.reachable = true;
  member.retryNow();
  await settled();
  t.is(told.at(-1), 'online');
  member.retryNow();
  await pass(clock, 120_000);
  t.is(state.tries, 3);
  member.stop();
});

test('stop says GOAWAY and ends it all: no more tries, whatever happens', async t => {
  const { clock, member, server, told, state } = makeMember();
  member.start();
  await settled();
  member.stop();
  member.stop();
  await settled();
  t.is(server().goawayCode, 'shutting-down');
  t.deepEqual(told, ['online', 'shutting-down, again in 0']);
  member.retryNow();
  await pass(clock, 300_000);
  t.is(state.tries, 1);
  t.is(server().got(frameType.hello).length, 1);
});

test('stop while waiting ends the wait', async t => {
  const { clock, member, state } = makeMember();
  state.reachable = false;
  member.start();
  await settled();
  member.stop();
  member.retryNow();
  await pass(clock, 300_000);
  t.is(state.tries, 1);
});

test('stop while connecting closes what then comes about', async t => {
  const { clock, member, state, transports, servers, told } = makeMember();
  const gate = deferred<void>();
  state.connecting = gate.promise;
  member.start();
  member.stop();
  gate.resolve();
  await settled();
  t.is(transports.length, 1);
  t.true(servers[0]?.closed);
  t.is(servers[0]?.frames.length, 0);
  await pass(clock, 300_000);
  t.is(state.tries, 1);
  t.false(told.includes('online'));
});

test('P1.10: the server that a GOAWAY names is tried next, at once, and only then', async t => {
  const { clock, member, server, asked, told, state } = makeMember();
  member.start();
  await settled();
  await pass(clock, 20_000);
  server().leave(errorNumber('shutting-down'), { server: 'other.example:8443' });
  state.reachable = false;
  await settled();
  t.is(told.at(-1), 'shutting-down, again in 0');
  clock.advance(0);
  await settled();
  await pass(clock, 1_000);
  t.deepEqual(asked, [undefined, 'other.example:8443', undefined]);
  member.stop();
});

test('P1.10: retryNow does not come before the time that a GOAWAY has set', async t => {
  const { clock, member, server, state } = makeMember();
  member.start();
  await settled();
  server().leave(errorNumber('duplicate-identity'), { afterMs: 60_000 });
  await settled();
  await pass(clock, 59_000);
  member.retryNow();
  await settled();
  t.is(state.tries, 1);
  await pass(clock, 1_000);
  t.is(state.tries, 2);
  member.stop();
});

test('while this machine has no way to anywhere it tries every 2 s at the most, however long that lasts', async t => {
  const { clock, member, told, state } = makeMember();
  state.reachable = false;
  state.cause = Object.assign(new Error('no route'), { code: 'ENETUNREACH' });
  member.start();
  await settled();
  await pass(clock, 3_600_000);
  const waits = told.map(line => Number(line.split(' ').at(-1)));
  t.is(waits[0], 1_000);
  t.is(Math.max(...waits), 2_000);
  state.reachable = true;
  await pass(clock, 2_000);
  t.is(told.at(-1), 'online');
  member.stop();
});

test('a server that refuses is asked within 1 s, and once an outage lasts within a tenth of it', async t => {
  const { clock, member, server, told, state } = makeMember();
  member.start();
  await settled();
  await pass(clock, 20_000);
  state.reachable = false;
  state.cause = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
  server().transport.destroy();
  await settled();
  const lastWait = () => Number(told.at(-1)?.split(' ').at(-1));
  await pass(clock, 10_000);
  t.is(lastWait(), 1_000);
  await pass(clock, 290_000);
  t.true(lastWait() > 20_000 && lastWait() <= 30_000, `${told.at(-1)}`);
  t.true(told.length < 60, `${told.length} tries in 5 minutes`);
  await pass(clock, 3_600_000);
  t.is(lastWait(), 60_000);
  state.reachable = true;
  await pass(clock, 60_000);
  t.is(told.at(-1), 'online');
  member.stop();
});
