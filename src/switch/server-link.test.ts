import test from 'ava';
import { errorCodeOf, errorNumber } from '../base/errors.ts';
import { GoawayError } from '../session/goaway.ts';
import { memoryPair } from '../transport/memory.ts';
import { encodeFrame, type Frame, FrameDecoder, frameBody } from '../wire/frame.ts';
import { channel } from '../wire/messages/attach.ts';
import { goaway, hello, ping, statement } from '../wire/messages/link.ts';
import { frameType, headerBytes } from '../wire/spec.ts';
import { Lab, settle, until } from './testing/lab.ts';
import type { LabMember } from './testing/lab-member.ts';

/** A peer that is not a member: sends what it likes, keeps what comes. */
function stranger(lab: Lab) {
  const { client, server } = memoryPair();
  const frames: Frame[] = [];
  const decoder = new FrameDecoder();
  const peer = { closed: false, frames, send: (bytes: Buffer) => client.write(bytes) };
  client.start({
    onBytes: piece => decoder.push(piece, frame => frames.push(frame)),
    onDrain: () => {},
    onClosed: () => {
      peer.closed = true;
    },
  });
  lab.switch.accept(server);
  return peer;
}

function goawayCode(frames: readonly Frame[]) {
  const last = frames.at(-1);
  if (last?.type !== frameType.goaway) return undefined;
  return errorCodeOf(goaway.fromBytes(frameBody(last)).reason);
}

const helloBody = hello.toBytes({
  versions: [1],
  role: 'terminal',
  key: Buffer.alloc(32, 1),
  instance: Buffer.alloc(16),
  linkNo: 1,
  capabilities: [],
  software: 'stranger',
});
const helloFrame = encodeFrame({ type: frameType.hello, flags: 0, label: 0, stream: 0 }, helloBody);

test('P1.6: garbage before authentication is answered by GOAWAY and the end', async t => {
  const garbage: readonly (readonly [string, Buffer])[] = [
    ['frame-too-large', Buffer.alloc(64, 0xff)],
    ['unauthenticated', Buffer.alloc(64)],
    [
      'unauthenticated',
      encodeFrame(
        { type: frameType.ping, flags: 0, label: 0, stream: 0 },
        ping.toBytes({ id: 1, nextWithinMs: 1 }),
      ),
    ],
    [
      'unauthenticated',
      encodeFrame({ type: frameType.data, flags: 0, label: 1, stream: 1 }, Buffer.alloc(20)),
    ],
    [
      'bad-request',
      encodeFrame({ type: frameType.hello, flags: 0, label: 0, stream: 0 }, Buffer.alloc(1000, 0x81)),
    ],
    ['unauthenticated', Buffer.concat([helloFrame, helloFrame])],
  ];
  for (const [code, bytes] of garbage) {
    const peer = stranger(new Lab());
    peer.send(bytes);
    await until(() => peer.closed, 'the link is closed');
    t.is(goawayCode(peer.frames), code as never);
  }
});

test('P1.6: 16 KiB without authentication are the end', async t => {
  const peer = stranger(new Lab());
  // A frame that is announced and never complete.
  const head = encodeFrame({ type: frameType.hello, flags: 0, label: 0, stream: 0 }, Buffer.alloc(16_372));
  peer.send(Buffer.from(head.subarray(0, 16_000)));
  await settle();
  t.false(peer.closed);
  peer.send(Buffer.from(head.subarray(16_000)));
  peer.send(Buffer.alloc(1));
  await until(() => peer.closed, 'the link is closed');
});

test('P1.6: a peer that does not authenticate within 10 s is sent away, whether silent or half way', async t => {
  for (const first of [undefined, helloFrame, helloFrame.subarray(0, 5)]) {
    const lab = new Lab();
    const peer = stranger(lab);
    if (first !== undefined) peer.send(Buffer.from(first));
    await settle();
    lab.clock.advance(9_999);
    await settle();
    t.false(peer.closed);
    lab.clock.advance(1);
    await until(() => peer.closed, 'the link is closed');
    t.is(goawayCode(peer.frames), 'too-slow');
  }
});

