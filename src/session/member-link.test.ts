import { randomBytes } from 'node:crypto';
import test from 'ava';
import { fakeClock } from '../base/clock.ts';
import { EntremiseError, errorNumber } from '../base/errors.ts';
import { generateSigningKey } from '../base/keys.ts';
import { silentLog } from '../base/log.ts';
import { memoryPair } from '../transport/memory.ts';
import { frameBody } from '../wire/frame.ts';
import { attach, attached, channel, detach, unrouted } from '../wire/messages/attach.ts';
import { presence, service } from '../wire/messages/report.ts';
import { frameFlag, frameType } from '../wire/spec.ts';
import { type LabelEndpoint, MemberLink } from './member-link.ts';
import { pattern } from './testing/frames.ts';
import { type RawServerOptions, rawFrame, rawServer, settled } from './testing/raw-peer.ts';

function makeLink(options: RawServerOptions = {}) {
  const clock = fakeClock();
  const { client, server } = memoryPair();
  const told: string[] = [];
  const link: MemberLink = new MemberLink(
    { transport: client, clock, log: silentLog(), keepaliveMs: 25_000 },
    {
      role: 'terminal',
      signer: generateSigningKey(),
      instance: randomBytes(16),
      software: 'test',
      capabilities: [],
    },
    1,
    {
      onWelcome: () => told.push('welcome'),
      onAttach: ({ label }) => told.push(`attach ${label}`),
      onAttached: ({ label }) => told.push(`attached ${label}`),
      onPresence: ({ entries }) => told.push(`presence ${entries?.length}`),
      onStatement: () => told.push('statement'),
      onService: ({ name }) => told.push(`service ${name}`),
      onClosed: error => told.push(`closed ${error.code}`),
    },
  );
  const peer = rawServer(server, options);
  link.start();
  return { clock, link, peer, told };
}

async function makeWelcomed(options: RawServerOptions = {}) {
  const made = makeLink(options);
  await settled();
  made.told.length = 0;
  made.peer.frames.length = 0;
  return made;
}

/** A label that writes down what happens on it. */
function endpoint(name: string, told: string[], thrown?: Error): LabelEndpoint {
  return {
    receive(frame) {
      told.push(`${name} got ${frame.type}`);
      if (thrown !== undefined) throw thrown;
    },
    onGone: code => told.push(`${name} gone ${code}`),
  };
}

const onLabel = (label: number) => ({ label, stream: 1 });

test('P6.1: HELLO, PROOF, WELCOME; what follows WELCOME in one piece is heard', async t => {
  const behindWelcome = rawFrame(frameType.presence, presence.toBytes({ entries: [], complete: true }));
  const { told, peer } = makeLink({ behindWelcome });
  await settled();
  t.deepEqual(told, ['welcome', 'presence 0']);
  t.deepEqual(
    peer.frames.slice(0, 3).map(({ type }) => type),
    [frameType.hello, frameType.proof, frameType.ping],
  );
});

test('P6.1: a server that welcomes nobody is given up within 6 s', async t => {
  const { told, clock } = makeLink({ welcomes: false });
  await settled();
  clock.advance(6_000);
  await settled();
  t.deepEqual(told, ['closed link-lost']);
});

test('P8.1: the promise in WELCOME is kept an eye on', async t => {
  const { told, clock } = await makeWelcomed({ nextWithinMs: 5_000 });
  clock.advance(14_999);
  await settled();
  t.deepEqual(told, []);
  clock.advance(1);
  await settled();
  t.deepEqual(told, ['closed idle-timeout']);
});

test('P1.2: own labels are odd and rise, the server’s are even and rise', async t => {
  const { link, told } = await makeWelcomed();
  t.deepEqual(
    [1, 2, 3].map(() => link.openLabel(endpoint('own', told))),
    [1, 3, 5],
  );
  link.takeLabel(4, endpoint('theirs', told));
  for (const label of [4, 2, 7, 0])
    t.throws(() => link.takeLabel(label, endpoint('theirs', told)), { code: 'protocol-error' });
  t.notThrows(() => link.takeLabel(100, endpoint('theirs', told)));
});

