import { once } from 'node:events';
import { connect } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { fakeClock } from '../../base/clock.ts';
import { type Door, door, statuses } from '../testing/http-lab.ts';
import { until } from '../testing/test-operator.ts';
import { defaultHttpLimits } from './http-deadlines.ts';

/** Who is slow over HTTP, or never ends, loses the place that others need. */

/** Begins a request and goes on only where told. */
async function begin(t: ExecutionContext, { port }: Door, bytes: string) {
  const socket = connect({ host: '127.0.0.1', port, ALPNProtocols: ['http/1.1'], rejectUnauthorized: false });
  t.teardown(() => socket.destroy());
  const slow = { heard: '', closed: false, socket };
  socket.on('data', piece => (slow.heard += piece.toString('latin1'))).on('error', () => {});
  socket.once('close', () => (slow.closed = true));
  await once(socket, 'secureConnect');
  socket.write(bytes);
  return slow;
}

/** A place is free once the server, too, knows that the connection on it is closed. */
function untilPlace({ ask }: Door, request: string): Promise<void> {
  const isServed = () =>
    ask(request).then(
      answer => statuses(answer).join() === '200',
      () => false,
    );
  return until(isServed, 'there is a place');
}

const authorised = (token: string, line: string, more = '') =>
  `${line} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n${more}\r\n`;

const healthz = 'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
const few = { maxUnauthenticated: 2, maxUnauthenticatedPerSource: 2 };

test('headers that come too slowly end the connection, and its place is another’s', async t => {
  const limits = { ...defaultHttpLimits, headersMs: 100, lookEveryMs: 50 };
  const made = await door(t, { limits, accept: few });
  const slow = [await begin(t, made, 'GET /healthz HTTP/1.1\r\nX-A'), await begin(t, made, '')];
  await until(() => slow.every(({ closed }) => closed), 'both are closed');
  await t.notThrowsAsync(untilPlace(made, healthz));
});

test('who shows no good token in time is cut off, however busy with what wants none', async t => {
  const clock = fakeClock(Date.now());
  const made = await door(t, { clock, accept: few });
  const busy = await begin(t, made, healthz.replace('Connection: close\r\n', ''));
  const bodied = await begin(t, made, 'POST /v1/things HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n');
  await until(() => statuses(busy.heard).length === 1 && bodied.closed, 'one is answered, one refused');
  t.deepEqual(statuses(bodied.heard), ['401']);
  await untilPlace(made, healthz);
  const member = await begin(t, made, authorised(made.good, 'GET /v1/things/x'));
  await until(() => statuses(member.heard).length === 1, 'a good token comes');
  clock.advance(defaultHttpLimits.strangerMs);
  await until(() => busy.closed, 'the stranger is cut off');
  t.false(member.closed);
});

test('a body that does not come in time is 408, and makes nothing; one that nobody wants is not waited for', async t => {
  const clock = fakeClock(Date.now());
  const made = await door(t, { clock, limits: { ...defaultHttpLimits, requestsPerToken: 2 } });
  const json = 'Content-Type: application/json\r\nContent-Length: 7\r\n';
  const post = `${authorised(made.good, 'POST /v1/things', json)}{"a`;
  const slow = [await begin(t, made, post), await begin(t, made, post)];
  const third = authorised(made.good, 'GET /v1/things/x', 'Connection: close\r\n');
  // Until both have come the third is served.
  await until(async () => statuses(await made.ask(third)).join() === '429', 'the token has no more requests');
  clock.advance(defaultHttpLimits.bodyMs);
  await until(() => slow.every(({ closed }) => closed), 'both are closed');
  t.deepEqual(
    slow.flatMap(({ heard }) => statuses(heard)),
    ['408', '408'],
  );
  t.false(made.reached.includes('{"a":1}'));
  t.deepEqual(statuses(await made.ask(third)), ['200']);
  const endless = 'Content-Type: text/csv\r\nTransfer-Encoding: chunked\r\n';
  const unwanted = await begin(t, made, `${authorised(made.good, 'POST /v1/things', endless)}3\r\nabc\r\n`);
  await until(() => unwanted.closed, 'it is closed');
  t.deepEqual(statuses(unwanted.heard), ['415']);
});
