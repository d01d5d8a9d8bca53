import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { loopback, testAlpn, testCertificate } from './loopback.ts';
import { pinOf } from './pin.ts';
import { parseProxy } from './proxy.ts';
import { record } from './recording-handlers.ts';
import { connectTls } from './tls-client.ts';

/** A proxy that says what the test wants, and passes bytes on when that is a good answer. */
async function proxyFor(t: ExecutionContext, answer: string) {
  const heads: string[] = [];
  const server = createServer(socket => {
    socket.on('error', () => {});
    socket.once('data', piece => {
      heads.push(String(piece));
      const port = Number(/^CONNECT [^ ]*:(\d+)/.exec(String(piece))?.[1]);
      socket.write(answer);
      if (!answer.startsWith('HTTP/1.1 2')) {
        socket.end();
        return;
      }
      const onward = connect(port, '127.0.0.1');
      onward.on('error', () => {});
      socket.pipe(onward).pipe(socket);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { heads, proxy: { host: '127.0.0.1', port, credentials: 'anna:s3:cret' } };
}

const good = 'HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n';

test('RFC 9110 §9.3.6: through a proxy the server is reached, its pin compared, and bytes go both ways', async t => {
  const { listener, transports } = await loopback(t);
  const { heads, proxy } = await proxyFor(t, good);
  const { port } = listener.address;
  const expectedPins = [pinOf(testCertificate.cert)];
  const options = { host: 'server.test', port, alpn: testAlpn, expectedPins, timeoutMs: 10_000, proxy };
  const client = await connectTls(options);
  t.teardown(() => client.destroy());
  const atServer = record(await transports.next());
  client.write(Buffer.from('hello'));
  await atServer.untilBytes(5);
  const basic = Buffer.from('anna:s3:cret').toString('base64');
  t.is(
    heads[0],
    `CONNECT server.test:${port} HTTP/1.1\r\nHost: server.test:${port}\r\nProxy-Authorization: Basic ${basic}\r\n\r\n`,
  );
  t.is(client.pathFacts(), undefined);
});

for (const [answer, said] of [
  ['HTTP/1.1 407 Proxy Authentication Required\r\n\r\n', /wants a name and a password/],
  ['HTTP/1.1 401 Unauthorized\r\n\r\n', /wants a name and a password/],
  ['HTTP/1.0 403 Filtered\r\n\r\n', /does not allow that server/],
  ['HTTP/1.1 502 Bad Gateway\r\n\r\n', /answers 502/],
  ['SSH-2.0-OpenSSH\r\n\r\n', /does not speak HTTP/],
  [`${good}and more`, /speaks in between/],
  ['', /closed the connection/],
] as const)
  test(`a proxy that says ${JSON.stringify(answer.slice(0, 16))} gives no way, and the reason is told`, async t => {
    const { listener } = await loopback(t);
    const { proxy } = await proxyFor(t, answer);
    const { port } = listener.address;
    const options = { alpn: testAlpn, expectedPins: 'compare-later' as const, timeoutMs: 10_000, proxy };
    await t.throwsAsync(connectTls({ host: '127.0.0.1', port, ...options }), {
      code: 'server-unreachable',
      message: said,
    });
  });

test('a proxy is written as a URL, with name and password or without', t => {
  t.deepEqual(parseProxy('http://proxy.example:3128'), {
    host: 'proxy.example',
    port: 3128,
    credentials: undefined,
  });
  t.deepEqual(parseProxy('http://an%40na:pass%3Aword@[2001:db8::1]/'), {
    host: '2001:db8::1',
    port: 8080,
    credentials: 'an@na:pass:word',
  });
  for (const text of [
    'proxy.example:3128',
    'https://proxy.example',
    'http://proxy.example/path',
    'socks5://p',
  ])
    t.throws(() => parseProxy(text), { code: 'bad-config' }, text);
});
