import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import test from 'ava';
import { generateSigningKey } from '../base/keys.ts';
import { createKeyAndCertificate } from '../transport/certificate.ts';
import type { Command } from '../wire/messages/command.ts';
import { statement } from '../wire/messages/link.ts';
import { presence, type Report, report } from '../wire/messages/report.ts';
import { frameType } from '../wire/spec.ts';
import { putIntoInbox } from './inbox.ts';
import { documentsOf, type TestMember, TestOperator, until } from './testing/test-operator.ts';

async function operator(t: { teardown(run: () => Promise<void>): void }, untrusted = false) {
  const made = await TestOperator.start(untrusted);
  t.teardown(() => made.end());
  return made;
}

/** A mediator labelled `lab` and a terminal with a grant for it. */
async function pair(made: TestOperator, commands?: ('open' | 'query')[]) {
  const mediator = await made.enrol({ role: 'mediator', name: 'gw-1', labels: ['lab'] });
  const terminal = await made.enrol({ role: 'terminal', name: 'laptop' });
  const grant = await made.grant(terminal.key.text, commands === undefined ? {} : { commands });
  return { mediator, terminal, grant };
}

async function attached(made: TestOperator, commands?: ('open' | 'query')[]) {
  const members = await pair(made, commands);
  const atTerminal = members.terminal.attachTo(members.mediator.key.publicKey, members.grant);
  await until(() => atTerminal.attachment?.open, 'the attachment is open');
  const atMediator = members.mediator.ends[0];
  if (atMediator === undefined) throw new Error('the mediator has no attachment');
  return { ...members, atTerminal, atMediator };
}

const openWildcard: Command = { id: 1, verb: 'open', protocol: 'tcp', number: 0, choice: 'any' };

test('server init keeps key and state from others', async t => {
  const made = await operator(t);
  t.is(statSync(made.stateDir).mode & 0o777, 0o700);
  t.is(statSync(join(made.stateDir, 'server.key')).mode & 0o777, 0o600);
});

test('P6.1: a key without a member statement is sent away with not-enrolled', async t => {
  const made = await operator(t);
  const stranger = await made.connect('terminal', generateSigningKey());
  await until(() => stranger.closed !== undefined, 'the link is closed');
  t.is(stranger.closed?.code, 'not-enrolled');
});

test('a server without a trust statement lets nobody in and says what is missing', async t => {
  const made = await operator(t, true);
  const stranger = await made.connect('terminal', generateSigningKey());
  await until(() => stranger.closed !== undefined, 'the link is closed');
  t.is(stranger.closed?.code, 'not-enrolled');
});

test('P6.5: a code enrols one key, which gets trust and member statement; the key comes back without it', async t => {
  const made = await operator(t);
  const member = await made.enrol({ role: 'terminal', name: 'laptop' });
  await until(() => documentsOf(member).length >= 2, 'the documents arrive');
  t.is(documentsOf(member).filter(text => text.includes('~')).length, 1);
  const again = await made.connect('terminal', member.key);
  await until(() => again.welcomed !== undefined, 'the key is welcome');
  t.is(made.server.documents.member(member.key.text)?.name, 'laptop');
});

test('what the authority says and who enrols is in the audit', async t => {
  const made = await operator(t);
  const { mediator, terminal } = await pair(made);
  const lines = made.audit().map(({ action, name, key }) => [action, name, key]);
  t.deepEqual(lines, [
    ['trust', undefined, undefined],
    ['invitation', 'gw-1', undefined],
    ['enrol', 'gw-1', mediator.key.text],
    ['invitation', 'laptop', undefined],
    ['enrol', 'laptop', terminal.key.text],
    ['grant', undefined, undefined],
  ]);
});

test('P6.5: a code is used once', async t => {
  const made = await operator(t);
  const code = await made.invite({ role: 'terminal', name: 'laptop' });
  await made.enrol({ role: 'terminal', name: 'laptop', code });
  await t.throwsAsync(made.enrol({ role: 'terminal', name: 'laptop', code }), { code: 'code-used' });
});

test('P6.5: of two keys that use a code at the same moment one is enrolled', async t => {
  const made = await operator(t);
  const code = await made.invite({ role: 'terminal', name: 'laptop' });
  const tries = await Promise.allSettled(
    [1, 2].map(() => made.enrol({ role: 'terminal', name: 'laptop', code })),
  );
  t.is(tries.filter(({ status }) => status === 'fulfilled').length, 1);
  t.is(made.server.documents.allMembers().length, 1);
});

