import test from 'ava';
import type { WireSighting } from '../../native/packet-capture.ts';
import { attemptPauseMs, Connections, maxConnections } from './connections.ts';

/** Connections of one port, what they told, and a hand that moves packets and time. */
function world() {
  const told: string[] = [];
  const connections = new Connections<string>((port, { kind, from, peer }) =>
    told.push(`${port} ${kind}${kind === 'fin' || kind === 'rst' ? ` by ${from}` : ''} ${peer}`),
  );
  let nowMs = 0;
  const saw = (
    kind: WireSighting['kind'],
    from: WireSighting['from'],
    sequence: number,
    peer = 'p',
    port = 'port',
  ) => {
    const numbers = { interfaceIndex: 2, sequence, acknowledgement: 0, timeMs: nowMs };
    connections.saw(port, `${port}${peer}`, { kind, from, ...numbers, local: port, peer }, nowMs);
  };
  return {
    connections,
    told,
    syn: (sequence: number, peer?: string, port?: string) => saw('syn', 'peer', sequence, peer, port),
    saw,
    claim: (peer = 'p') => connections.claim('port', `port${peer}`, peer),
    release: (peer = 'p') => connections.release(`port${peer}`),
    end: (peer = 'p') => connections.end(`port${peer}`),
    pause: (ms = attemptPauseMs) => {
      nowMs += ms;
      connections.tick(nowMs);
    },
  };
}

test('a SYN that nothing comes of is told once, whatever its sender repeats (EVENT syn)', t => {
  const { syn, pause, told } = world();
  syn(7);
  syn(7);
  t.deepEqual(told, []);
  pause();
  syn(7);
  pause(10_000);
  t.deepEqual(told, ['port syn p']);
});

test('a SYN that the gateway answers with a RST is refused, and no attempt besides (EVENT refused)', t => {
  const { syn, saw, pause, told } = world();
  syn(7);
  saw('rst', 'gateway', 0);
  pause();
  t.deepEqual(told, ['port refused p']);
  syn(8);
  saw('rst', 'gateway', 0);
  t.deepEqual(told, ['port refused p', 'port refused p']);
});

test('what a socket has is told by the socket: of its connection the wire tells the SYN alone', t => {
  const { syn, saw, claim, end, pause, told } = world();
  syn(7);
  claim();
  t.deepEqual(told, ['port syn p']);
  saw('fin', 'peer', 8);
  saw('fin', 'gateway', 1);
  end();
  saw('rst', 'peer', 9);
  pause();
  t.deepEqual(told, ['port syn p']);
});

test('a socket may be faster than the wire, and done before its SYN is seen', t => {
  const { syn, saw, claim, end, pause, told } = world();
  claim();
  end();
  t.deepEqual(told, []);
  syn(7);
  saw('rst', 'peer', 8);
  pause();
  t.deepEqual(told, ['port syn p']);
});

test('FIN and RST that were seen before their socket was there are told by the socket', t => {
  const { syn, saw, claim, pause, told } = world();
  syn(7);
  saw('fin', 'peer', 8);
  claim();
  pause();
  t.deepEqual(told, ['port syn p']);
});

test('a connection that no socket takes is told to its end, each side once (S16)', t => {
  const { syn, saw, pause, told } = world();
  syn(7);
  saw('fin', 'peer', 8);
  saw('fin', 'peer', 8);
  pause();
  saw('rst', 'gateway', 99);
  saw('rst', 'gateway', 99);
  t.deepEqual(told, ['port syn p', 'port fin by peer p', 'port rst by gateway p']);
});

test('a connection that was turned away is told as reset by the gateway', t => {
  const { syn, saw, claim, release, pause, told } = world();
  claim();
  release();
  syn(7);
  saw('rst', 'gateway', 99);
  pause();
  t.deepEqual(told, ['port syn p', 'port rst by gateway p']);
});

test('a number that is used again at once is a connection of its own', t => {
  const { syn, saw, claim, end, told } = world();
  for (const sequence of [7, 70, 700]) {
    syn(sequence);
    claim();
    saw('rst', 'peer', sequence + 1);
    end();
  }
  t.deepEqual(told, ['port syn p', 'port syn p', 'port syn p']);
});

test('who sends a SYN into a connection that a socket has is told, and takes nothing from the socket', t => {
  const { syn, saw, claim, told } = world();
  syn(7);
  claim();
  syn(70);
  saw('rst', 'peer', 71);
  t.deepEqual(told, ['port syn p', 'port syn p']);
});

test('FIN and RST of connections whose beginning was not seen are not told', t => {
  const { saw, pause, told } = world();
  saw('fin', 'peer', 8);
  saw('rst', 'gateway', 0);
  pause();
  t.deepEqual(told, []);
});

test('of a port that is gone nothing is told', t => {
  const { connections, syn, saw, pause, told } = world();
  syn(7, 'p', 'port');
  syn(7, 'p', 'other');
  connections.forget('port');
  saw('rst', 'gateway', 0);
  pause();
  t.deepEqual(told, ['other syn p']);
  t.is(connections.count, 1);
});

test('a flood is remembered up to a bound, and each SYN of it told', t => {
  const { connections, syn, pause, told } = world();
  for (let peer = 0; peer < maxConnections + 10; peer++) syn(7, `p${peer}`);
  t.is(connections.count, maxConnections);
  t.is(told.length, 10);
  pause();
  t.is(told.length, maxConnections + 10);
  t.is(connections.nextMs, undefined);
});
