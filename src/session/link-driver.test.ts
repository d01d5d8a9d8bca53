import test from 'ava';
import { fakeClock } from '../base/clock.ts';
import { EntremiseError, errorNumber } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import { type MemoryTransport, memoryPair } from '../transport/memory.ts';
import { type Frame, frameBody } from '../wire/frame.ts';
import { goaway, ping, pong } from '../wire/messages/link.ts';
import { frameFlag, frameType, headerBytes } from '../wire/spec.ts';
import { GoawayError } from './goaway.ts';
import { LinkDriver } from './link-driver.ts';
import { noPromiseMs } from './link-options.ts';
import { RawPeer, rawFrame, settled } from './testing/raw-peer.ts';

interface LinkOptions {
  readonly keepaliveMs?: number;
  /** The link is authenticated by its first frame instead of at once. */
  readonly byFirstFrame?: boolean;
  readonly hidesBacklog?: boolean;
  /** The machine tells of its path that everything is acknowledged at once. */
  readonly allIsTaken?: boolean;
  onFrame?(frame: Frame): void;
}

function makeLink(options: LinkOptions = {}) {
  const { keepaliveMs, byFirstFrame = false, hidesBacklog = false, onFrame = () => {} } = options;
  const clock = fakeClock();
  const { client, server } = memoryPair();
  Object.defineProperty(client, 'hidesBacklog', { value: hidesBacklog });
  const facts = { acknowledgedBytes: 0, sinceAckMs: 0, outstanding: false, roundTripMs: 1 };
  if (options.allIsTaken === true) Object.defineProperty(client, 'pathFacts', { value: () => facts });
  const frames: Frame[] = [];
  const told: string[] = [];
  const errors: EntremiseError[] = [];
  const driver = new LinkDriver(
    { transport: client, clock, log: silentLog(), keepaliveMs },
    {
      onFrame(frame) {
        if (byFirstFrame && frames.length === 0) driver.onAuthenticated();
        frames.push(frame);
        onFrame(frame);
      },
      onEnding: error => told.push(`ending ${error.code}`),
      onClosed(error) {
        told.push(`closed ${error.code}`);
        errors.push(error);
      },
    },
  );
  const peer = new RawPeer(server);
  driver.start();
  if (!byFirstFrame) driver.onAuthenticated();
  return { clock, client, server, driver, peer, frames, told, errors };
}

function pingBody(nextWithinMs: number, id = 9): Uint8Array {
  return ping.toBytes({ id, nextWithinMs });
}

test('P1.6: before authentication 16,384 bytes may come, one more is GOAWAY frame-too-large', async t => {
  const clock = fakeClock();
  const { client, server } = memoryPair();
  const told: string[] = [];
  const driver = new LinkDriver(
    { transport: client, clock, log: silentLog(), keepaliveMs: undefined },
    { onFrame: () => {}, onClosed: error => told.push(error.code) },
  );
  const peer = new RawPeer(server);
  driver.start();
  for (let sent = 0; sent < 16_384; sent += 1024)
    peer.send(frameType.hello, Buffer.alloc(1024 - headerBytes));
  await settled();
  t.is(peer.goawayCode, undefined);
  server.write(Buffer.of(frameType.hello));
  await settled();
  t.is(peer.goawayCode, 'frame-too-large');
  t.deepEqual(told, ['frame-too-large']);
});

test('P1.6: what comes behind the frame that authenticates is not counted, were it in the same piece', async t => {
  const { frames, peer, server } = makeLink({ byFirstFrame: true });
  const behind = Array.from({ length: 50 }, () => rawFrame(frameType.statement, Buffer.alloc(1000)));
  server.write(Buffer.concat([rawFrame(frameType.welcome), ...behind]));
  await settled();
  t.is(frames.length, 51);
  t.is(peer.goawayCode, undefined);
});

test('P8.2: PING is answered with its id and all bytes received; a server then asks back', async t => {
  const { peer } = makeLink();
  await settled();
  peer.frames.length = 0;
  peer.send(frameType.ping, pingBody(25_000, 77));
  await settled();
  const [answer] = peer.got(frameType.pong);
  const { id, received } = pong.fromBytes(frameBody(answer ?? emptyFrame));
  t.is(id, 77);
  t.true(received >= headerBytes + pingBody(25_000).length);
  t.is(peer.got(frameType.ping).length, 1);
});

