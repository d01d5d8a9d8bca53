import { randomBytes } from 'node:crypto';
import test from 'ava';
import { generateSigningKey } from '../base/keys.ts';
import { Members } from './members.ts';
import { Lab, settle, until } from './testing/lab.ts';

const entry = (role: 'mediator' | 'terminal', instance: string, linkNo: number) => ({
  identity: { key: 'k', role, name: 'n', instance, linkNo },
});

test('P4.1: of one instance the higher linkNo wins whatever the order of arrival', t => {
  for (const role of ['terminal', 'mediator'] as const) {
    const members = new Members<ReturnType<typeof entry>>();
    const [second, third] = [entry(role, 'a', 2), entry(role, 'a', 3)];
    t.deepEqual(members.add(second), { accepted: true, displaced: [] });
    t.deepEqual(members.add(entry(role, 'a', 1)), { accepted: false });
    t.deepEqual(members.add(entry(role, 'a', 2)), { accepted: false });
    t.deepEqual(members.add(third), { accepted: true, displaced: [second] });
    t.deepEqual(members.linksOf('k'), [third]);
  }
});

test('P4.1: a terminal key may run many instances; of a mediator key the later proof wins', t => {
  const terminals = new Members<ReturnType<typeof entry>>();
  terminals.add(entry('terminal', 'a', 1));
  terminals.add(entry('terminal', 'b', 1));
  t.is(terminals.linksOf('k').length, 2);
  const mediators = new Members<ReturnType<typeof entry>>();
  const [old, fresh] = [entry('mediator', 'a', 9), entry('mediator', 'b', 1)];
  mediators.add(old);
  t.deepEqual(mediators.add(fresh), { accepted: true, displaced: [old] });
  t.is(mediators.mediator('k'), fresh);
  t.false(mediators.remove(old));
  t.true(mediators.remove(fresh));
  t.is(mediators.mediator('k'), undefined);
});

test('P4.1: the loser of two links of one instance gets GOAWAY displaced, and its attachments are told', async t => {
  const lab = new Lab();
  const key = generateSigningKey();
  const instance = randomBytes(16);
  const mediator = await lab.member({ role: 'mediator' });
  const second = await lab.member({ role: 'terminal', key, instance, linkNo: 2 });
  const { atMediator } = await lab.attach(second, mediator);
  const first = lab.connect({ role: 'terminal', key, instance, linkNo: 1 });
  await until(() => first.closed !== undefined, 'the late one is sent away');
  t.is(first.closed?.code, 'displaced');
  t.true(second.link.driver.live);
  const third = await lab.member({ role: 'terminal', key, instance, linkNo: 3 });
  await until(() => second.closed !== undefined, 'the older one is sent away');
  t.is(second.closed?.code, 'displaced');
  await until(() => atMediator.gone !== undefined, 'the mediator is told');
  t.is(atMediator.gone, 'link-lost');
  await settle();
  t.true(third.link.driver.live);
  t.is(lab.switch.status().members, 2);
});