test('P1.2: frames go to the endpoint of their label, whatever their type', async t => {
  const { link, peer, told } = await makeWelcomed();
  link.openLabel(endpoint('first', told));
  link.takeLabel(2, endpoint('second', told));
  peer.send(frameType.data, pattern(9), onLabel(1));
  peer.send(0x7f, pattern(1), onLabel(2));
  await settled();
  t.deepEqual(told, [`first got ${frameType.data}`, 'second got 127']);
});

test('P1.2: a frame for a label that is no more is dropped and counted, one above the highest ends the link', async t => {
  const { link, peer, told } = await makeWelcomed();
  link.openLabel(endpoint('first', told));
  link.takeLabel(2, endpoint('second', told));
  link.closeLabel(1);
  link.forgetLabel(2);
  peer.send(frameType.data, pattern(9), onLabel(1));
  peer.send(frameType.data, pattern(9), onLabel(2));
  await settled();
  t.is(link.droppedFrames, 2);
  t.deepEqual(told, []);
  for (const label of [3, 4]) {
    const other = await makeWelcomed();
    other.link.openLabel(endpoint('first', other.told));
    other.link.takeLabel(2, endpoint('second', other.told));
    other.peer.send(frameType.data, pattern(9), onLabel(label));
    await settled();
    t.is(other.peer.goawayCode, 'protocol-error');
  }
});

test('P1.4: a type that may not stand on a label, or not on label 0, ends the link', async t => {
  for (const [type, label] of [
    [frameType.ping, 1],
    [0x0c, 1],
    [0x3f, 1],
    [0x80, 1],
    [frameType.data, 0],
    [frameType.report, 0],
    [frameType.hello, 0],
    [0x40, 0],
  ] as const) {
    const { link, peer, told } = await makeWelcomed();
    link.openLabel(endpoint('first', told));
    peer.send(type, pattern(9), { label });
    await settled();
    t.is(peer.goawayCode, 'unknown-type', `type ${type} on label ${label}`);
  }
});

test('P4.3: DETACH and UNROUTED end a label with their reason, once, and no other', async t => {
  const { link, peer, told } = await makeWelcomed();
  for (const name of ['one', 'three', 'five', 'seven']) link.openLabel(endpoint(name, told));
  peer.send(frameType.detach, detach.toBytes({ label: 1 }));
  peer.send(frameType.detach, detach.toBytes({ label: 3, reason: errorNumber('shutting-down') }));
  peer.send(frameType.unrouted, unrouted.toBytes({ label: 5, reason: errorNumber('mediator-offline') }));
  peer.send(frameType.unrouted, unrouted.toBytes({ label: 5, reason: errorNumber('limit') }));
  peer.send(frameType.data, pattern(9), onLabel(3));
  peer.send(frameType.data, pattern(9), onLabel(7));
  await settled();
  t.deepEqual(told, [
    'one gone detached',
    'three gone shutting-down',
    'five gone mediator-offline',
    `seven got ${frameType.data}`,
  ]);
  t.is(link.droppedFrames, 1);
});

test('P1.5: a reason that is not in the catalogue is the most general one of its place', async t => {
  const { link, peer, told } = await makeWelcomed();
  link.openLabel(endpoint('one', told));
  link.openLabel(endpoint('three', told));
  peer.send(frameType.detach, detach.toBytes({ label: 1, reason: 250 }));
  peer.send(frameType.unrouted, unrouted.toBytes({ label: 3, reason: 250 }));
  await settled();
  t.deepEqual(told, ['one gone detached', 'three gone link-lost']);
});