const emptyFrame: Frame = { type: 0, flags: 0, label: 0, stream: 0, bytes: Buffer.alloc(headerBytes) };

test('P8.1: a member that is idle says PING with its promise when its keepalive is over', async t => {
  const { clock, peer } = makeLink({ keepaliveMs: 25_000 });
  await settled();
  peer.frames.length = 0;
  clock.advance(24_999);
  await settled();
  t.is(peer.got(frameType.ping).length, 0);
  clock.advance(1);
  await settled();
  const [asked] = peer.got(frameType.ping);
  t.is(ping.fromBytes(frameBody(asked ?? emptyFrame)).nextWithinMs, 25_000);
});

test('P8.1: asked to, a link says PING at once, but not while one is unanswered, nor before it is authenticated', async t => {
  const { driver, peer } = makeLink();
  const pings = () => peer.got(frameType.ping).length;
  await settled();
  t.is(pings(), 1);
  peer.answers = false;
  driver.ask();
  await settled();
  t.is(pings(), 2);
  driver.ask();
  await settled();
  t.is(pings(), 2, 'it is unanswered');
  const early = makeLink({ byFirstFrame: true });
  early.driver.ask();
  await settled();
  t.is(early.peer.got(frameType.ping).length, 0);
});

test('P8.1: after a loss the link tells out of how long a silence it was lost; what is answered leaves none', async t => {
  const { clock, driver, peer, told } = makeLink({ keepaliveMs: 240_000 });
  await settled();
  t.is(driver.idleMs, 0);
  clock.advance(239_000);
  t.is(driver.idleMs, 0, 'silence of which nobody has asked the end');
  peer.answers = false;
  clock.advance(1_000);
  await settled();
  t.is(driver.idleMs, 240_000);
  clock.advance(40_000);
  await settled();
  clock.advance(1_000);
  await settled();
  t.deepEqual(told, ['closed link-lost']);
  t.is(driver.idleMs, 240_000);
});

test('P8.1: what the machine has seen taken, and wants no answer, does not shorten the silence before a loss', async t => {
  const { clock, driver, peer } = makeLink({ keepaliveMs: 240_000, allIsTaken: true });
  await settled();
  clock.advance(2_000);
  driver.send(frameType.report, Buffer.alloc(1));
  await settled();
  peer.answers = false;
  clock.advance(240_000);
  await settled();
  t.is(driver.idleMs, 240_000);
});

test('the round trip is that of a PING', async t => {
  const { clock, driver, peer } = makeLink({ keepaliveMs: 25_000 });
  peer.answers = false;
  await settled();
  t.is(driver.roundTripMs, undefined);
  const [asked] = peer.got(frameType.ping);
  clock.advance(40);
  const { id } = ping.fromBytes(frameBody(asked ?? emptyFrame));
  peer.send(frameType.pong, pong.toBytes({ id, received: 0 }));
  await settled();
  t.is(driver.roundTripMs, 40);
});

test('P8.1: a peer that falls silent is asked after 3 s and given up after 5.8 s, not before', async t => {
  const { clock, driver, peer, told, errors } = makeLink({ keepaliveMs: 25_000 });
  await settled();
  clock.advance(10_000);
  peer.answers = false;
  peer.frames.length = 0;
  driver.send(frameType.report, Buffer.alloc(10));
  await settled();
  clock.advance(2_999);
  await settled();
  t.is(peer.got(frameType.ping).length, 0);
  clock.advance(1);
  await settled();
  t.is(peer.got(frameType.ping).length, 1);
  clock.advance(2_799);
  await settled();
  t.deepEqual(told, []);
  clock.advance(1);
  await settled();
  t.deepEqual(told, ['closed link-lost']);
  t.true(errors[0]?.cause instanceof Error);
  t.false(driver.live);
  t.is(peer.goawayCode, undefined, 'nobody would hear it');
});

test('P6.1: no PING stands in a handshake, however slow it is; its silence is judged all the same', async t => {
  const member = makeLink({ keepaliveMs: 1_000, byFirstFrame: true });
  member.peer.answers = false;
  member.driver.scheduler.sendOnLink(rawFrame(frameType.hello));
  await settled();
  member.clock.advance(5_799);
  await settled();
  t.deepEqual(
    member.peer.frames.map(({ type }) => type),
    [frameType.hello],
  );
  t.deepEqual(member.told, []);
  member.clock.advance(1);
  await settled();
  t.deepEqual(member.told, ['closed link-lost']);
});