test('P6.5: a code that is too old, or that nobody issued, enrols nobody', async t => {
  const made = await operator(t);
  const code = await made.invite({ role: 'terminal', name: 'laptop' }, 60_000);
  made.clock.wallAheadMs = 61_000;
  await t.throwsAsync(made.enrol({ role: 'terminal', name: 'laptop', code }), { code: 'code-expired' });
  const other = await operator(t);
  const foreign = await other.invite({ role: 'terminal', name: 'laptop' });
  await t.throwsAsync(made.enrol({ role: 'terminal', name: 'laptop', code: foreign }), {
    code: 'code-invalid',
  });
});

test('names are unique among members', async t => {
  const made = await operator(t);
  await made.enrol({ role: 'terminal', name: 'laptop' });
  await t.throwsAsync(made.enrol({ role: 'terminal', name: 'laptop' }), { code: 'name-taken' });
});

test('a mediator that says it is a terminal is sent away', async t => {
  const made = await operator(t);
  const mediator = await made.enrol({ role: 'mediator', name: 'gw-1' });
  const disguised = await made.connect('terminal', mediator.key);
  await until(() => disguised.closed !== undefined, 'the link is closed');
  t.is(disguised.closed?.code, 'not-enrolled');
});

test('enrolments from one address are limited', async t => {
  const made = await operator(t);
  const foreign = await (await operator(t)).invite({ role: 'terminal', name: 'x' });
  const codes: unknown[] = [];
  for (let count = 0; count < 12; count++) {
    const member = await made.connect('terminal', generateSigningKey(), foreign);
    await until(() => member.closed !== undefined, 'the link is closed');
    codes.push(member.closed?.code);
  }
  t.is(codes[0], 'code-invalid');
  t.is(codes.at(-1), 'limit');
});

test('P5.8: a command that the grant allows reaches the mediator, and the audit has both lines before', async t => {
  const made = await operator(t);
  const { terminal, mediator, atTerminal, atMediator } = await attached(made, ['query']);
  atTerminal.attachment?.sendCommand({ id: 3, verb: 'query', what: 'ports' });
  await until(() => atMediator.commands.length === 1, 'the command arrives');
  t.is(atMediator.commands[0]?.denied, undefined);
  const lines = made.audit().filter(({ action }) => action === 'attach' || action === 'command');
  t.deepEqual(
    lines.map(({ action, allowed }) => [action, allowed]),
    [
      ['attach', true],
      ['command', true],
    ],
  );
  t.like(lines[1], { terminal: terminal.key.text, mediator: mediator.key.text, seq: 1 });
});

test('P5.8: a command that the grant does not name arrives as refused', async t => {
  const made = await operator(t);
  const { atTerminal, atMediator } = await attached(made, ['query']);
  atTerminal.attachment?.sendCommand(openWildcard);
  await until(() => atMediator.commands.length === 1, 'the command arrives');
  t.is(atMediator.commands[0]?.denied, 'not-permitted');
  t.like(made.audit().at(-1), { action: 'command', allowed: false, code: 'not-permitted', by: 'grant' });
});

test('a grant for other mediators, of another terminal, or by nobody opens nothing', async t => {
  const made = await operator(t);
  const { mediator, terminal } = await pair(made);
  const elsewhere = await made.grant(terminal.key.text, { mediators: [{ name: 'other' }] });
  const another = await made.grant(generateSigningKey().text);
  for (const grant of [elsewhere, another, 'no grant at all']) {
    const end = terminal.attachTo(mediator.key.publicKey, grant);
    await until(() => end.refused !== undefined, 'the refusal arrives');
    t.true(['not-permitted', 'grant-invalid'].includes(end.refused?.code ?? ''), end.refused?.code);
  }
  const nobody = terminal.attachTo(generateSigningKey().publicKey, 'x');
  await until(() => nobody.refused !== undefined, 'the refusal arrives');
  t.is(nobody.refused?.code, 'no-such-mediator');
});

function pushOverLink(member: TestMember, documents: string[]): void {
  member.link.driver.send(frameType.statement, statement.toBytes({ id: 5, documents }));
}

test('P6.2: a revocation that any member brings closes what it allowed, and reaches every member', async t => {
  const made = await operator(t);
  const { terminal, mediator, atTerminal, atMediator } = await attached(made);
  const trust = await made.issueTrust({ revokedKeys: [terminal.key.text] });
  pushOverLink(mediator, [trust]);
  await until(() => terminal.closed !== undefined, 'the revoked key loses its link');
  t.is(terminal.closed?.code, 'key-revoked');
  await until(() => atTerminal.gone !== undefined && atMediator.gone !== undefined, 'both ends are told');
  t.is(atMediator.gone, 'key-revoked');
  await until(() => documentsOf(mediator).includes(trust), 'the mediator has the statement');
  const back = await made.connect('terminal', terminal.key);
  await until(() => back.closed !== undefined, 'the key does not come back');
  t.is(back.closed?.code, 'key-revoked');
});

