import test from 'ava';
import { generateSigningKey } from '../base/keys.ts';
import { attach, attached } from '../wire/messages/attach.ts';
import { frameType } from '../wire/spec.ts';
import type { AttachDecision } from './permit.ts';
import { Lab, settle, until } from './testing/lab.ts';

test('an ATTACH that is allowed leaves an audit line with both members, the grant and where it came from', async t => {
  const lab = new Lab();
  const { terminal, mediator } = await lab.attached();
  t.is(lab.audit.length, 1);
  t.is(lab.audit[0]?.action, 'attach');
  t.like(lab.audit[0]?.fields, {
    terminal: terminal.key.text,
    mediator: mediator.key.text,
    grant: 'grant-0001',
    remote: 'memory:client',
    allowed: true,
  });
});

test('an ATTACH that is refused is answered with the reason and whose it is, audited, and never reaches the mediator', async t => {
  const lab = new Lab();
  const mediator = await lab.member({ role: 'mediator' });
  const terminal = await lab.member({ role: 'terminal' });
  lab.authoriseAttach = async () => ({
    allowed: false,
    code: 'grant-expired',
    by: 'grant',
    message: 'Too late.',
  });
  const end = terminal.attachTo(mediator.key.publicKey);
  await until(() => end.refused !== undefined, 'the refusal arrives');
  t.deepEqual(end.refused, { code: 'grant-expired', by: 'grant' });
  t.like(lab.audit[0]?.fields, { allowed: false, code: 'grant-expired', by: 'grant', reason: 'Too late.' });
  t.is(mediator.attaches.length, 0);
});

test('an ATTACH to a mediator that is not connected is answered mediator-offline', async t => {
  const lab = new Lab();
  const terminal = await lab.member({ role: 'terminal' });
  const end = terminal.attachTo(generateSigningKey().publicKey);
  await until(() => end.refused !== undefined, 'the refusal arrives');
  t.deepEqual(end.refused, { code: 'mediator-offline', by: 'server' });
});

test('an ATTACH whose audit line cannot be written is refused', async t => {
  const lab = new Lab();
  const mediator = await lab.member({ role: 'mediator' });
  const terminal = await lab.member({ role: 'terminal' });
  lab.auditFails = true;
  const end = terminal.attachTo(mediator.key.publicKey);
  await until(() => end.refused !== undefined, 'the refusal arrives');
  t.deepEqual(end.refused, { code: 'audit-unavailable', by: 'server' });
  t.is(mediator.attaches.length, 0);
});

test('an ATTACH that speaks of another key than the proved one is refused', async t => {
  const lab = new Lab();
  const mediator = await lab.member({ role: 'mediator' });
  const terminal = await lab.member({ role: 'terminal' });
  Object.assign(terminal, { key: generateSigningKey() });
  const end = terminal.attachTo(mediator.key.publicKey);
  await until(() => end.refused !== undefined, 'the refusal arrives');
  t.is(end.refused?.code, 'bad-request');
});

test('P1.6: sixteen ATTACHes may be under way on a link; the next is answered limit', async t => {
  const lab = new Lab();
  const mediator = await lab.member({ role: 'mediator' });
  const terminal = await lab.member({ role: 'terminal' });
  const held: ((decision: AttachDecision) => void)[] = [];
  lab.authoriseAttach = () => new Promise(resolve => held.push(resolve));
  const ends = Array.from({ length: 17 }, () => terminal.attachTo(mediator.key.publicKey));
  await until(() => ends[16]?.refused !== undefined, 'the seventeenth is refused');
  t.deepEqual(ends[16]?.refused, { code: 'limit', by: 'server' });
  t.is(held.length, 16);
  for (const decide of held) decide({ allowed: true, permit: lab.permit });
  await until(() => ends.slice(0, 16).every(end => end.attachment?.open), 'the sixteen are attached');
  lab.authoriseAttach = async () => ({ allowed: true, permit: lab.permit });
  const later = terminal.attachTo(mediator.key.publicKey);
  await until(() => later.attachment?.open, 'there is room again');
  t.is(lab.switch.status().attachments, 17);
});

