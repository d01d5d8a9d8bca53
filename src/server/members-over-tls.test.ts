import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../base/clock.ts';
import { generateSigningKey } from '../base/keys.ts';
import { silentLog } from '../base/log.ts';
import { MemberDirectory } from '../member/directory.ts';
import { enrolMember } from '../member/enrol.ts';
import { type RunningMember, startMember } from '../member/running-member.ts';
import { parseEnrolmentCode } from '../policy/enrolment-code.ts';
import { storedMembers } from './members.ts';
import { attachedEnds } from './testing/attached-ends.ts';
import { TestOperator, until } from './testing/test-operator.ts';

async function operator(t: ExecutionContext): Promise<TestOperator> {
  const made = await TestOperator.start();
  t.teardown(() => made.end());
  return made;
}

function enrol(made: TestOperator, name: string, code: string, at = made, role: Role = 'terminal') {
  const directory = new MemberDirectory(join(made.directory, name));
  const server = { host: '127.0.0.1', number: at.server.number };
  const options = { directory, role, server, software: 'test', log: silentLog() };
  return { directory, membership: () => enrolMember({ ...options, code: parseEnrolmentCode(code) }) };
}

type Role = 'mediator' | 'terminal';

/** An enrolled member, running; `offline` holds the codes of what ended its links. */
async function running(t: ExecutionContext, made: TestOperator, name: string) {
  const code = await made.invite({ role: 'terminal', name });
  const { directory, membership } = enrol(made, name, code);
  await membership();
  return { directory, ...(await start(t, made, directory)) };
}

async function start(t: ExecutionContext, made: TestOperator, directory: MemberDirectory) {
  const offline: string[] = [];
  let links = 0;
  const nothing = () => {};
  const member: RunningMember = await startMember({
    directory,
    role: 'terminal',
    software: 'test',
    capabilities: [],
    clock: systemClock,
    log: silentLog(),
    servers: [{ host: '127.0.0.1', number: made.server.number }],
    handlers: {
      onOnline: () => links++,
      onOffline: error => offline.push(error.code),
      onAttach: nothing,
      onAttached: nothing,
      onPresence: nothing,
      onService: nothing,
    },
  });
  t.teardown(() => member.stop());
  await until(() => links > 0 || offline.length > 0, 'the first try is over');
  return { member, offline, links: () => links };
}

test('from a code to a link: what is kept is enough to come back, and says who the member is', async t => {
  const made = await operator(t);
  const { directory, member, links } = await running(t, made, 'laptop');
  t.is(links(), 1);
  t.like(directory.membership(), { role: 'terminal', name: 'laptop' });
  t.is(member.trust.own.name, 'laptop');
  t.is(member.trust.current.seq, made.server.documents.trustSeq);
  const grant = await made.grant(member.key.text);
  await until(() => member.trust.grants.length === 1, 'the grant arrives');
  await until(() => directory.grants().includes(grant), 'the grant is kept');
});

test('P6.1: a code goes to no other server than the one it was made for', async t => {
  const [made, other] = [await operator(t), await operator(t)];
  const code = await made.invite({ role: 'terminal', name: 'laptop' });
  const wrong = enrol(made, 'laptop', code, other);
  await t.throwsAsync(wrong.membership(), { code: 'pin-mismatch', message: /not the server that this code/ });
  t.deepEqual(
    other.audit().filter(({ action }) => action === 'enrol'),
    [],
  );
  t.is(wrong.directory.membership(), undefined);
  await enrol(made, 'laptop', code).membership();
});

test('P6.5: a code that is used, too old or of the other role is refused, and nothing is kept', async t => {
  const made = await operator(t);
  const used = await made.invite({ role: 'terminal', name: 'laptop' });
  await enrol(made, 'laptop', used).membership();
  const forGateway = await made.invite({ role: 'mediator', name: 'gw-1' });
  const late = await made.invite({ role: 'terminal', name: 'late' }, 60_000);
  const refused = async (name: string, code: string, expected: string) => {
    const { directory, membership } = enrol(made, name, code);
    await t.throwsAsync(membership(), { code: expected });
    t.is(directory.membership(), undefined);
  };
  await refused('again', used, 'code-used');
  await refused('wrong-role', forGateway, 'code-invalid');
  made.clock.wallAheadMs = 61_000;
  await refused('late', late, 'code-expired');
  made.clock.wallAheadMs = 0;
  await enrol(made, 'gw-1', forGateway, made, 'mediator').membership();
});

