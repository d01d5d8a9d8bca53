import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import tls from 'node:tls';
import test from 'ava';
import { createKeyAndCertificate } from '../transport/certificate.ts';
import { freePort, pattern, readAll } from './testing/devices.ts';
import { attachedLab } from './testing/lab.ts';

/** Node's own modules, unmodified, over sockets of a mediator. */

const host = '127.0.0.1';

async function webServer(
  t: { teardown(run: () => void): void },
  answer: http.RequestListener,
): Promise<number> {
  const server = http.createServer(answer).listen(0, host);
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no number');
  return address.port;
}

test('http.request with createConnection fetches a page of a device', async t => {
  const { attachment } = await attachedLab(t);
  const page = pattern(500_000);
  const port = await webServer(t, (_request, response) => response.end(page));
  const request = http.get({ host, port, createConnection: () => attachment.connect({ host, port }) });
  const [response] = await once(request, 'response');
  t.is(response.statusCode, 200);
  t.true((await readAll(response)).equals(page));
});

test('http.request posts a body and reads the answer', async t => {
  const { attachment } = await attachedLab(t);
  const port = await webServer(t, (request, response) => request.pipe(response));
  const body = pattern(300_000);
  const createConnection = () => attachment.connect({ host, port });
  const request = http.request({ host, port, method: 'POST', createConnection });
  request.end(body);
  const [response] = await once(request, 'response');
  t.true((await readAll(response)).equals(body));
});

test('an http.Agent keeps a tunnel socket alive and uses it again', async t => {
  const { attachment } = await attachedLab(t);
  let sockets = 0;
  class TunnelAgent extends http.Agent {
    override createConnection() {
      sockets++;
      return attachment.connect({ host, port });
    }
  }
  const port = await webServer(t, (request, response) => response.end(request.url));
  const agent = new TunnelAgent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  for (const path of ['/one', '/two', '/three']) {
    const [response] = await once(http.get({ host, port, path, agent }), 'response');
    t.is((await readAll(response)).toString(), path);
  }
  t.is(sockets, 1);
});

test('an http.Server is fed from a listener of the mediator', async t => {
  const { attachment } = await attachedLab(t);
  const page = pattern(400_000);
  const web = http.createServer(async (request, response) => {
    const body = await readAll(request);
    response.setHeader('x-peer', request.socket.remoteAddress ?? '');
    response.end(request.method === 'POST' ? body : page);
  });
  t.teardown(() => web.closeAllConnections());
  const port = await freePort();
  const listener = await attachment.listen({ address: host, port, allowHalfOpen: true });
  listener.on('connection', socket => web.emit('connection', socket));
  web.emit('listening');
  const [got] = await once(http.get({ host, port }), 'response');
  t.is(got.headers['x-peer'], host);
  t.true((await readAll(got)).equals(page));
  const post = http.request({ host, port, method: 'POST' });
  post.end(page);
  const [posted] = await once(post, 'response');
  t.true((await readAll(posted)).equals(page));
});

test('an http.Server’s answer with Connection: close arrives whole', async t => {
  const { attachment } = await attachedLab(t);
  const page = pattern(700_000);
  const web = http.createServer((_request, response) => {
    response.setHeader('connection', 'close');
    response.end(page);
  });
  const port = await freePort();
  const listener = await attachment.listen({ address: host, port, allowHalfOpen: true });
  listener.on('connection', socket => web.emit('connection', socket));
  web.emit('listening');
  const [response] = await once(http.get({ host, port }), 'response');
  t.true((await readAll(response)).equals(page));
});

test('the header time-out of a fed http.Server works', async t => {
  const { attachment } = await attachedLab(t);
  const web = http.createServer({ headersTimeout: 50, connectionsCheckingInterval: 10 });
  const port = await freePort();
  const listener = await attachment.listen({ address: host, port, allowHalfOpen: true });
  listener.on('connection', socket => web.emit('connection', socket));
  web.emit('listening');
  t.teardown(() => web.emit('close'));
  const slow = net.connect({ host, port });
  slow.write('GET / HTTP/1.1\r\nhost: ');
  t.regex((await readAll(slow)).toString(), /^HTTP\/1.1 408 /);
});

test('TLS runs over a tunnel socket, as https to a device needs it', async t => {
  const { attachment } = await attachedLab(t);
  const page = pattern(200_000);
  const web = https
    .createServer(await createKeyAndCertificate([host]), (_request, response) => response.end(page))
    .listen(0, host);
  await once(web, 'listening');
  t.teardown(() => {
    web.close();
    web.closeAllConnections();
  });
  const { port } = web.address() as AddressInfo;
  const createConnection = () =>
    tls.connect({ socket: attachment.connect({ host, port }), rejectUnauthorized: false });
  const [response] = await once(https.get({ host, port, createConnection }), 'response');
  t.true((await readAll(response)).equals(page));
});