test('a member that is not admitted learns why', async t => {
  const lab = new Lab();
  lab.admit = async () => ({ admitted: false, code: 'not-enrolled' });
  const member = lab.connect({ role: 'terminal' });
  await until(() => member.closed !== undefined, 'the link is closed');
  t.is(member.closed?.code, 'not-enrolled');
  t.is(lab.switch.status().members, 0);
});

test('nothing is heard from a member while its admission is thought about', async t => {
  const lab = new Lab();
  lab.admit = () => new Promise(() => {});
  const member = lab.connect({ role: 'terminal' });
  await settle();
  member.sendRaw(frameType.statement, 0, 0, statement.toBytes({ documents: ['x'] }));
  await until(() => member.closed !== undefined, 'the link is closed');
  t.is(member.closed?.code, 'unauthenticated');
  t.is(lab.pushed.length, 0);
});

test('a second authentication on a link is the end of it', async t => {
  for (const type of [frameType.hello, frameType.proof]) {
    const lab = new Lab();
    const member = await lab.member({ role: 'terminal' });
    member.sendRaw(type, 0, 0, helloBody);
    await until(() => member.closed !== undefined, 'the link is closed');
    t.is(member.closed?.code, 'unauthenticated');
  }
});

test('messages from the wrong role, unknown types and malformed bodies close the link', async t => {
  const wrong = [
    ['terminal', frameType.report, 'unknown-type'],
    ['terminal', frameType.attached, 'unknown-type'],
    ['mediator', frameType.attach, 'unknown-type'],
    ['mediator', frameType.presence, 'unknown-type'],
    ['terminal', frameType.welcome, 'unknown-type'],
    ['terminal', frameType.unrouted, 'unknown-type'],
    ['terminal', 0x3f, 'unknown-type'],
    ['mediator', frameType.report, 'bad-request'],
    ['terminal', frameType.detach, 'bad-request'],
  ] as const;
  for (const [role, type, code] of wrong) {
    const lab = new Lab();
    const member = await lab.member({ role });
    member.sendRaw(type, 0, 0, Buffer.of(0xff));
    await until(() => member.closed !== undefined, 'the link is closed');
    t.is(member.closed?.code, code);
  }
});

test('P1.6: label 0 takes 512 KiB at once and 64 KiB a second; more is GOAWAY limit', async t => {
  const lab = new Lab();
  const member = await lab.member({ role: 'terminal' });
  const kilobytes = (count: number) => {
    for (let sent = 0; sent < count * 1024; sent += 16_000)
      member.sendRaw(frameType.statement, 0, 0, statement.toBytes({ documents: ['x'.repeat(15_900)] }));
  };
  kilobytes(480);
  await until(() => lab.pushed.length >= 30, 'the burst is taken');
  await lab.pass(4_000);
  t.is(member.closed, undefined);
  kilobytes(256);
  await settle();
  t.is(member.closed, undefined);
  kilobytes(100);
  await until(() => member.closed !== undefined, 'the link is closed');
  t.is(member.closed?.code, 'limit');
});

test('P1.6: PINGs are label 0 as well', async t => {
  const lab = new Lab();
  const member = await lab.member({ role: 'terminal' });
  for (let count = 0; count < 40_000; count++)
    member.sendRaw(frameType.ping, 0, 0, ping.toBytes({ id: count, nextWithinMs: 1000 }));
  await until(() => member.closed !== undefined, 'the link is closed');
  t.is(member.closed?.code, 'limit');
});

