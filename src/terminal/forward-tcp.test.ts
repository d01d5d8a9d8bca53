import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { loadAddon } from '../native/addon.ts';
import { WatchedSocket } from '../native/watched-socket.ts';
import { type Endpoint, forwardTcp, type TcpForward } from './forward-tcp.ts';
import { device, eventsUntilClose, freePort, pattern, readAll } from './testing/devices.ts';
import { eventually } from './testing/eventually.ts';
import { type KeptLab, keptLab } from './testing/keeper.ts';
import { mediatorEntry } from './testing/lab.ts';

const host = '127.0.0.1';
const native = loadAddon();

async function forwarding(t: ExecutionContext, kept: KeptLab, target: Endpoint): Promise<TcpForward> {
  const forward = await forwardTcp({ source: kept.keeper, listen: {}, target });
  t.teardown(() => forward.close());
  return forward;
}

function dial(forward: TcpForward): net.Socket {
  const socket = net.connect({ ...forward.address(), allowHalfOpen: true });
  return socket.on('error', () => {});
}

test('a local client reaches the target; the forward tells of it', async t => {
  const kept = await keptLab(t);
  const { port } = await device(t, socket => socket.pipe(socket));
  const forward = await forwarding(t, kept, { host, port });
  const connection = once(forward, 'connection');
  const client = dial(forward);
  const bytes = pattern(5 * 1024 * 1024);
  client.end(bytes);
  t.true((await readAll(client)).equals(bytes));
  const [{ socket }] = await connection;
  t.is(socket.remotePort, port);
});

test('a real HTTP client fetches a page through it, many times at once', async t => {
  const kept = await keptLab(t);
  const page = pattern(100_000);
  const web = http.createServer((_request, response) => response.end(page)).listen(0, host);
  await once(web, 'listening');
  t.teardown(() => {
    web.close();
    web.closeAllConnections();
  });
  const { port } = web.address() as net.AddressInfo;
  const forward = await forwarding(t, kept, { host, port });
  const fetches = Array.from({ length: 30 }, async () => {
    const [response] = await once(http.get({ ...forward.address(), agent: false }), 'response');
    return readAll(response);
  });
  for (const got of await Promise.all(fetches)) t.true(got.equals(page));
});

test('half-close is kept both ways', async t => {
  const kept = await keptLab(t);
  const { port } = await device(t, async socket => {
    socket.write('hello, ');
    const question = await readAll(socket);
    socket.end(`you said ${question}`);
  });
  const client = dial(await forwarding(t, kept, { host, port }));
  client.end('this');
  t.is((await readAll(client)).toString(), 'hello, you said this');
  const { port: first } = await device(t, async socket => {
    socket.end('bye');
    t.is((await readAll(socket)).toString(), 'and more');
  });
  const late = dial(await forwarding(t, kept, { host, port: first }));
  t.is((await readAll(late)).toString(), 'bye');
  late.end('and more');
  await once(late, 'close');
});

test('a RST of the device is a RST for the local client, behind the bytes before it', async t => {
  const kept = await keptLab(t);
  const bytes = pattern(50_000);
  const { port } = await device(t, socket => {
    socket.write(bytes, () => socket.once('data', () => socket.resetAndDestroy()));
  });
  const client = dial(await forwarding(t, kept, { host, port }));
  const seen = eventsUntilClose(client, ['end', 'error']);
  let got = 0;
  client.on('data', chunk => {
    got += chunk.length;
    if (got === bytes.length) client.write('now');
  });
  const [error] = await seen;
  t.is(got, bytes.length);
  t.like(error?.args[0], { code: 'ECONNRESET' });
});

test('a RST of the local client is a RST at the device', async t => {
  const kept = await keptLab(t);
  let atDevice: Promise<{ name: string; args: unknown[] }[]> | undefined;
  const { port } = await device(t, socket => {
    atDevice = eventsUntilClose(socket, ['end', 'error']);
    socket.pipe(socket);
  });
  const client = dial(await forwarding(t, kept, { host, port }));
  client.write('x');
  await once(client, 'data');
  client.resetAndDestroy();
  await eventually('the device was reached', () => atDevice !== undefined);
  t.like((await atDevice)?.[0]?.args[0], { code: 'ECONNRESET' });
});

