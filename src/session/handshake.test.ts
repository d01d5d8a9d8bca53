import { randomBytes } from 'node:crypto';
import test from 'ava';
import { EntremiseError } from '../base/errors.ts';
import { generateSigningKey } from '../base/keys.ts';
import { encodeFrame, frameBody } from '../wire/frame.ts';
import { hello, proof, welcome } from '../wire/messages/link.ts';
import { frameType } from '../wire/spec.ts';
import { MemberHandshake, ServerHandshake, type ServerHandshakeOptions } from './handshake.ts';
import { parseFrame } from './testing/frames.ts';

function parties(changes: Partial<ServerHandshakeOptions> = {}, memberExporter?: Buffer) {
  const signer = generateSigningKey();
  const binding = { serverPin: randomBytes(32), exporter: randomBytes(32) };
  const identity = {
    role: 'mediator' as const,
    signer,
    instance: randomBytes(16),
    software: 'test',
    capabilities: ['a'],
  };
  const authorityKey = randomBytes(32);
  const server = new ServerHandshake({
    ...binding,
    nonce: randomBytes(32),
    bootId: randomBytes(16),
    capabilities: ['b'],
    authorityKey,
    ...changes,
  });
  const member = new MemberHandshake(identity, 3, {
    ...binding,
    exporter: memberExporter ?? binding.exporter,
  });
  return { signer, identity, binding, server, member, authorityKey };
}

function sent(outcome: object): Buffer {
  return 'send' in outcome && Buffer.isBuffer(outcome.send) ? outcome.send : Buffer.alloc(12);
}

function runUntilProof({ server, member }: ReturnType<typeof parties>): Buffer {
  const challenge = sent(server.receive(parseFrame(member.start())));
  return sent(member.receive(parseFrame(challenge)));
}

test('P6.1: a member proves its key, and is welcomed', t => {
  const all = parties();
  const outcome = all.server.receive(parseFrame(runUntilProof(all)));
  t.true('member' in outcome);
  if (!('member' in outcome)) return;
  t.is(Buffer.compare(outcome.member.key, all.signer.publicKey), 0);
  t.is(outcome.member.linkNo, 3);
  const body = welcome.toBytes({ statementSeq: 4, serverTimeMs: 5, nextWithinMs: 6 });
  const end = all.member.receive(
    parseFrame(encodeFrame({ type: frameType.welcome, flags: 0, label: 0, stream: 0 }, body)),
  );
  t.true('welcomed' in end);
  if ('welcomed' in end) t.deepEqual([end.welcomed.statementSeq, end.welcomed.capabilities], [4, ['b']]);
});

test('P6.1: a PROOF made for another TLS session, pin, nonce or link is refused', t => {
  const otherSession = parties({}, randomBytes(32));
  t.throws(() => otherSession.server.receive(parseFrame(runUntilProof(otherSession))), {
    code: 'proof-invalid',
  });
  const otherPin = parties({ serverPin: randomBytes(32) });
  t.throws(() => otherPin.server.receive(parseFrame(runUntilProof(otherPin))), { code: 'proof-invalid' });
  const replayed = parties();
  const old = runUntilProof(replayed);
  const fresh = new ServerHandshake({
    ...replayed.binding,
    nonce: randomBytes(32),
    bootId: randomBytes(16),
    capabilities: [],
    authorityKey: undefined,
  });
  fresh.receive(parseFrame(replayed.member.start()));
  t.throws(() => fresh.receive(parseFrame(old)), { code: 'proof-invalid' });
});

test('P6.1: instance, linkNo and role stand under the signature', t => {
  for (const change of [{ linkNo: 4 }, { instance: randomBytes(16) }, { role: 'terminal' as const }]) {
    const all = parties();
    const said = hello.fromBytes(frameBody(parseFrame(all.member.start())));
    const changed = encodeFrame(
      { type: frameType.hello, flags: 0, label: 0, stream: 0 },
      hello.toBytes({ ...said, ...change }),
    );
    const challenge = sent(all.server.receive(parseFrame(changed)));
    const answer = sent(all.member.receive(parseFrame(challenge)));
    t.throws(() => all.server.receive(parseFrame(answer)), { code: 'proof-invalid' });
  }
});

test('before authentication anything but the expected frame ends the link', t => {
  for (const type of [
    frameType.proof,
    frameType.ping,
    frameType.attach,
    frameType.report,
    frameType.command,
  ]) {
    const { server } = parties();
    const frame = encodeFrame({ type, flags: 0, label: 0, stream: 0 }, Buffer.alloc(0));
    t.throws(() => server.receive(parseFrame(frame)), { code: 'unauthenticated' });
  }
  const onLabel = parties();
  const frame = encodeFrame({ type: frameType.hello, flags: 0, label: 1, stream: 0 }, Buffer.alloc(0));
  t.throws(() => onLabel.server.receive(parseFrame(frame)), { code: 'unauthenticated' });
});

test('a second HELLO and a second PROOF are refused', t => {
  const twice = parties();
  twice.server.receive(parseFrame(twice.member.start()));
  t.throws(() => twice.server.receive(parseFrame(twice.member.start())), { code: 'unauthenticated' });
  const done = parties();
  const made = runUntilProof(done);
  done.server.receive(parseFrame(made));
  t.throws(() => done.server.receive(parseFrame(made)), { code: 'unauthenticated' });
});

test('a member takes no WELCOME before it was challenged, and no second CHALLENGE', t => {
  const { member } = parties();
  const body = welcome.toBytes({ statementSeq: 1, serverTimeMs: 1, nextWithinMs: 1 });
  const early = encodeFrame({ type: frameType.welcome, flags: 0, label: 0, stream: 0 }, body);
  t.throws(() => member.receive(parseFrame(early)), { code: 'unauthenticated' });
  const all = parties();
  const challenge = sent(all.server.receive(parseFrame(all.member.start())));
  all.member.receive(parseFrame(challenge));
  t.throws(() => all.member.receive(parseFrame(challenge)), { code: 'unauthenticated' });
});

test('no common version is told as such', t => {
  const all = parties();
  const said = hello.fromBytes(frameBody(parseFrame(all.member.start())));
  const old = encodeFrame(
    { type: frameType.hello, flags: 0, label: 0, stream: 0 },
    hello.toBytes({ ...said, versions: [9] }),
  );
  t.throws(() => all.server.receive(parseFrame(old)), { code: 'version-mismatch' });
});

test('P6.5: who enrols compares pin and authority before it proves anything', t => {
  const all = parties();
  const seen: number[] = [];
  const enrolment = {
    statement: 'enrolment',
    check(pin: Uint8Array, key: Uint8Array) {
      seen.push(Buffer.compare(pin, all.binding.serverPin), Buffer.compare(key, all.authorityKey));
    },
  };
  const member = new MemberHandshake(all.identity, 3, all.binding, enrolment);
  const challenge = sent(all.server.receive(parseFrame(member.start())));
  const answer = member.receive(parseFrame(challenge));
  t.deepEqual(seen, [0, 0]);
  t.is(proof.fromBytes(frameBody(parseFrame(sent(answer)))).enrolment, 'enrolment');
  const wary = new MemberHandshake(all.identity, 3, all.binding, {
    statement: 'enrolment',
    check() {
      throw new EntremiseError('pin-mismatch');
    },
  });
  t.throws(() => wary.receive(parseFrame(challenge)), { code: 'pin-mismatch' });
});
