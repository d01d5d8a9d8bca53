import { randomBytes } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import { fakeClock } from '../base/clock.ts';
import { errorCodeOf, errorNumber } from '../base/errors.ts';
import { generateSigningKey, signBytes } from '../base/keys.ts';
import { until } from '../native/test-sockets.ts';
import { prepareAttach } from '../session/attach-handshake.ts';
import { encodeFrame, frameBody } from '../wire/frame.ts';
import { type AttachInner, attachInner } from '../wire/messages/attach.ts';
import { frameFlag, frameType } from '../wire/spec.ts';
import { makeRig, type Rig, type RigOptions } from './testing/rig.ts';
import { TestTerminal } from './testing/test-terminal.ts';

/** A server that has seen grants and frames, and does what it likes with them: nothing of it may run a command. */

async function rigged(t: ExecutionContext, options: RigOptions = {}): Promise<Rig> {
  const rig = await makeRig(options);
  t.teardown(() => rig.close());
  return rig;
}

/** Verbs that the mediator has acted on, attach aside. */
function acted(rig: Rig): string[] {
  return rig.lines.filter(({ decision }) => decision === 'allowed').map(({ verb }) => verb);
}

/** What becomes of a label that the server has to itself. */
interface Label {
  readonly label: number;
  readonly error: string | undefined;
  gone: string | undefined;
}

async function attachRaw(rig: Rig, inner: Uint8Array, mediator = rig.mediatorKey.publicKey): Promise<Label> {
  const found: { gone: string | undefined } = { gone: undefined };
  const answer = await rig.server.attach(mediator, inner, {
    onFrame: () => {},
    onGone: reason => {
      found.gone = (reason === undefined ? undefined : errorCodeOf(reason)) ?? 'detached';
    },
  });
  const error = answer.error === undefined ? undefined : errorCodeOf(answer.error);
  return Object.assign(found, { label: answer.label, error });
}

function innerOf(changes: Partial<AttachInner>): Uint8Array {
  return attachInner.toBytes({
    terminalKey: generateSigningKey().publicKey,
    instance: randomBytes(16),
    attachmentId: randomBytes(16),
    attempt: 1,
    x25519: randomBytes(32),
    grant: 'grant 1',
    holdMs: 0,
    purpose: 'assistance',
    capabilities: [],
    ...changes,
  });
}

test('an ATTACH that is malformed, for another mediator, or without a grant is refused with the reason', async t => {
  const rig = await rigged(t);
  t.is((await attachRaw(rig, Buffer.from('garbage'))).error, 'bad-request');
  t.is((await attachRaw(rig, innerOf({}), randomBytes(32))).error, 'no-such-mediator');
  t.is((await attachRaw(rig, innerOf({ grant: 'made up' }))).error, 'grant-invalid');
  const { key, grant } = rig.newKey();
  const lowOrder = innerOf({ grant: grant.text, terminalKey: key.publicKey, x25519: Buffer.alloc(32) });
  t.is((await attachRaw(rig, lowOrder)).error, 'proof-invalid');
  t.deepEqual(
    acted(rig).filter(verb => verb !== 'attach'),
    [],
  );
});

test('P6.3: a grant that was seen is worth nothing to another key', async t => {
  const rig = await rigged(t);
  const { grant } = rig.newKey();
  t.is((await attachRaw(rig, innerOf({ grant: grant.text }))).error, 'grant-invalid');
});

test('P6.4: who has a grant and the public key it is for, but not the private one, gets nothing run', async t => {
  const rig = await rigged(t);
  const { key, grant } = rig.newKey();
  const thief = generateSigningKey();
  const request = {
    mediatorKey: rig.mediatorKey.publicKey,
    instance: randomBytes(16),
    attachmentId: randomBytes(16),
    attempt: 1,
    grant: grant.text,
    holdMs: 0,
    purpose: 'assistance',
    capabilities: [],
  } as const;
  // As the thief would: the victim's public key, its own signature.
  const pretended = { ...thief, publicKey: key.publicKey };
  const prepared = prepareAttach(request, pretended);
  t.is((await attachRaw(rig, prepared.inner)).error, undefined);
  const stolen = await TestTerminal.attach(rig, {
    key: pretended,
    grant,
    signature: signBytes(thief, Buffer.from('T')),
  });
  void stolen.open();
  t.is(await stolen.gone.promise, 'proof-invalid');
  t.deepEqual(acted(rig), ['attach', 'attach']);
  t.is(rig.agent.attachedCount, 0);
});

