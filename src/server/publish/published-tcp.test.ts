import { once } from 'node:events';
import net from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { SparingLog } from '../../base/sparing-log.ts';
import { parseNetwork } from '../../policy/network.ts';
import type { MediatorAttachment, TunnelSocket } from '../../terminal/index.ts';
import type { PacketPeer } from '../../wire/packet.ts';
import { until } from '../testing/test-operator.ts';
import { PublishedTcp, type PublishedTcpOptions } from './published-tcp.ts';

/** Published TCP by real sockets of loopback (P7.6), with a mediator that connects there. */

/** A connection that a mediator here would make: what joinSockets asks of one. */
class Near extends net.Socket {
  resetBehindWritten(): void {
    this.resetAndDestroy();
  }
}

const attached: Pick<MediatorAttachment, 'connect'> = {
  connect: ({ host, port }) =>
    // Only what PublishedTcp and joinSockets use of a socket is there.
    new Near({ allowHalfOpen: true }).connect({ host, port }) as unknown as TunnelSocket,
};

const listening = async (server: net.Server): Promise<number> => {
  await once(server.listen({ host: '127.0.0.1', port: 0 }), 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
};

interface Outcome {
  readonly got: string;
  readonly end: string;
}

async function lab(t: ExecutionContext, options: Partial<PublishedTcpOptions> = {}) {
  const device = net.createServer(socket => socket.on('error', () => {}).write('hello'));
  const number = await listening(device);
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  const port = await listening(server);
  const audited: PacketPeer[] = [];
  const state: { attachment: typeof attached | undefined; mayAudit: boolean } = {
    attachment: attached,
    mayAudit: true,
  };
  const published = new PublishedTcp({
    server,
    from: [parseNetwork('127.0.0.0/8')],
    attachment: () => state.attachment,
    target: { host: '127.0.0.1', number },
    clients: 100,
    newClientsPerSecond: 100,
    audit: client => {
      if (!state.mayAudit) throw new Error('the disk is full');
      audited.push(client);
    },
    clock: systemClock,
    log: new SparingLog({ log: silentLog(), clock: systemClock, lines: 1, withinMs: 60_000 }),
    ...options,
  });
  t.teardown(() => {
    published.close();
    device.close();
  });
  const begin = () => {
    const socket = net.connect({ host: '127.0.0.1', port });
    const outcome = { got: '', end: '' };
    socket.on('data', bytes => (outcome.got += bytes.toString()));
    socket.on('error', (error: NodeJS.ErrnoException) => (outcome.end = error.code ?? ''));
    socket.on('close', () => (outcome.end ||= 'fin'));
    t.teardown(() => socket.destroy());
    return outcome as Outcome;
  };
  return { published, audited, state, begin };
}

const isReset = ({ end }: Outcome) => end === 'ECONNRESET' || end === 'EPIPE';

test('P7.6: a client comes out at the target and leaves one line; at the end it is reset', async t => {
  const { published, audited, begin } = await lab(t);
  const [one, other] = [begin(), begin()];
  await until(() => one.got === 'hello' && other.got === 'hello', 'both are answered');
  t.deepEqual(
    audited.map(({ address }) => address),
    ['127.0.0.1', '127.0.0.1'],
  );
  t.deepEqual(published.counts, { clients: 2, served: 2, expired: 0, full: 0, failed: 0, foreign: 0 });
  t.like(published.flow(), { served: 2, bytesFromLan: 10, bytesToLan: 0 });
  published.close();
  await until(() => isReset(one) && isReset(other), 'both are reset');
  t.is(published.counts.clients, 0);
});

test('P7.6: who is outside the networks is reset, unaudited, and takes no room of others', async t => {
  const { published, audited, begin } = await lab(t, {
    from: [parseNetwork('192.0.2.0/24')],
    newClientsPerSecond: 1,
  });
  const all = [begin(), begin(), begin()];
  await until(() => all.every(isReset), 'they are reset');
  t.like(published.counts, { foreign: 3, full: 0, served: 0 });
  t.deepEqual(audited, []);
});

test('P7.6: clients beyond the number at once, or too many new ones, are reset and counted', async t => {
  const many = await lab(t, { clients: 1 });
  const first = many.begin();
  await until(() => first.got === 'hello', 'the first is served');
  const second = many.begin();
  await until(() => isReset(second), 'the second is turned away');
  t.like(many.published.counts, { clients: 1, served: 1, full: 1 });
  const fast = await lab(t, { newClientsPerSecond: 1 });
  const all = [fast.begin(), fast.begin(), fast.begin()];
  await until(() => all.filter(isReset).length >= 1, 'some are turned away');
  t.true(fast.published.counts.full >= 1);
});

test('P7.6: who cannot be audited is not served, nor who comes while the mediator is away', async t => {
  const { published, audited, state, begin } = await lab(t);
  state.mayAudit = false;
  const unheard = begin();
  await until(() => isReset(unheard), 'it is reset');
  state.mayAudit = true;
  state.attachment = undefined;
  const early = begin();
  await until(() => isReset(early), 'it is reset');
  t.like(published.counts, { failed: 2, served: 0, clients: 0 });
  t.deepEqual([audited, unheard.got, early.got], [[], '', '']);
});
