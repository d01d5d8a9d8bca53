import test from 'ava';
import { generateSigningKey, keyToText } from '../base/keys.ts';
import { type PresenceEntry, presence, type Report, report } from '../wire/messages/report.ts';
import { frameType } from '../wire/spec.ts';
import { Lab, settle, until } from './testing/lab.ts';
import type { LabMember } from './testing/lab-member.ts';

const someReport: Report = {
  hostname: 'gateway',
  interfaces: [],
  routes: [],
  bootId: Buffer.alloc(16),
  uptimeS: 5,
  services: [],
  software: 'lab',
};

function subscribe(terminal: LabMember): void {
  terminal.link.driver.send(frameType.presence, presence.toBytes({ subscribe: true }));
}

const entriesOf = (terminal: LabMember): PresenceEntry[] =>
  terminal.presence.flatMap(({ entries = [] }) => entries);

const isComplete = (terminal: LabMember) => terminal.presence.some(({ complete }) => complete === true);

test('P1.8: the first answer names exactly the visible mediators, online or not, and says when it is complete', async t => {
  const lab = new Lab();
  const online = await lab.member({ role: 'mediator' });
  await lab.member({ role: 'mediator' });
  const offline = generateSigningKey().text;
  lab.records.set(online.key.text, { statement: 'a statement', report: someReport, lastSeenMs: 5 });
  lab.records.set(offline, { statement: 'another', report: undefined, lastSeenMs: 1234 });
  const terminal = await lab.member({ role: 'terminal' });
  subscribe(terminal);
  await until(() => isComplete(terminal), 'the answer is complete');
  const entries = entriesOf(terminal);
  t.deepEqual(entries.map(({ key }) => keyToText(key)).sort(), [online.key.text, offline].sort());
  const one = entries.find(({ online: is }) => is);
  t.like(one, { statement: 'a statement', observed: 'memory:client', sinceMs: lab.clock.wallTimeMs() });
  t.is(one?.report?.hostname, 'gateway');
  t.is(one?.roundTripMs, 0);
  const other = entries.find(({ online: is }) => !is);
  t.is(other?.sinceMs, 1234);
  t.is(other?.report, undefined);
});

test('P1.8: an empty answer is complete too', async t => {
  const lab = new Lab();
  const terminal = await lab.member({ role: 'terminal' });
  subscribe(terminal);
  await until(() => isComplete(terminal), 'the answer is complete');
  t.deepEqual(entriesOf(terminal), []);
});

test('P1.8: coming, reporting and going are told to subscribers, several changes together', async t => {
  const lab = new Lab();
  const terminal = await lab.member({ role: 'terminal' });
  subscribe(terminal);
  await until(() => isComplete(terminal), 'the answer is complete');
  const key = generateSigningKey();
  lab.records.set(key.text, { statement: 's', report: undefined, lastSeenMs: 0 });
  const mediator = await lab.member({ role: 'mediator', key });
  mediator.link.driver.send(frameType.report, report.toBytes(someReport));
  await until(() => lab.reports.has(key.text), 'the report is kept');
  lab.records.set(key.text, { statement: 's', report: lab.reports.get(key.text), lastSeenMs: 0 });
  t.is(terminal.presence.length, 1);
  await lab.pass(500);
  t.is(terminal.presence.length, 2);
  t.like(entriesOf(terminal)[0], { online: true, statement: 's' });
  t.is(entriesOf(terminal)[0]?.report?.hostname, 'gateway');
  mediator.transport.destroy();
  await settle();
  await lab.pass(500);
  t.like(entriesOf(terminal)[1], { online: false });
});

test('P1.8: a mediator that grants no longer name is told as gone, a newly named one in full', async t => {
  const lab = new Lab();
  const [first, second] = [generateSigningKey().text, generateSigningKey().text];
  lab.records.set(first, { statement: 'first', report: undefined, lastSeenMs: 0 });
  const terminal = await lab.member({ role: 'terminal' });
  subscribe(terminal);
  await until(() => isComplete(terminal), 'the answer is complete');
  lab.records.delete(first);
  lab.records.set(second, { statement: 'second', report: undefined, lastSeenMs: 0 });
  lab.switch.revalidate();
  await lab.pass(500);
  const changes = entriesOf(terminal).slice(1);
  t.like(
    changes.find(({ gone }) => gone),
    { online: false, statement: undefined },
  );
  t.like(
    changes.find(({ gone }) => gone !== true),
    { statement: 'second' },
  );
  lab.switch.revalidate();
  await lab.pass(500);
  t.is(entriesOf(terminal).length, 3);
});

test('P1.8: thousands of mediators come in pages', async t => {
  const lab = new Lab();
  for (let count = 0; count < 3000; count++) {
    const key = Buffer.alloc(32);
    key.writeUInt32BE(count);
    lab.records.set(keyToText(key), { statement: 'x'.repeat(600), report: someReport, lastSeenMs: 0 });
  }
  const terminal = await lab.member({ role: 'terminal' });
  subscribe(terminal);
  for (let rounds = 0; rounds < 200 && !isComplete(terminal); rounds++) await lab.pass(100);
  t.true(isComplete(terminal));
  t.is(new Set(entriesOf(terminal).map(({ key }) => keyToText(key))).size, 3000);
  t.true(terminal.presence.length > 20);
  t.deepEqual(
    terminal.presence.map(({ complete }) => complete === true),
    terminal.presence.map((_page, index) => index === terminal.presence.length - 1),
  );
});

test('a report too long for a page is left out of the entry, not the entry', async t => {
  const lab = new Lab();
  const key = generateSigningKey().text;
  const services = Array.from({ length: 32 }, (_, number) => ({
    name: `service-${number}`,
    parameters: Array.from({ length: 10 }, (_item, each) => ({ name: `p${each}`, value: 'v'.repeat(1000) })),
  }));
  lab.records.set(key, { statement: 's', report: { ...someReport, services }, lastSeenMs: 0 });
  const terminal = await lab.member({ role: 'terminal' });
  subscribe(terminal);
  await until(() => isComplete(terminal), 'the answer is complete');
  t.like(entriesOf(terminal)[0], { statement: 's', report: undefined });
});

test('a terminal that does not read is told nothing more, and everything once it reads', async t => {
  const lab = new Lab();
  for (let count = 0; count < 2000; count++) {
    const key = Buffer.alloc(32, 1);
    key.writeUInt32BE(count);
    lab.records.set(keyToText(key), { statement: 'x'.repeat(1000), report: undefined, lastSeenMs: 0 });
  }
  const terminal = await lab.member({ role: 'terminal' });
  await settle();
  subscribe(terminal);
  terminal.transport.pauseReading();
  await settle();
  await lab.pass(1000);
  t.is(terminal.presence.length, 0);
  terminal.transport.resumeReading();
  for (let rounds = 0; rounds < 200 && !isComplete(terminal); rounds++) await lab.pass(100);
  t.is(entriesOf(terminal).length, 2000);
});
