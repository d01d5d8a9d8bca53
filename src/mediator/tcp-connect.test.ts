import test from 'ava';
import { fakeClock } from '../base/clock.ts';
import { until } from '../native/test-sockets.ts';
import { canonicalAddress } from '../policy/target.ts';
import { deafDevice, device, dialIn } from './testing/devices.ts';
import { attached, budgetsAreWhole, playing } from './testing/set-up.ts';

test('P3.4: OPEN, CONNECT and the first bytes go in one flight', async t => {
  const { terminal } = await attached(t);
  const echo = await playing(t, socket => socket.pipe(socket));
  const open = terminal.open();
  const { stream, result } = terminal.connect({ portOf: 1 }, echo.number);
  stream.stream.send(Buffer.from('early'));
  await stream.got(5);
  t.is(stream.text, 'early');
  t.is((await open).code, 'ok');
  const answer = await result;
  t.deepEqual([answer.code, answer.address, answer.number], ['ok', '127.0.0.1', echo.number]);
});

test('P5.2: a refused CONNECT leaves the port opened with its number, and it can connect again', async t => {
  const { rig, terminal } = await attached(t);
  const gone = await device();
  gone.close();
  const opened = await terminal.open();
  const port = opened.port ?? 0;
  const failed = terminal.connect({ port }, gone.number);
  const answer = await failed.result;
  t.is(answer.code, 'refused');
  t.regex(answer.message ?? '', /127\.0\.0\.1 port \d+ refused the connection/);
  await failed.stream.heard('reset refused');
  const listing = await terminal.command({ verb: 'query', what: 'ports' });
  t.like(listing.ports?.[0], { port, state: 'opened', number: opened.number, streams: 0 });
  const echo = await playing(t, socket => socket.pipe(socket));
  const { stream, result } = terminal.connect({ port }, echo.number);
  t.is((await result).code, 'ok');
  t.is((await echo.next()).remotePort, opened.number);
  stream.stream.abort('aborted');
  await until('budgets are whole', () => budgetsAreWhole(rig));
});

test('P5.2: a target that does not answer is `timed-out` after 10 s, and the number is kept', async t => {
  const clock = fakeClock();
  const { terminal, rig } = await attached(t, { clock });
  const deaf = await deafDevice();
  t.teardown(() => deaf.close());
  const opened = await terminal.open();
  const port = opened.port ?? 0;
  const { result, stream } = terminal.connect({ port }, deaf.number);
  await until('it is connecting', () => rig.lines.at(-1)?.number === deaf.number);
  clock.advance(9_999);
  t.is((await terminal.listen(port)).code, 'wrong-state');
  clock.advance(1);
  const answer = await result;
  t.is(answer.code, 'timed-out');
  t.regex(answer.message ?? '', /did not answer within 10 s/);
  await stream.heard('reset timed-out');
  t.is((await terminal.listen(port)).code, 'ok');
  await dialIn(opened.number ?? 0);
});

test('CLOSE while connecting ends both commands, and frees the number', async t => {
  const { terminal, rig } = await attached(t);
  const deaf = await deafDevice();
  t.teardown(() => deaf.close());
  const opened = await terminal.open();
  const { result, stream } = terminal.connect({ port: opened.port ?? 0 }, deaf.number);
  await until('it is connecting', () => rig.lines.at(-1)?.number === deaf.number);
  t.is((await terminal.close(opened.port ?? 0)).code, 'ok');
  t.is((await result).code, 'port-closed');
  await stream.heard('reset port-closed');
  t.is((await terminal.open({ number: opened.number ?? 0, choice: 'mandatory' })).code, 'ok');
});

test('a stream that the terminal aborts while it connects leaves the port opened', async t => {
  const { terminal, rig } = await attached(t);
  const deaf = await deafDevice();
  t.teardown(() => deaf.close());
  const opened = await terminal.open();
  const port = opened.port ?? 0;
  const { result, stream } = terminal.connect({ port }, deaf.number);
  await until('it is connecting', () => rig.lines.at(-1)?.number === deaf.number);
  stream.stream.abort('aborted');
  t.is((await result).code, 'aborted');
  t.is((await terminal.listen(port)).code, 'ok');
  await until('budgets are whole', () => budgetsAreWhole(rig));
});

test('P5.2: a name without an address, or with none of the family of the port, is told so', async t => {
  const { rig, terminal } = await attached(t);
  const opened = await terminal.open();
  const port = opened.port ?? 0;
  t.is((await terminal.connect({ port }, 80, { name: 'nobody.lan' }).result).code, 'no-such-name');
  rig.names.set('v6.lan', [canonicalAddress('::1')]);
  const answer = await terminal.connect({ port }, 8080, { name: 'v6.lan' }).result;
  t.is(answer.code, 'unreachable');
  t.regex(answer.message ?? '', /v6\.lan has no IPv4 address and the port is IPv4; OPEN one of family IPv6/);
});

test('P5.2: a name is resolved on the mediator, each address asked about, and that very one connected to', async t => {
  const { rig, terminal } = await attached(t);
  const echo = await playing(t, socket => socket.pipe(socket));
  rig.names.set('printer.lan', [canonicalAddress('198.51.100.1'), canonicalAddress('127.0.0.1')]);
  const opened = await terminal.open();
  const { result } = terminal.connect({ port: opened.port ?? 0 }, echo.number, { name: 'Printer.LAN.' });
  const answer = await result;
  t.deepEqual([answer.code, answer.address], ['ok', '127.0.0.1']);
  const lines = rig.lines.filter(line => line.verb === 'connect');
  t.deepEqual(
    lines.map(({ name, address, decision }) => [name, address, decision]),
    [
      ['printer.lan', undefined, 'allowed'],
      ['printer.lan', '198.51.100.1', 'denied'],
      ['printer.lan', '127.0.0.1', 'allowed'],
    ],
  );
});

test('a number is free again at once after an active close', async t => {
  const { terminal } = await attached(t);
  const echo = await playing(t, socket => socket.on('end', () => socket.end()));
  const { stream, localNumber } = await terminal.connected(echo.number);
  stream.stream.finish();
  await stream.heard('finished');
  const again = await terminal.open({ number: localNumber, choice: 'mandatory' });
  t.is(again.code, 'ok');
});
