import dgram from 'node:dgram';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { endianness } from 'node:os';
import test, { type ExecutionContext } from 'ava';
import { EntremiseError } from '../base/errors.ts';
import type { PlainUdpSource } from './held-number.ts';
import { listsNumber, PlainTcp, PlainUdp } from './plain-numbers.ts';
import { untilFree } from './test-sockets.ts';

const host = '127.0.0.1';

async function echo(t: ExecutionContext): Promise<number> {
  const server = net.createServer(socket => socket.pipe(socket).on('error', () => {}));
  t.teardown(() => void server.close());
  server.listen(0, host);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const little = endianness() === 'LE';
const tableOf = (...rows: readonly string[]) => ['  sl  local_address rem_address   st', ...rows].join('\n');
const row = (local: string, state: string) => `   0: ${local} 00000000:0000 ${state} 0`;
const loopback = little ? '0100007F' : '7F000001';
const other = little ? '0101A8C0' : 'C0A80101';

test("the kernel's table: a number is taken by its address and by the wildcard, and not by TIME_WAIT", t => {
  const lists = (address: string, ...rows: readonly string[]) => listsNumber(tableOf(...rows), address, 8080);
  t.true(lists(host, row(`${loopback}:1F90`, '0A')));
  t.true(lists(host, row('00000000:1F90', '0A')));
  t.false(lists(host, row(`${other}:1F90`, '0A')));
  t.true(lists('0.0.0.0', row(`${other}:1F90`, '0A')));
  t.false(lists(host, row(`${loopback}:1F91`, '0A')));
  t.false(lists(host, row(`${loopback}:1F90`, '06')));
  t.true(lists('::1', row('00000000000000000000000001000000:1F90', '0A')));
  t.false(lists(host));
});

test('a connection leaves from the number that was opened, and after a failure the number can be used again', async t => {
  const target = await echo(t);
  const number = PlainTcp.reserve(host, 0);
  const closed = PlainTcp.reserve(host, 0).port;
  const failed = await t.throwsAsync(number.connect({ host, port: closed }), { instanceOf: EntremiseError });
  t.is(failed?.code, 'refused');
  const socket = await number.connect({ host, port: target });
  t.teardown(() => void socket.destroy());
  t.is(socket.localPort, number.port);
  t.true(socket.isPaused());
  socket.write('ping');
  socket.resume();
  t.is(String((await once(socket, 'data'))[0]), 'ping');
  const again = await t.throwsAsync(number.connect({ host, port: target }), { instanceOf: EntremiseError });
  t.is(again?.code, 'wrong-state');
});

/** True when it is refused at that number. */
function isRefused(number: PlainTcp): Promise<boolean> {
  const visitor = net.connect(number.port, host);
  return new Promise(resolve => {
    visitor.once('error', error => resolve('code' in error && error.code === 'ECONNREFUSED'));
    visitor.once('connect', () => {
      visitor.destroy();
      resolve(false);
    });
  });
}

test('a number that listens is taken; taken back it is refused at, and listens again', async t => {
  const number = PlainTcp.reserve(host, 0);
  const server = net.createServer();
  await number.listen(server, 5);
  const reserve = () => PlainTcp.reserve(host, number.port);
  t.is(t.throws(reserve, { instanceOf: EntremiseError }).code, 'port-in-use');
  number.takeBack(server);
  await once(server, 'close');
  await untilFree(() => isRefused(number));
  let next = net.createServer();
  t.teardown(() => void next.close());
  await untilFree(async () => {
    next = net.createServer();
    const error = await number.listen(next, 5).catch((thrown: EntremiseError) => thrown);
    if (error !== undefined) t.is(error.code, 'port-in-use');
    return error === undefined;
  });
  t.is((next.address() as AddressInfo).port, number.port);
});

test('an address that is not of this machine is not available; a number that somebody took meanwhile is in use', async t => {
  const reserve = () => PlainTcp.reserve('192.0.2.77', 0);
  t.is(t.throws(reserve, { instanceOf: EntremiseError }).code, 'address-not-available');
  const number = PlainTcp.reserve(host, 0);
  const thief = net.createServer();
  t.teardown(() => void thief.close());
  thief.listen(number.port, host);
  await once(thief, 'listening');
  const error = await t.throwsAsync(number.listen(net.createServer(), 1), { instanceOf: EntremiseError });
  t.is(error?.code, 'port-in-use');
});

test('who gives up while it connects is told `aborted`, and the number is of no more use once it is closed', async t => {
  const number = PlainTcp.reserve(host, 0);
  const giveUp = new AbortController();
  const connecting = number.connect({ host, port: await echo(t), signal: giveUp.signal });
  giveUp.abort();
  t.is((await t.throwsAsync(connecting, { instanceOf: EntremiseError }))?.code, 'aborted');
  number.close();
  number.close();
  const late = number.connect({ host, port: 9 });
  t.is((await t.throwsAsync(late, { instanceOf: EntremiseError }))?.code, 'wrong-state');
});

test('a UDP number goes to the relay once, with where it meets groups; that of a group may be taken', async t => {
  const sources: unknown[] = [];
  const addPort = (source: number | PlainUdpSource) => sources.push(source);
  const scope = { interface: 'lo', shared: false };
  const number = PlainUdp.reserve(host, 0, scope);
  t.is(number.handTo({ addPort }, { family: 4, approve: true }), 1);
  t.deepEqual(sources, [{ address: host, port: number.port, scope }]);
  const again = () => number.handTo({ addPort }, { family: 4, approve: true });
  t.is(t.throws(again, { instanceOf: EntremiseError }).code, 'wrong-state');
  const other = dgram.createSocket('udp4');
  t.teardown(() => void other.close());
  other.bind(0);
  await once(other, 'listening');
  const group = PlainUdp.reserve('224.0.0.251', other.address().port, { interface: 'lo', shared: true });
  t.is(group.port, other.address().port);
  t.true(PlainUdp.reserve('224.0.0.251', 0, { interface: 'lo', shared: true }).port > 0);
});
