import { randomBytes } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import { errorCodeOf } from '../base/errors.ts';
import { generateSigningKey } from '../base/keys.ts';
import { frameBody } from '../wire/frame.ts';
import { attach, attached, attachInner, detach } from '../wire/messages/attach.ts';
import { proof, statement } from '../wire/messages/link.ts';
import { frameFlag, frameType } from '../wire/spec.ts';
import { attachEnds } from './testing/attached-ends.ts';
import { type Bystanders, bystanders, linesAbout } from './testing/bystanders.ts';
import { headerOf, RawLink } from './testing/raw-link.ts';
import { type TestMember, TestOperator, until } from './testing/test-operator.ts';

/**
 * What enrolled members do to a real server: the link ends, or the label where the rule says so, with a reason, logged
 * once; an attachment of others feels nothing.
 */

interface Scene {
  readonly made: TestOperator;
  readonly others: Bystanders;
  /** A link of the hostile terminal, or of the hostile mediator. */
  raw(role?: 'terminal' | 'mediator'): Promise<RawLink>;
}

async function scene(t: ExecutionContext): Promise<Scene> {
  const made = await TestOperator.start();
  t.teardown(() => made.end());
  const others = await bystanders(made);
  const keys = {
    terminal: (await made.enrol({ role: 'terminal', name: 'evil' })).key,
    mediator: (await made.enrol({ role: 'mediator', name: 'evil-gw', labels: ['evil'] })).key,
  };
  const raw = (role: 'terminal' | 'mediator' = 'terminal') =>
    RawLink.member(made.server.number, role, keys[role]);
  return { made, others, raw };
}

interface Attack {
  readonly reason: string;
  readonly role?: 'mediator';
  readonly act: (peer: RawLink) => unknown;
}

const nested = Buffer.from([0xa1, 0x01, ...new Array<number>(16_000).fill(0x81)]);

const attacks: Readonly<Record<string, Attack>> = {
  'HELLO again': { reason: 'unauthenticated', act: peer => peer.send(peer.hello()) },
  'PROOF again': {
    reason: 'unauthenticated',
    act: peer => peer.frame(frameType.proof, proof.toBytes({ signature: Buffer.alloc(64) })),
  },
  'a second authentication as another member': {
    reason: 'unauthenticated',
    act: peer => peer.send(peer.hello('mediator', generateSigningKey())),
  },
  'a type nobody knows': { reason: 'unknown-type', act: peer => peer.frame(0x3f) },
  'a type of labels on the link': { reason: 'unknown-type', act: peer => peer.frame(frameType.data) },
  'WELCOME to the server': { reason: 'unknown-type', act: peer => peer.frame(frameType.welcome) },
  'a mediator’s message from a terminal': {
    reason: 'unknown-type',
    act: peer => peer.frame(frameType.report),
  },
  'a terminal’s message from a mediator': {
    reason: 'unknown-type',
    role: 'mediator',
    act: peer => peer.frame(frameType.attach),
  },
  'a body of 65,535 announced': {
    reason: 'frame-too-large',
    act: peer => peer.send(headerOf(frameType.statement, 65_535)),
  },
  'a body of 0 where one is needed': { reason: 'bad-request', act: peer => peer.frame(frameType.attach) },
  'arrays in arrays in REPORT': {
    reason: 'bad-request',
    role: 'mediator',
    act: peer => peer.frame(frameType.report, nested),
  },
  'arrays in arrays in ATTACH': {
    reason: 'bad-request',
    act: peer => peer.frame(frameType.attach, nested),
  },
  'arrays in arrays in STATEMENT': {
    reason: 'bad-request',
    act: peer => peer.frame(frameType.statement, nested),
  },
  'PRESENCE that is no PRESENCE': {
    reason: 'bad-request',
    act: peer => peer.frame(frameType.presence, Buffer.from('ffff', 'hex')),
  },
  'random bytes': {
    reason: 'frame-too-large',
    act: peer => peer.send(Buffer.concat([headerOf(frameType.ping, 0xffff), randomBytes(4_000)])),
  },
  'empty parts with MORE': {
    reason: 'protocol-error',
    role: 'mediator',
    act: peer => peer.frame(frameType.report, Buffer.of(), 0, 0, frameFlag.more),
  },
  'MORE where it may not stand': {
    reason: 'protocol-error',
    act: peer => peer.frame(frameType.attach, Buffer.of(1), 0, 0, frameFlag.more),
  },
  'parts beyond 256 KiB': {
    reason: 'frame-too-large',
    role: 'mediator',
    act: peer => {
      for (let count = 0; count < 17; count++)
        peer.frame(frameType.report, Buffer.alloc(16_372), 0, 0, frameFlag.more);
    },
  },
  '100,000 unfinished fragments': {
    reason: 'limit',
    role: 'mediator',
    act: peer => {
      const part = Buffer.concat([headerOf(frameType.report, 1, 0, frameFlag.more), Buffer.of(0)]);
      peer.send(Buffer.concat(new Array<Buffer>(100_000).fill(part)));
    },
  },
  'more than 512 KiB of label 0 at once': {
    reason: 'limit',
    act: peer => {
      const body = statement.toBytes({ documents: ['x'.repeat(16_000)] });
      for (let count = 0; count < 40; count++) peer.frame(frameType.statement, body);
    },
  },
  'a label that was never made': {
    reason: 'protocol-error',
    act: peer => peer.frame(frameType.data, Buffer.alloc(20), 7, 1),
  },
  'a label of the server’s own': {
    reason: 'protocol-error',
    act: peer => peer.frame(frameType.data, Buffer.alloc(20), 8, 1),
  },
  'ATTACH with a label that is the server’s to give': {
    reason: 'protocol-error',
    act: peer => peer.frame(frameType.attach, attachBody(2)),
  },
  'ATTACH with the same label twice': {
    reason: 'protocol-error',
    act: peer => {
      for (const label of [1, 1]) peer.frame(frameType.attach, attachBody(label));
    },
  },
};