test('P6.4: a replayed ATTACH meets a fresh X25519 key, so the old RESUME and commands are worth nothing', async t => {
  const rig = await rigged(t);
  const { key, grant } = rig.newKey();
  const sent: Buffer[] = [];
  const terminal = await TestTerminal.attach(rig, {
    key,
    grant,
    tamper: frame => {
      sent.push(Buffer.from(frame));
      return frame;
    },
  });
  t.is((await terminal.open()).code, 'ok');
  const [inner] = rig.server.attachInners;
  if (inner === undefined) return t.fail();
  rig.server.unroute(terminal.label, errorNumber('link-lost'));
  await until('the terminal is gone', () => rig.agent.attachedCount === 0);
  for (let replay = 0; replay < 3; replay++) {
    const label = await attachRaw(rig, inner);
    t.is(label.error, undefined);
    for (const frame of sent) rig.server.deliver(label.label, frame);
    await until('the label is ended', () => label.gone !== undefined);
    t.is(label.gone, 'proof-invalid');
  }
  t.deepEqual(acted(rig), ['attach', 'open', 'attach', 'attach', 'attach']);
});

test('P4.2: commands, data and datagrams before the proof end the label and run nothing', async t => {
  const rig = await rigged(t);
  const { key, grant } = rig.newKey();
  for (const type of [frameType.command, frameType.data, frameType.datagram, frameType.event]) {
    const label = await attachRaw(rig, innerOf({ terminalKey: key.publicKey, grant: grant.text }));
    rig.server.forge(type, label.label, 0, Buffer.alloc(64));
    await until('the label is ended', () => label.gone !== undefined);
    t.is(label.gone, 'protocol-error');
  }
  t.deepEqual([...new Set(acted(rig))], ['attach']);
});

const forgeries: Readonly<Record<string, (frame: Buffer) => Buffer>> = {
  'without MAC': frame => encodeFrame(headerOf(frame), frame.subarray(12, -16)),
  'with a made-up MAC': frame =>
    encodeFrame(headerOf(frame), Buffer.concat([frame.subarray(12, -16), randomBytes(16)])),
  'with one bit changed': frame => {
    const changed = Buffer.from(frame);
    changed[20] = (changed[20] ?? 0) ^ 1;
    return changed;
  },
  'of its own making': frame => encodeFrame(headerOf(frame), randomBytes(40)),
};

function headerOf(frame: Buffer): { type: number; flags: number; label: number; stream: number } {
  return { type: frame.readUInt8(0), flags: frame.readUInt8(1), label: 0, stream: 0 };
}

for (const [what, forge] of Object.entries(forgeries)) {
  test(`P6.4: a command ${what} ends the label and is not run`, async t => {
    const rig = await rigged(t);
    const terminal = await TestTerminal.attach(rig, {
      tamper: frame => (frame.readUInt8(0) === frameType.command ? forge(frame) : frame),
    });
    void terminal.open();
    t.is(await terminal.gone.promise, 'protocol-error');
    t.deepEqual(acted(rig), ['attach']);
  });
}

test('P3.7: a command that is delivered again is run once', async t => {
  const rig = await rigged(t);
  let kept: Buffer | undefined;
  const terminal = await TestTerminal.attach(rig, {
    tamper: frame => {
      if (frame.readUInt8(0) === frameType.command) kept = Buffer.from(frame);
      return frame;
    },
  });
  await terminal.open();
  const replayed = kept;
  for (let again = 0; again < 5; again++) rig.server.deliver(terminal.label, replayed ?? Buffer.alloc(0));
  t.is((await terminal.command({ verb: 'query', what: 'ports' })).ports?.length, 1);
  t.deepEqual(acted(rig), ['attach', 'open', 'query']);
});

test('P5.8: the server can deny a command: the answer says who and why, and it is not run', async t => {
  const rig = await rigged(t);
  const terminal = await TestTerminal.attach(rig, {
    tamper: frame => {
      if (frame.readUInt8(0) !== frameType.command) return frame;
      const body = Buffer.concat([frame.subarray(12), Buffer.from([errorNumber('grant-expired')])]);
      return encodeFrame({ ...headerOf(frame), flags: frameFlag.denied }, body);
    },
  });
  const answer = await terminal.open();
  t.deepEqual([answer.code, answer.by], ['not-permitted', 'server']);
  t.regex(answer.message ?? '', /grant-expired/);
  t.deepEqual(acted(rig), ['attach']);
  t.like(rig.lines.at(-1), { verb: 'open', decision: 'denied', by: 'server', code: 'grant-expired' });
  const { stream, result } = terminal.connect({ port: 1 }, 80);
  stream.stream.send(Buffer.from('early'));
  t.is((await result).code, 'not-permitted');
  await stream.heard('reset not-permitted');
});