test('P8.1: who has heard nothing for the promised time and 10 s more ends the link', async t => {
  const { clock, peer, told } = makeLink();
  peer.send(frameType.ping, pingBody(20_000));
  await settled();
  clock.advance(29_999);
  await settled();
  t.deepEqual(told, []);
  peer.send(0x40, Buffer.alloc(0), { label: 0 });
  await settled();
  clock.advance(29_999);
  await settled();
  t.deepEqual(told, [], 'any byte keeps the promise');
  clock.advance(1);
  await settled();
  t.is(peer.goawayCode, 'idle-timeout');
  t.deepEqual(told, ['ending idle-timeout', 'closed idle-timeout']);
});

test('P8.1: who promises nothing is not waited for', async t => {
  const { clock, peer, told } = makeLink();
  peer.send(frameType.ping, pingBody(noPromiseMs));
  await settled();
  clock.advance(100 * 24 * 3_600_000);
  await settled();
  t.deepEqual(told, []);
});

test('P1.10: GOAWAY is told with its code, sentence and afterMs; nothing comes or goes after it', async t => {
  const { driver, peer, told, errors, frames } = makeLink({ keepaliveMs: 25_000 });
  await settled();
  peer.frames.length = 0;
  const said = { reason: errorNumber('displaced'), message: 'Go away.', afterMs: 7_000 };
  peer.transport.write(
    Buffer.concat([
      rawFrame(frameType.goaway, goaway.toBytes(said)),
      rawFrame(frameType.statement, Buffer.alloc(1)),
    ]),
  );
  await settled();
  driver.send(frameType.report, Buffer.alloc(10));
  driver.close('internal');
  await settled();
  t.deepEqual(told, ['ending displaced', 'closed displaced']);
  t.deepEqual(frames, []);
  t.deepEqual(peer.frames, []);
  const [error] = errors;
  if (!(error instanceof GoawayError)) return t.fail();
  t.deepEqual([error.message, error.afterMs, error.by], ['Go away.', 7_000, 'server']);
});

test('P1.10: GOAWAY is heard before authentication too, and not answered', async t => {
  const { peer, told } = makeLink({ keepaliveMs: 25_000, byFirstFrame: true });
  peer.leave(errorNumber('not-enrolled'));
  await settled();
  t.deepEqual(told, ['ending not-enrolled', 'closed not-enrolled']);
  t.is(peer.goawayCode, undefined);
});

test('P1.10: who closes says GOAWAY as its last frame, and the owner is told the same', async t => {
  const { driver, peer, told } = makeLink();
  driver.close('shutting-down', 'x'.repeat(2000));
  driver.send(frameType.statement, Buffer.alloc(1));
  await settled();
  t.is(peer.frames.at(-1)?.type, frameType.goaway);
  t.is(peer.goawayCode, 'shutting-down');
  t.deepEqual(told, ['ending shutting-down', 'closed shutting-down']);
  t.true(peer.closed);
});

test('P1.10: a link that ends without GOAWAY is lost', async t => {
  const { peer, told, driver } = makeLink();
  await settled();
  peer.transport.destroy();
  await settled();
  t.deepEqual(told, ['closed link-lost']);
  t.false(driver.live);
});

const broken: readonly (readonly [string, Buffer, string])[] = [
  [
    'a frame announced longer than allowed',
    Buffer.from('24003ff50000000000000000', 'hex'),
    'frame-too-large',
  ],
  ['a PING that is no CBOR', rawFrame(frameType.ping, Buffer.of(0xff)), 'bad-request'],
  ['a PONG without its fields', rawFrame(frameType.pong, Buffer.of(0xa0)), 'bad-request'],
  ['a GOAWAY without reason', rawFrame(frameType.goaway, Buffer.of(0xa0)), 'bad-request'],
  ['a PING with MORE', rawFrame(frameType.ping, pingBody(1), { flags: frameFlag.more }), 'protocol-error'],
  [
    'a GOAWAY with MORE',
    rawFrame(frameType.goaway, goaway.toBytes({ reason: 1 }), { flags: frameFlag.more }),
    'protocol-error',
  ],
  [
    'a DETACH with MORE',
    rawFrame(frameType.detach, Buffer.of(1), { flags: frameFlag.more }),
    'protocol-error',
  ],
];