(native === undefined ? test.skip : test)(
  'with the addon a RST behind bytes is all the bytes and a RST at the device, whatever Node makes of it',
  async t => {
    const kept = await keptLab(t);
    let ends: string[] = [];
    let got = 0;
    const { port } = await device(t, socket => {
      const watched = new WatchedSocket(
        socket,
        {
          onData: chunk => {
            got += chunk.length;
          },
          onFin: () => ends.push('fin'),
          onReset: () => ends.push('reset'),
          onClose: () => ends.push('close'),
        },
        { native },
      );
      watched.resume();
      watched.write(Buffer.from('welcome'));
    });
    const forward = await forwarding(t, kept, { host, port });
    for (let round = 0; round < 20; round++) {
      ends = [];
      got = 0;
      const client = dial(forward);
      await once(client, 'data');
      client.write(pattern(20_000), () => client.resetAndDestroy());
      await eventually('the device has seen the end', () => ends.includes('close'));
      t.deepEqual([got, ...ends], [20_000, 'reset', 'close']);
    }
  },
);

test('a target that refuses is a RST for the client, and refused says why', async t => {
  const kept = await keptLab(t);
  const forward = await forwarding(t, kept, { host, port: await freePort() });
  const refused = once(forward, 'refused');
  const client = dial(forward);
  t.like((await once(client, 'error'))[0], { code: 'ECONNRESET' });
  t.like((await refused)[0], { error: { code: 'ECONNREFUSED' } });
});

test('it goes on after a lost link: what was open is reset, what comes later is served', async t => {
  const kept = await keptLab(t);
  const { port } = await device(t, socket => socket.pipe(socket));
  const forward = await forwarding(t, kept, { host, port });
  const client = dial(forward);
  client.write('1');
  await once(client, 'data');
  const failed = once(client, 'error');
  kept.server.breakLink();
  t.like((await failed)[0], { code: 'ECONNRESET' });
  const again = dial(forward);
  again.write('2');
  t.is(String((await once(again, 'data'))[0]), '2');
  again.destroy();
});

test('while the mediator is offline it says so and since when; who connects waits for it', async t => {
  const since = Date.UTC(2026, 1, 3);
  const kept = await keptLab(t, { entries: [await mediatorEntry({ online: false, sinceMs: since })] });
  const { port } = await device(t, socket => socket.end('served'));
  const forward = await forwarding(t, kept, { host, port });
  await eventually('it says that it waits', () =>
    kept.statuses.some(status => status.state === 'waiting' && status.for === 'mediator'),
  );
  t.like(kept.statuses.at(-1), {
    state: 'waiting',
    for: 'mediator',
    mediator: 'gw-1',
    since: new Date(since),
  });
  const client = dial(forward);
  await once(client, 'connect');
  kept.server.tell({ entries: [await mediatorEntry()] });
  t.is((await readAll(client)).toString(), 'served');
  t.like(kept.statuses.at(-1), { state: 'attached', mediator: 'gw-1' });
});

test('without a grant it gives up, and says why', async t => {
  const kept = await keptLab(t, { grants: [] });
  await t.throwsAsync(kept.keeper.done, { code: 'grant-missing' });
  const forward = await forwarding(t, kept, { host, port: 9 });
  const refused = once(forward, 'refused');
  const client = dial(forward);
  await once(client, 'error');
  t.like((await refused)[0], { error: { reason: 'grant-missing' } });
});

test('closing leaves nothing open', async t => {
  const kept = await keptLab(t);
  const { port } = await device(t, socket => socket.pipe(socket));
  const forward = await forwardTcp({ source: kept.keeper, listen: { host }, target: { host, port } });
  const client = dial(forward);
  client.write('x');
  await once(client, 'data');
  const failed = once(client, 'error');
  const address = forward.address();
  await forward.close();
  t.like((await failed)[0], { code: 'ECONNRESET' });
  t.like((await once(net.connect(address), 'error'))[0], { code: 'ECONNREFUSED' });
  await eventually('the stream is gone', () => kept.server.mediator.session.streamCount === 0);
});

test('detaching resets the local clients: nothing is left hanging', async t => {
  const kept = await keptLab(t);
  const { port } = await device(t, socket => socket.pipe(socket));
  const client = dial(await forwarding(t, kept, { host, port }));
  client.write('x');
  await once(client, 'data');
  const failed = once(client, 'error');
  kept.keeper.close();
  t.like((await failed)[0], { code: 'ECONNRESET' });
});

test('a local number that is taken is Node’s own error', async t => {
  const kept = await keptLab(t);
  const { port } = await device(t, () => {});
  const options = { source: kept.keeper, listen: { host, port }, target: { host, port } };
  await t.throwsAsync(forwardTcp(options), { code: 'EADDRINUSE' });
});