test('P6.2: a revoked grant ends its attachment and leaves the link', async t => {
  const made = await operator(t);
  const { terminal, mediator, grant, atTerminal, atMediator } = await attached(made);
  const id = (JSON.parse(Buffer.from(grant.split('.')[1] ?? '', 'base64url').toString()) as { jti: string })
    .jti;
  pushOverLink(mediator, [await made.issueTrust({ revokedGrants: [id] })]);
  await until(() => atTerminal.gone !== undefined && atMediator.gone !== undefined, 'both ends are told');
  t.deepEqual([atTerminal.gone, atMediator.gone], ['grant-revoked', 'grant-revoked']);
  t.true(terminal.link.driver.live);
});

const someReport: Report = {
  hostname: 'gateway',
  interfaces: [],
  routes: [],
  bootId: Buffer.alloc(16),
  uptimeS: 5,
  services: [],
  software: 'lab',
};

test('P1.8, P6.9: members, grants and the last REPORT outlive the server; presence shows them', async t => {
  const made = await operator(t);
  const { mediator, terminal, grant } = await pair(made);
  mediator.link.driver.send(frameType.report, report.toBytes(someReport));
  terminal.link.driver.send(frameType.presence, presence.toBytes({ subscribe: true }));
  const entries = (member: TestMember) => member.presence.flatMap(({ entries: page = [] }) => page);
  await until(() => entries(terminal).some(entry => entry.report !== undefined), 'the report is told');
  await made.stopServer();
  await until(() => terminal.closed !== undefined, 'the terminal is told');
  t.is(terminal.closed?.code, 'shutting-down');
  await made.startServer();
  const back = await made.connect('terminal', terminal.key);
  await until(() => documentsOf(back).includes(grant), 'the terminal gets its grant again');
  back.link.driver.send(frameType.presence, presence.toBytes({ subscribe: true }));
  await until(() => entries(back).length === 1, 'the mediator is told');
  t.like(entries(back)[0], { online: false });
  t.is(entries(back)[0]?.report?.hostname, 'gateway');
  t.true((entries(back)[0]?.sinceMs ?? 0) > Date.now() - 60_000);
});

test('P1.8: a terminal sees only mediators that its grants name', async t => {
  const made = await operator(t);
  const { terminal } = await pair(made);
  await made.enrol({ role: 'mediator', name: 'gw-2', labels: ['elsewhere'] });
  terminal.link.driver.send(frameType.presence, presence.toBytes({ subscribe: true }));
  await until(() => terminal.presence.some(({ complete }) => complete === true), 'the answer is complete');
  t.is(terminal.presence.flatMap(({ entries = [] }) => entries).length, 1);
});

test('documents in the inbox are taken by a running server, and by one that starts', async t => {
  const made = await operator(t);
  const first = await made.issueTrust({});
  t.deepEqual(await putIntoInbox(made.stateDir, [first, 'nonsense'], 10_000), [
    undefined,
    'document-invalid',
  ]);
  const seq = made.server.documents.trustSeq;
  await made.stopServer();
  t.is(await putIntoInbox(made.stateDir, [await made.issueTrust({})], 0), undefined);
  await made.startServer();
  t.is(made.server.documents.trustSeq, seq + 1);
});

test('a server that ends leaves its port and its links', async t => {
  const made = await operator(t);
  const member = await made.enrol({ role: 'terminal', name: 'laptop' });
  const { number } = made.server;
  await made.stopServer();
  await until(() => member.closed !== undefined, 'the member is told');
  t.is(member.closed?.code, 'shutting-down');
  const refused = await new Promise(resolve => {
    const socket = connect(number, '127.0.0.1', () => resolve(undefined));
    socket.on('error', resolve);
  });
  t.like(refused, { code: 'ECONNREFUSED' });
});

test('reload takes a new certificate for later handshakes and touches no link; a wrong one leaves the old', async t => {
  const made = await operator(t);
  const { atTerminal } = await attached(made);
  const pinNow = async () => {
    const socket = connectTls({ port: made.server.number, host: '127.0.0.1', rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const { raw } = socket.getPeerCertificate();
    socket.destroy();
    return createHash('sha256').update(raw).digest('hex');
  };
  const before = await pinNow();
  const key = join(made.stateDir, 'server.key');
  const fresh = await createKeyAndCertificate(['127.0.0.1']);
  writeFileSync(key, fresh.key);
  made.server.reload();
  t.is(await pinNow(), before, 'a key without its certificate is not taken');
  writeFileSync(join(made.stateDir, 'server.crt'), fresh.cert);
  made.server.reload();
  t.not(await pinNow(), before);
  t.true(atTerminal.attachment?.open);
});