test('an operator whose trust statement does not name the server is told of it before anybody believes it', async t => {
  const made = await operator(t);
  const code = await made.invite({ role: 'terminal', name: 'laptop' });
  await made.push(await made.issueTrust({ serverPins: [generateSigningKey().text] }));
  const { directory, membership } = enrol(made, 'laptop', code);
  await t.throwsAsync(membership(), { code: 'pin-mismatch', message: /authority trust --pin/ });
  t.is(directory.membership(), undefined);
  await made.push(await made.issueTrust({ serverPins: [made.server.pin] }));
  t.is((await membership()).name, 'laptop');
});

test('P6.2: a trust statement that one member brings is with all others within 5 s', async t => {
  const made = await operator(t);
  const [bringer, revoked, ...others] = await Promise.all(
    ['a', 'b', 'c', 'd'].map(name => running(t, made, name)),
  );
  if (bringer === undefined || revoked === undefined) return t.fail();
  const text = await made.issueTrust({ revokedKeys: [revoked.member.key.text] });
  const startMs = performance.now();
  t.deepEqual(await bringer.member.pushDocuments([text, 'nonsense', text]), [
    undefined,
    'document-invalid',
    undefined,
  ]);
  const seq = made.server.documents.trustSeq;
  for (const { member } of others) await until(() => member.trust.current.seq === seq, 'everybody knows');
  await until(() => revoked.offline.length > 0, 'the revoked one loses its link');
  t.true(performance.now() - startMs < 5_000);
  t.is(revoked.offline[0], 'key-revoked');
  t.deepEqual((await start(t, made, revoked.directory)).offline.slice(0, 1), ['key-revoked']);
});

test('what was pushed is answered, or told as not answered: never taken for accepted', async t => {
  const made = await operator(t);
  const { member } = await running(t, made, 'laptop');
  const pushed = member.pushDocuments([await made.issueTrust({})]);
  await made.stopServer();
  const outcome = await pushed.catch((thrown: { code: string }) => thrown.code);
  t.true(outcome === 'link-lost' || (Array.isArray(outcome) && outcome.length === 1));
  await t.throwsAsync(member.pushDocuments(['x']), { code: 'link-lost' });
});

test('P4.1: a second instance of a mediator takes over, of a terminal both stay; the alarm is in the log', async t => {
  const made = await operator(t);
  const gateway = await made.enrol({ role: 'mediator', name: 'gw-1' });
  const again = await made.connect('mediator', gateway.key);
  await until(() => again.welcomed !== undefined && gateway.closed !== undefined, 'the new one takes over');
  t.is(gateway.closed?.code, 'displaced');
  const alarms = made.logged.filter(({ msg }) => String(msg).startsWith('duplicate-identity'));
  t.is(alarms.length, 1);
  const laptop = await made.enrol({ role: 'terminal', name: 'laptop' });
  const second = await made.connect('terminal', laptop.key);
  await until(() => second.welcomed !== undefined, 'the second is welcome');
  t.true(laptop.link.driver.live);
  t.is(made.server.switch.status().members, 3);
});

test('P6.2: a mediator whose key is revoked loses its link and its attachments; terminals stay', async t => {
  const made = await operator(t);
  const { terminal, mediator, atTerminal } = await attachedEnds(made);
  await made.push(await made.issueTrust({ revokedKeys: [mediator.key.text] }));
  await until(() => mediator.closed !== undefined && atTerminal.gone !== undefined, 'both are told');
  t.is(mediator.closed?.code, 'key-revoked');
  t.true(terminal.link.driver.live);
  t.is(made.server.switch.status().attachments, 0);
});

test('P6.2: when the authority gives the name to another key, the old one loses its link', async t => {
  const made = await operator(t);
  const { mediator } = await attachedEnds(made);
  const fresh = generateSigningKey();
  const identity = { role: 'mediator', name: 'gw-1', labels: [] } as const;
  await made.push(await made.authority.member(fresh.text, identity, Date.now()));
  await until(() => mediator.closed !== undefined, 'the old one is sent away');
  t.is(mediator.closed?.code, 'not-enrolled');
  const replacement = await made.connect('mediator', fresh);
  await until(() => replacement.welcomed !== undefined, 'the new one is welcome');
});

test('P6.9: last seen is that of the last link, over a restart', async t => {
  const made = await operator(t);
  const gateway = await made.enrol({ role: 'mediator', name: 'gw-1' });
  const beforeMs = made.clock.wallTimeMs();
  gateway.transport.destroy();
  await until(() => made.server.switch.status().members === 0, 'the server knows');
  await made.stopServer();
  await made.startServer();
  const [listed] = await storedMembers(made.stateDir);
  t.like(listed, { name: 'gw-1', role: 'mediator', key: gateway.key.text });
  t.true((listed?.lastSeenMs ?? 0) >= beforeMs);
});
