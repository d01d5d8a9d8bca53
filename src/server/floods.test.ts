import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { defaultAcceptLimits } from '../transport/accept-limiter.ts';
import { bystanders } from './testing/bystanders.ts';
import { TestOperator, until } from './testing/test-operator.ts';

/**
 * Floods of connections that never become anybody, against a real server on loopback: refused before TLS, by source and in
 * all, so that what they cost is bounded; whoever is attached goes on. Every 127.x.y.z is a source of its own.
 */

const { maxUnauthenticated, maxUnauthenticatedPerSource } = defaultAcceptLimits;

/** A stranger's connection from one of `sources` addresses, none of which a member has. */
function stranger(t: ExecutionContext, port: number, index: number, sources: number): Socket {
  const localAddress = `127.9.1.${1 + (index % sources)}`;
  const socket = connect({ host: '127.0.0.1', port, localAddress });
  t.teardown(() => socket.destroy());
  socket.on('error', () => {});
  return socket.resume();
}

async function operator(t: ExecutionContext): Promise<TestOperator> {
  const made = await TestOperator.start();
  t.teardown(() => made.end());
  return made;
}

const isOpen = (socket: Socket) => !socket.destroyed && socket.readyState === 'open';
const openOf = (sockets: readonly Socket[]) => sockets.filter(isOpen).length;

/** Connections under way at once: more would wait in the kernel's queue, which is no matter of the server. */
const atOnce = 100;

/** Opens `count` of them; each is connected or refused when this resolves. */
async function flood(
  t: ExecutionContext,
  made: TestOperator,
  { count, sources, say }: { readonly count: number; readonly sources: number; readonly say?: Buffer },
): Promise<readonly Socket[]> {
  const sockets: Socket[] = [];
  for (let begun = 0; begun < count; begun += atOnce) {
    const some = Array.from({ length: Math.min(atOnce, count - begun) }, (_, index) =>
      stranger(t, made.server.number, begun + index, sources),
    );
    if (say !== undefined) for (const socket of some) socket.write(say);
    sockets.push(...some);
    await until(() => some.every(socket => !socket.connecting), 'they are connected');
  }
  return sockets;
}

test.serial(
  '2,000 silent connections from one source: all but 64 are reset before TLS, and the others feel nothing',
  async t => {
    const made = await operator(t);
    const others = await bystanders(made);
    const silent = await flood(t, made, { count: 2000, sources: 1 });
    await until(
      () => openOf(silent) === maxUnauthenticatedPerSource,
      'all but the first of a source are refused',
    );
    t.true(silent.every(({ bytesRead }) => bytesRead === 0));
    await others.feelNothing();
    await others.pass(10_001);
    await until(() => openOf(silent) === 0, 'those are closed in time');
  },
);

test.serial(
  '1,200 silent connections from many sources: a member that comes then is served all the same',
  async t => {
    const made = await operator(t);
    const others = await bystanders(made);
    const silent = await flood(t, made, { count: 1200, sources: 200 });
    await until(() => openOf(silent) <= maxUnauthenticated, 'no more than there may be are open');
    await others.feelNothing();
    await others.pass(1_001);
    const late = await made.enrol({ role: 'mediator', name: 'late' });
    t.truthy(late.welcomed);
    await others.feelNothing();
  },
);

for (const [from, sources] of [
  ['one source', 1],
  ['many sources', 100],
] as const)
  test.serial(
    `300 junk handshakes from ${from} end at once and leave nothing but some lines of the log`,
    async t => {
      const made = await operator(t);
      const others = await bystanders(made);
      const since = made.logged.length;
      // No record of TLS begins so: it is refused with the first bytes.
      const say = Buffer.concat([Buffer.from('7f', 'hex'), randomBytes(300)]);
      const junk = await flood(t, made, { count: 300, sources, say });
      await others.feelNothing();
      await until(() => openOf(junk) === 0, 'all are closed');
      // An alert of TLS is all there may be.
      t.true(junk.every(({ bytesRead }) => bytesRead <= 7));
      const lines = made.logged.slice(since).filter(({ msg }) => msg === 'connection refused').length;
      t.true(lines <= 21, `${lines} lines for 300 strangers`);
      const member = await made.enrol({ role: 'mediator', name: 'late' });
      t.truthy(member.welcomed);
      await others.feelNothing();
    },
  );