test('P1.3: RESULT and EVENT never come to a mediator', async t => {
  const rig = await rigged(t);
  const terminal = await TestTerminal.attach(rig);
  rig.server.forge(frameType.result, terminal.label, 0, Buffer.alloc(64));
  t.is(await terminal.gone.promise, 'protocol-error');
});

test('P3.8: a stream id that does not rise ends the label, the link lives', async t => {
  const rig = await rigged(t);
  const terminal = await TestTerminal.attach(rig);
  const connect = { verb: 'connect', port: 1, address: '127.0.0.1', number: 9, limit: 4096 } as const;
  void terminal.command({ ...connect, stream: 8 });
  t.is(await terminal.gone.promise, 'protocol-error');
  t.is((await (await TestTerminal.attach(rig)).open()).code, 'ok');
});

test('P4.2: at most 4 proofs are awaited, each for 10 s', async t => {
  const clock = fakeClock();
  const rig = await rigged(t, { clock });
  const { key, grant } = rig.newKey();
  const labels: Label[] = [];
  for (let count = 0; count < 6; count++) {
    labels.push(await attachRaw(rig, innerOf({ terminalKey: key.publicKey, grant: grant.text })));
  }
  t.deepEqual(
    labels.map(({ error }) => error),
    [undefined, undefined, undefined, undefined, 'limit', 'limit'],
  );
  clock.advance(9_999);
  t.true(labels.every(({ gone }) => gone === undefined));
  clock.advance(1);
  await until('all are ended', () => labels.slice(0, 4).every(({ gone }) => gone === 'too-slow'));
  t.is((await TestTerminal.attach(rig)).label > 0, true);
});

test('P4.2: an ATTACH changes nothing of a live attachment before its proof', async t => {
  const rig = await rigged(t);
  const { key, grant } = rig.newKey();
  const [attachmentId, instance] = [randomBytes(16), randomBytes(16)];
  const first = await TestTerminal.attach(rig, { key, grant, attachmentId, instance, attempt: 1 });
  const { port = 0 } = await first.open();
  const claimed = innerOf({
    terminalKey: key.publicKey,
    grant: grant.text,
    attachmentId,
    instance,
    attempt: 9,
  });
  await attachRaw(rig, claimed);
  t.is((await first.command({ verb: 'query', what: 'ports' })).ports?.[0]?.port, port);
  const replacing = { key, grant, attachmentId, instance };
  await t.throwsAsync(TestTerminal.attach(rig, { ...replacing, attempt: 1 }), { code: 'in-use' });
  await t.throwsAsync(TestTerminal.attach(rig, { ...replacing, instance: randomBytes(16), attempt: 2 }), {
    code: 'in-use',
  });
  const second = await TestTerminal.attach(rig, { ...replacing, attempt: 2 });
  t.is(await first.gone.promise, 'displaced');
  t.deepEqual((await second.command({ verb: 'query', what: 'ports' })).ports, []);
});

test('a frame of a mediator that is not the one the terminal asked for: ATTACHED does not verify', async t => {
  const rig = await rigged(t);
  const { key, grant } = rig.newKey();
  const other = generateSigningKey();
  const prepared = prepareAttach(
    {
      mediatorKey: other.publicKey,
      instance: randomBytes(16),
      attachmentId: randomBytes(16),
      attempt: 1,
      grant: grant.text,
      holdMs: 0,
      purpose: 'assistance',
      capabilities: [],
    },
    key,
  );
  await rig.server.attach(rig.mediatorKey.publicKey, prepared.inner, { onFrame: () => {}, onGone: () => {} });
  const answer = rig.server.lastAnswer;
  if (answer === undefined) return t.fail();
  t.throws(() => prepared.complete(answer), { code: 'proof-invalid' });
});

test('frames on a refused label are dropped and do no harm', async t => {
  const rig = await rigged(t);
  const refused = await attachRaw(rig, innerOf({ grant: 'made up' }));
  rig.server.forge(frameType.command, refused.label, 0, Buffer.alloc(64));
  const terminal = await TestTerminal.attach(rig);
  t.is((await terminal.open()).code, 'ok');
  t.true(rig.server.seen.every(frame => frameBody(frame).length > 0));
  t.is(rig.link.droppedFrames, 1);
});