function attachBody(label: number, mediator: Uint8Array = Buffer.alloc(32)): Uint8Array {
  return attach.toBytes({ label, mediator, inner: Buffer.from([0xa0]) });
}

test('P1: a member that breaks a rule of the link is told which and closed, and logged once', async t => {
  const { made, others, raw } = await scene(t);
  for (const [title, { reason, role = 'terminal', act }] of Object.entries(attacks)) {
    const since = made.logged.length;
    const peer = await raw(role);
    act(peer);
    const said = await peer.end().catch(() => t.fail(`${title}: the link does not end`));
    // What was still unread when the server closed may turn the end into a RST that takes the reason along.
    if (typeof said === 'string') t.is(said, reason as typeof said, title);
    const ends = () => linesAbout(made, peer.remote, since).filter(({ msg }) => msg !== 'member online');
    await until(() => ends().length > 0, `${title} is logged`);
    t.deepEqual(
      ends().map(({ code }) => code),
      [reason],
      title,
    );
    await others.feelNothing();
  }
  await until(() => made.server.switch.status().members === 3, 'the hostile links are gone');
  t.is(made.server.switch.status().attachments, 1);
});

test('P6.2: documents that are none are answered one by one, and do not fill the log', async t => {
  const { made, others, raw } = await scene(t);
  const peer = await raw();
  const before = made.logged.length;
  for (let id = 1; id <= 20; id++)
    peer.frame(frameType.statement, statement.toBytes({ id, documents: new Array<string>(500).fill('x') }));
  const answers = () => peer.frames.filter(({ type }) => type === frameType.statement).slice(-20);
  await until(
    () => answers().some(frame => statement.fromBytes(frameBody(frame)).id === 20),
    'the last one is answered',
  );
  const last = statement.fromBytes(frameBody(answers().at(-1) ?? peer.frames[0] ?? raise()));
  t.deepEqual([...new Set(last.results)], [69]);
  t.true(made.logged.length - before <= 40, `${made.logged.length - before} lines`);
  await others.feelNothing();
  peer.socket.destroy();
});

function raise(): never {
  throw new Error('nothing came');
}