test('a mediator that does not answer is given up, and the room is free again', async t => {
  const lab = new Lab();
  const mediator = await lab.member({ role: 'mediator', mute: true });
  const terminal = await lab.member({ role: 'terminal' });
  const ends = Array.from({ length: 16 }, () => terminal.attachTo(mediator.key.publicKey));
  await until(() => mediator.attaches.length === 16, 'the mediator is asked');
  await lab.pass(15_500);
  await until(() => ends.every(end => end.refused !== undefined), 'each is refused');
  t.deepEqual(ends[0]?.refused, { code: 'timed-out', by: 'server' });
  const next = terminal.attachTo(mediator.key.publicKey);
  await until(() => mediator.attaches.length === 17, 'the mediator is asked again');
  t.is(next.refused, undefined);
});

test('the loss of the mediator while it is asked is answered mediator-offline', async t => {
  const lab = new Lab();
  const mediator = await lab.member({ role: 'mediator', mute: true });
  const terminal = await lab.member({ role: 'terminal' });
  const end = terminal.attachTo(mediator.key.publicKey);
  await until(() => mediator.attaches.length === 1, 'the mediator is asked');
  mediator.transport.destroy();
  await until(() => end.refused !== undefined, 'the refusal arrives');
  t.deepEqual(end.refused, { code: 'mediator-offline', by: 'server' });
});

test("a mediator's refusal reaches the terminal as it is", async t => {
  const lab = new Lab();
  const mediator = await lab.member({ role: 'mediator', mute: true });
  const terminal = await lab.member({ role: 'terminal' });
  const end = terminal.attachTo(mediator.key.publicKey);
  await until(() => mediator.attaches.length === 1, 'the mediator is asked');
  const label = mediator.attaches[0]?.label ?? 0;
  mediator.link.driver.send(frameType.attached, attached.toBytes({ label, error: 10, by: 'owner' }));
  await until(() => end.refused !== undefined, 'the refusal arrives');
  t.deepEqual(end.refused, { code: 'consent-required', by: 'owner' });
});

test('a DETACH before the answer is known undoes the ATTACH', async t => {
  const lab = new Lab();
  const mediator = await lab.member({ role: 'mediator' });
  const terminal = await lab.member({ role: 'terminal' });
  let decide = (_decision: AttachDecision) => {};
  lab.authoriseAttach = () =>
    new Promise(resolve => {
      decide = resolve;
    });
  const end = terminal.attachTo(mediator.key.publicKey);
  await settle();
  terminal.link.closeLabel(end.label);
  await settle();
  decide({ allowed: true, permit: lab.permit });
  await settle();
  t.is(mediator.attaches.length, 0);
  t.true(terminal.link.driver.live);
});

test('an ATTACHED that answers nothing closes the link; one that comes too late does not', async t => {
  const lab = new Lab();
  const { mediator, atMediator, terminal, atTerminal } = await lab.attached();
  terminal.link.closeLabel(atTerminal.label);
  await until(() => atMediator.gone !== undefined, 'the mediator is told');
  mediator.link.driver.send(frameType.attached, attached.toBytes({ label: atMediator.label, error: 3 }));
  await settle();
  t.true(mediator.link.driver.live);
  const again = await lab.attach(terminal, mediator);
  const answer = { label: again.atMediator.label, error: 3 };
  mediator.link.driver.send(frameType.attached, attached.toBytes(answer));
  await until(() => mediator.closed !== undefined, 'the link is closed');
  t.is(mediator.closed?.code, 'protocol-error');
});

test('a link has only so many attachments', async t => {
  const lab = new Lab({ attachmentsPerLink: 2 });
  const { terminal, mediator } = await lab.attached();
  await lab.attach(terminal, mediator);
  const third = terminal.attachTo(mediator.key.publicKey);
  await until(() => third.refused !== undefined, 'the third is refused');
  t.is(third.refused?.code, 'limit');
});

test('a label that is not a new odd one closes the link', async t => {
  const lab = new Lab();
  const { terminal, mediator } = await lab.attached();
  const body = { label: 1, mediator: mediator.key.publicKey, inner: Buffer.alloc(10) };
  terminal.link.driver.send(frameType.attach, attach.toBytes(body));
  await until(() => terminal.closed !== undefined, 'the link is closed');
  t.is(terminal.closed?.code, 'protocol-error');
});