test('a UDP channel that is asked for is refused, and the link goes on', async t => {
  const lab = new Lab();
  const member = await lab.member({ role: 'mediator', tap: true });
  member.sendRaw(frameType.channel, 0, 0, channel.toBytes({ step: 'offer', nonce: Buffer.alloc(32) }));
  const answer = () => member.received.find(({ type }) => type === frameType.channel);
  await until(() => answer() !== undefined, 'the answer comes');
  const body = answer()?.bytes.subarray(headerBytes) ?? Buffer.alloc(0);
  t.deepEqual(channel.fromBytes(body), { step: 'refuse', reason: errorNumber('unsupported') });
  t.true(member.link.driver.live);
});

test('P8.1: a busy link keeps its promise without a PING, a silent one is dropped', async t => {
  const lab = new Lab();
  const member = await lab.member({ role: 'terminal' });
  await lab.pass(120_000);
  t.true(member.link.driver.live);
  t.is(lab.switch.status().members, 1);
  member.transport.pauseReading();
  member.transport.write = () => {};
  await lab.pass(40_000);
  t.is(lab.switch.status().members, 0);
});

test('documents follow WELCOME; documents that a member pushes are answered one by one under its id', async t => {
  const lab = new Lab();
  const documents = Array.from({ length: 700 }, (_, count) => `${count}.`.padEnd(1000, 'x'));
  lab.admit = async () => ({ admitted: true, name: 'n', statementSeq: 9, documents });
  const member = await lab.member({ role: 'terminal' });
  t.is(member.welcomed?.statementSeq, 9);
  const told = () => member.statements.flatMap(({ documents: part = [] }) => part);
  await until(() => told().length === 700, 'all documents arrive');
  t.deepEqual(told(), documents);
  lab.acceptDocuments = async () => [undefined, 'document-invalid'];
  const push = statement.toBytes({ id: 77, documents: ['good', 'bad'] });
  member.sendRaw(frameType.statement, 0, 0, push);
  const answer = () => member.statements.find(({ id }) => id === 77);
  await until(() => answer() !== undefined, 'the answer arrives');
  t.deepEqual(answer()?.results, [0, errorNumber('document-invalid')]);
  t.is(lab.pushed[0]?.from.key, member.key.text);
});

test('what is broadcast reaches every member, what is sent to a key only its links', async t => {
  const lab = new Lab();
  const members = [await lab.member({ role: 'terminal' }), await lab.member({ role: 'mediator' })];
  lab.switch.broadcastDocuments(['trust']);
  lab.switch.sendDocuments(members[0]?.key.text ?? '', ['grant']);
  await settle();
  const told = members.map(({ statements }) => statements.flatMap(({ documents = [] }) => documents));
  t.deepEqual(told, [['trust', 'grant'], ['trust']]);
});

test('close sends every member away with shutting-down and takes no new one', async t => {
  const lab = new Lab();
  const member = await lab.member({ role: 'terminal' });
  lab.switch.close();
  await until(() => member.closed !== undefined, 'the link is closed');
  t.is(member.closed?.code, 'shutting-down');
  const peer = stranger(lab);
  await until(() => peer.closed, 'nobody is taken any more');
  t.is(peer.frames.length, 0);
});

test('P1.10: a server that ends tells each member another time to come back at, or where else to go', async t => {
  const lab = new Lab();
  const members: LabMember[] = [];
  for (let count = 0; count < 20; count++) members.push(await lab.member({ role: 'terminal' }));
  lab.switch.close();
  await until(() => members.every(({ closed }) => closed !== undefined), 'all are sent away');
  const afterMs = members.map(({ closed }) => (closed instanceof GoawayError ? closed.afterMs : -1));
  t.true(
    afterMs.every(ms => ms >= 500 && ms < 1_500),
    `${afterMs}`,
  );
  t.true(new Set(afterMs).size > 10, `${afterMs}`);
  const other = new Lab();
  const member = await other.member({ role: 'mediator' });
  other.switch.close('other.example:8443');
  await until(() => member.closed, 'it is sent away');
  t.like(member.closed, { code: 'shutting-down', afterMs: 0, server: 'other.example:8443' });
});