test('P3.8: a broken rule on a label ends that label with its code; the link and others live', async t => {
  const { link, peer, told } = await makeWelcomed();
  link.openLabel(endpoint('bad', told, new EntremiseError('stream-limit')));
  link.openLabel(endpoint('good', told));
  peer.send(frameType.data, pattern(9), onLabel(1));
  peer.send(frameType.data, pattern(9), onLabel(1));
  peer.send(frameType.data, pattern(9), onLabel(3));
  await settled();
  t.deepEqual(told, [`bad got ${frameType.data}`, 'bad gone stream-limit', `good got ${frameType.data}`]);
  const said = peer.got(frameType.detach).map(frame => detach.fromBytes(frameBody(frame)));
  t.deepEqual(said, [{ label: 1, reason: errorNumber('stream-limit') }]);
  t.is(peer.goawayCode, undefined);
});

test('a label that this side closes is not told of it, and says DETACH once', async t => {
  const { link, peer, told } = await makeWelcomed();
  const label = link.openLabel(endpoint('own', told));
  link.closeLabel(label);
  link.closeLabel(label, 'aborted');
  await settled();
  t.deepEqual(
    peer.got(frameType.detach).map(frame => detach.fromBytes(frameBody(frame))),
    [{ label }],
  );
  t.deepEqual(told, []);
});

test('P3.6: GOAWAY loses all labels at once, and the link closes with its code', async t => {
  const { link, peer, told } = await makeWelcomed();
  link.openLabel(endpoint('one', told));
  link.takeLabel(2, endpoint('two', told));
  peer.leave(errorNumber('shutting-down'));
  await settled();
  t.deepEqual(told, ['one gone link-lost', 'two gone link-lost', 'closed shutting-down']);
});

test('P3.6: labels of a link that breaks a rule itself are told though its peer takes nothing any more', async t => {
  const { link, peer, told } = await makeWelcomed();
  link.openLabel(endpoint('one', told));
  link.driver.close('shutting-down');
  t.deepEqual(told, ['one gone link-lost']);
  await settled();
  t.deepEqual(told, ['one gone link-lost', 'closed shutting-down']);
  t.is(peer.goawayCode, 'shutting-down');
});

test('messages of label 0 come as what they are, in parts where they may', async t => {
  const { peer, told } = await makeWelcomed();
  const inner = pattern(10);
  peer.send(frameType.attach, attach.toBytes({ label: 2, mediator: pattern(32), inner, credit: 1 }));
  peer.send(frameType.attached, attached.toBytes({ label: 1, error: 9, by: 'server' }));
  peer.send(
    frameType.service,
    service.toBytes({ name: 'ssh', mediator: pattern(32), parameters: [], available: true }),
  );
  const entry = { key: pattern(32), statement: 's'.repeat(10_000), online: true, sinceMs: 1 };
  const body = presence.toBytes({ entries: [entry, entry], complete: true });
  peer.send(frameType.presence, body.subarray(0, 5000), { flags: frameFlag.more });
  peer.send(frameType.presence, body.subarray(5000, 15_000), { flags: frameFlag.more });
  peer.send(frameType.presence, body.subarray(15_000));
  await settled();
  t.deepEqual(told, ['attach 2', 'attached 1', 'service ssh', 'presence 2']);
});

test('P7.1: a CHANNEL that nobody asked for changes nothing', async t => {
  const { link, peer, told } = await makeWelcomed();
  peer.send(frameType.channel, channel.toBytes({ step: 'close' }));
  await settled();
  t.is(link.droppedFrames, 1);
  t.deepEqual(told, []);
});

test('P1.5: a message of label 0 that is malformed, or of a later version, ends the link', async t => {
  const unknownKey = Buffer.from('a2010118630a', 'hex');
  for (const [body, code] of [
    [Buffer.of(0xff), 'bad-request'],
    [Buffer.of(0xa0), 'bad-request'],
    [unknownKey, 'unsupported'],
  ] as const) {
    const { peer, told } = await makeWelcomed();
    peer.send(frameType.detach, body);
    await settled();
    t.is(peer.goawayCode, code);
    t.deepEqual(told, [`closed ${code}`]);
  }
});