/** ATTACH of a terminal with an inner that says who it is, and a grant. */
function goodAttach(label: number, mediator: Uint8Array, terminalKey: Uint8Array, grant: string): Uint8Array {
  const inner = attachInner.toBytes({
    terminalKey,
    instance: Buffer.alloc(16, 1),
    attachmentId: randomBytes(16),
    attempt: 1,
    x25519: randomBytes(32),
    grant,
    holdMs: 0,
    purpose: 'assistance',
    capabilities: [],
  });
  return attach.toBytes({ label, mediator, inner });
}

test('P1.6: of 17 ATTACHes under way the last is refused with limit; the link lives, also when they are taken back', async t => {
  const { made, others } = await scene(t);
  const mute = await made.enrol({ role: 'mediator', name: 'mute', labels: ['lab'] });
  const silent = await RawLink.member(made.server.number, 'mediator', mute.key);
  const laptop = await made.enrol({ role: 'terminal', name: 'other-laptop' });
  const grant = await made.grant(laptop.key.text);
  const peer = await RawLink.member(made.server.number, 'terminal', laptop.key);
  for (let count = 0; count < 17; count++)
    peer.frame(frameType.attach, goodAttach(1 + 2 * count, mute.key.publicKey, laptop.key.publicKey, grant));
  const answers = () =>
    peer.frames
      .filter(({ type }) => type === frameType.attached)
      .map(frame => attached.fromBytes(frameBody(frame)));
  await until(() => answers().length === 1, 'one is answered');
  t.is(answers()[0]?.label, 33);
  t.is(errorCodeOf(answers()[0]?.error ?? 0), 'limit');
  const asked = () => silent.frames.filter(({ type }) => type === frameType.attach).length;
  await until(() => asked() === 16, 'the mediator is asked sixteen times');
  for (let count = 0; count < 16; count++)
    peer.frame(frameType.detach, detach.toBytes({ label: 1 + 2 * count }));
  peer.frame(frameType.attach, goodAttach(35, mute.key.publicKey, laptop.key.publicKey, grant));
  await until(() => asked() === 17, 'there is room again');
  t.false(peer.closed);
  await others.feelNothing();
  peer.socket.destroy();
  silent.socket.destroy();
});

/** An attachment between a raw terminal's label 1 and a mediator that plays by the rules. */
async function rawAttached(made: TestOperator) {
  const mediator = await made.enrol({ role: 'mediator', name: 'good-gw', labels: ['lab'] });
  const laptop = await made.enrol({ role: 'terminal', name: 'raw-laptop' });
  const grant = await made.grant(laptop.key.text);
  const peer = await RawLink.member(made.server.number, 'terminal', laptop.key);
  peer.frame(frameType.attach, goodAttach(1, mediator.key.publicKey, laptop.key.publicKey, grant));
  await until(() => peer.has(frameType.attached), 'it is attached');
  return { mediator, laptop, peer, end: endOf(mediator) };
}

function endOf(mediator: TestMember) {
  const end = mediator.ends.at(-1);
  if (end === undefined) throw new Error('the mediator has no attachment');
  return end;
}

test('P2.3: DATA over the credit closes the link with over-credit; the far end is told the attachment is lost', async t => {
  const { made, others } = await scene(t);
  const { peer, end, mediator } = await rawAttached(made);
  // The mediator reads nothing: what it was sent stays in the server.
  const pause = mediator.transport as unknown as { socket: { pause(): void; resume(): void } };
  pause.socket.pause();
  for (let count = 0; count < 400; count++) peer.frame(frameType.data, Buffer.alloc(16_000), 1, 1);
  const said = await peer.end();
  if (said !== undefined) t.is(said, 'over-credit');
  pause.socket.resume();
  await until(() => end.gone !== undefined, 'the mediator is told');
  t.is(linesAbout(made, peer.remote).at(-1)?.code, 'over-credit');
  await until(() => made.server.switch.status().queuedBytes === 0, 'nothing is kept of it');
  await others.feelNothing();
});

const undecodable: Readonly<Record<string, Buffer>> = {
  nothing: Buffer.of(),
  'no room for a MAC': Buffer.alloc(20),
  'no CBOR': Buffer.concat([Buffer.from('00000001ff', 'hex'), Buffer.alloc(30, 0xff)]),
  'arrays in arrays': Buffer.concat([
    Buffer.from('00000001', 'hex'),
    nested.subarray(0, 8_000),
    Buffer.alloc(16),
  ]),
  'the longest frame there is': Buffer.alloc(16_372),
};