for (const [what, bytes, code] of broken) {
  test(`P1: ${what} ends the link with ${code}`, async t => {
    const { peer, server, told, frames } = makeLink();
    server.write(bytes);
    await settled();
    t.is(peer.goawayCode, code);
    t.deepEqual(told, [`ending ${code}`, `closed ${code}`]);
    t.deepEqual(frames, []);
  });
}

test('what a handler throws ends the link with its code, a plain error with internal', async t => {
  for (const [thrown, code] of [
    [new EntremiseError('unknown-type'), 'unknown-type'],
    [new TypeError('oops'), 'internal'],
  ] as const) {
    const { peer } = makeLink({
      onFrame() {
        throw thrown;
      },
    });
    peer.send(frameType.statement);
    await settled();
    t.is(peer.goawayCode, code);
  }
});

test('a peer that does not read what it is told on label 0 loses its link before that costs much memory', async t => {
  const { driver, server, told } = makeLink();
  server.pauseReading();
  let sent = 0;
  for (; told.length === 0 && sent < 1000; sent++) driver.send(frameType.statement, Buffer.alloc(10_000));
  t.true(sent < 500, `${sent}`);
  t.deepEqual(told, ['ending limit']);
});

/** A label that always has a frame to give. */
function endlessSource(frameBytes: number) {
  const source = { taken: 0, takeUrgent: () => undefined, takeControl: () => undefined, takeData };
  function takeData(): Buffer {
    source.taken++;
    return rawFrame(frameType.data, Buffer.alloc(frameBytes - headerBytes), { label: 1, stream: 1 });
  }
  return source;
}

test('P2.1: little waits in front of the transport, and what is urgent overtakes what is still to come', async t => {
  const { driver, client, server, peer } = makeLink();
  await settled();
  server.pauseReading();
  const source = endlessSource(16_384);
  driver.scheduler.wake(source);
  await settled();
  t.true(backlog(client) <= 64 * 1024 + 16_384, `${backlog(client)}`);
  const waiting = source.taken;
  driver.send(frameType.statement, Buffer.alloc(1));
  peer.frames.length = 0;
  driver.scheduler.remove(source);
  server.resumeReading();
  await settled();
  t.is(
    peer.frames.findIndex(({ type }) => type === frameType.statement),
    waiting,
  );
  t.is(source.taken, waiting);
});

function backlog(transport: MemoryTransport): number {
  return transport.backlogBytes;
}

test('P8.1: a link that ends takes its timers along', async t => {
  const { clock, driver, told } = makeLink({ keepaliveMs: 1_000 });
  await settled();
  driver.close('shutting-down');
  await settled();
  clock.advance(3_600_000);
  await settled();
  t.deepEqual(told, ['ending shutting-down', 'closed shutting-down']);
});

test('P8.2: over a transport that hides what waits below, 64 KiB are under way until the peer says what it has had', async t => {
  const { driver, peer, client } = makeLink({ hidesBacklog: true });
  peer.answers = false;
  await settled();
  const source = endlessSource(16_384);
  driver.scheduler.wake(source);
  await settled();
  t.is(source.taken, 4, 'the limit');
  t.is(client.backlogBytes, 0);
  driver.send(frameType.statement, Buffer.alloc(1));
  await settled();
  t.is(peer.got(frameType.statement).length, 1, 'label 0 is not held back');
  const { id } = ping.fromBytes(frameBody(peer.got(frameType.ping).at(-1) ?? emptyFrame));
  peer.send(frameType.pong, pong.toBytes({ id, received: 2 * 16_384 }));
  await settled();
  t.true(source.taken >= 6 && source.taken <= 7, `${source.taken}`);
  driver.scheduler.remove(source);
});

test('P8.2: PINGs among the data ask how far the peer has come, so that bytes go on', async t => {
  const { driver, peer } = makeLink({ hidesBacklog: true });
  const source = endlessSource(16_384);
  let left = 60;
  driver.scheduler.wake({ ...source, takeData: () => (left-- > 0 ? source.takeData() : undefined) });
  await settled();
  t.is(source.taken, 60);
  t.true(peer.got(frameType.ping).length > 5);
});