test('P1.5, P5.8: a COMMAND that cannot be read ends its label with bad-request; the link and the other labels live', async t => {
  const { made, others } = await scene(t);
  const mediator = await made.enrol({ role: 'mediator', name: 'good-gw', labels: ['lab'] });
  const laptop = await made.enrol({ role: 'terminal', name: 'raw-laptop' });
  const grant = await made.grant(laptop.key.text);
  const second = await attachEnds(laptop, mediator, grant);
  const peer = await RawLink.member(made.server.number, 'terminal', laptop.key);
  let label = 1;
  for (const [title, body] of Object.entries(undecodable)) {
    peer.frame(frameType.attach, goodAttach(label, mediator.key.publicKey, laptop.key.publicKey, grant));
    const live = () => peer.frames.filter(({ type }) => type === frameType.attached).length;
    await until(() => live() === (label + 1) / 2, 'it is attached');
    const end = endOf(mediator);
    peer.frame(frameType.command, body, label);
    const ended = () => peer.frames.filter(({ type }) => type === frameType.detach);
    await until(() => ended().length === (label + 1) / 2, `${title}: the label ends`);
    const { reason } = detach.fromBytes(frameBody(ended().at(-1) ?? raise()));
    t.is(errorCodeOf(reason ?? 0), 'bad-request', title);
    await until(() => end.gone !== undefined, 'the mediator is told');
    t.deepEqual(end.commands, [], 'nothing of it came through');
    label += 2;
  }
  t.false(peer.closed);
  t.is(second.atTerminal.gone, undefined);
  await others.feelNothing();
  peer.socket.destroy();
});

test('P1.2: frames for a label that is no more are dropped and counted, and do not end the link', async t => {
  const { made, others } = await scene(t);
  const { peer, end } = await rawAttached(made);
  peer.frame(frameType.detach, detach.toBytes({ label: 1 }));
  await until(() => end.gone !== undefined, 'it is detached');
  for (let count = 0; count < 1_000; count++) peer.frame(frameType.data, Buffer.alloc(100), 1, 1);
  peer.frame(frameType.ping, Buffer.from('a2010102191388', 'hex'));
  await until(() => peer.has(frameType.pong), 'the link lives');
  t.false(peer.closed);
  await others.feelNothing();
  peer.socket.destroy();
});

test('P1.4: types on labels that may not come from a member end the link; those reserved pass unread', async t => {
  const { made, others } = await scene(t);
  const mediator = await made.enrol({ role: 'mediator', name: 'good-gw', labels: ['lab'] });
  const laptop = await made.enrol({ role: 'terminal', name: 'other-laptop' });
  const grant = await made.grant(laptop.key.text);
  const { atTerminal, atMediator } = await attachEnds(laptop, mediator, grant);
  laptop.sendRaw(0x40, atTerminal.label, 0, Buffer.from('what a later version says'));
  await until(() => atMediator.frames.some(({ type }) => type === 0x40), 'it comes through');
  laptop.sendRaw(frameType.hello, atTerminal.label, 0, Buffer.of());
  await until(() => laptop.closed !== undefined, 'the link ends');
  t.is(laptop.closed?.code, 'unknown-type');
  await until(() => atMediator.gone !== undefined, 'the mediator is told');
  await others.feelNothing();
});

test('P4.1: a link that comes too late, with the number of one that is there, is sent away', async t => {
  const { made, others } = await scene(t);
  const laptop = await made.enrol({ role: 'terminal', name: 'raw-laptop' });
  const instance = randomBytes(16);
  const first = await made.connect('terminal', laptop.key, undefined, { instance, linkNo: 5 });
  await until(() => first.welcomed !== undefined, 'it is welcome');
  for (const linkNo of [4, 5]) {
    const late = await made.connect('terminal', laptop.key, undefined, { instance, linkNo });
    await until(() => late.closed !== undefined, 'it is sent away');
    t.is(late.closed?.code, 'displaced');
  }
  t.true(first.link.driver.live);
  await others.feelNothing();
});
