import { randomBytes } from 'node:crypto';
import test from 'ava';
import { generateSigningKey } from '../base/keys.ts';
import { GoawayError } from '../session/goaway.ts';
import { DuplicateWatch } from './duplicate-watch.ts';
import { Members } from './members.ts';
import { Lab, settle, until } from './testing/lab.ts';

const entry = (role: 'mediator' | 'terminal', instance: string, linkNo: number) => ({
  identity: { key: 'k', role, name: 'n', instance, linkNo },
});

type Entry = ReturnType<typeof entry>;

test('P4.1: of one instance the higher linkNo wins whatever the order of arrival', t => {
  for (const role of ['terminal', 'mediator'] as const) {
    const members = new Members<Entry>();
    const [second, third] = [entry(role, 'a', 2), entry(role, 'a', 3)];
    t.deepEqual(members.add(second, 1, 0), { accepted: true, displaced: [] });
    t.deepEqual(members.add(entry(role, 'a', 1), 2, 0), { accepted: false });
    t.deepEqual(members.add(entry(role, 'a', 2), 3, 0), { accepted: false });
    t.deepEqual(members.add(third, 4, 0), { accepted: true, displaced: [second] });
    t.deepEqual(members.linksOf('k'), [third]);
  }
});

test('P4.1: a link that was under way comes too late, were the later one of its instance gone already', t => {
  const members = new Members<Entry>();
  const third = entry('terminal', 'a', 3);
  members.add(third, 1, 0);
  t.true(members.remove(third, 1_000));
  t.deepEqual(members.add(entry('terminal', 'a', 2), 2, 11_000), { accepted: false });
  t.deepEqual(members.add(entry('terminal', 'b', 1), 3, 11_000), { accepted: true, displaced: [] });
  t.deepEqual(members.add(entry('terminal', 'a', 4), 4, 11_000), { accepted: true, displaced: [] });
});

test('P4.1: a terminal key may run many instances; of a mediator key the later proof wins', t => {
  const terminals = new Members<Entry>();
  terminals.add(entry('terminal', 'a', 1), 1, 0);
  terminals.add(entry('terminal', 'b', 1), 2, 0);
  t.is(terminals.linksOf('k').length, 2);
  const mediators = new Members<Entry>();
  const [old, fresh] = [entry('mediator', 'a', 9), entry('mediator', 'b', 1)];
  mediators.add(old, 1, 0);
  t.deepEqual(mediators.add(fresh, 2, 0), { accepted: true, displaced: [old] });
  t.is(mediators.mediator('k'), fresh);
  t.false(mediators.remove(old, 0));
  t.true(mediators.remove(fresh, 0));
  t.is(mediators.mediator('k'), undefined);
});

test('P4.1: an earlier proof of a mediator key does not win by taking longer to be admitted', t => {
  const members = new Members<Entry>();
  members.add(entry('mediator', 'b', 1), 2, 0);
  t.deepEqual(members.add(entry('mediator', 'a', 1), 1, 0), { accepted: false });
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

/** Two machines with one mediator's key, each coming back as soon as it was displaced, `times` in all. */
async function rivals(lab: Lab, times: number) {
  const key = generateSigningKey();
  const instances = [randomBytes(16), randomBytes(16)];
  const come = (turn: number) =>
    lab.connect({ role: 'mediator', key, instance: instances[turn % 2] as Buffer, linkNo: turn + 1 });
  const members = [];
  for (let turn = 0; turn < times; turn++) {
    const member = come(turn);
    members.push(member);
    await until(() => member.welcomed ?? member.closed, 'the member is answered');
  }
  await settle();
  return { members, come };
}

const afterMsOf = (closed: unknown) => (closed instanceof GoawayError ? closed.afterMs : undefined);

test('P4.1: a mediator key that two machines have: 3 returns pass, the 4th sends both away for 60 s', async t => {
  const lab = new Lab();
  const { members, come } = await rivals(lab, 5);
  t.true(members.at(-1)?.link.driver.live);
  const fourth = come(5);
  await until(() => fourth.closed, 'it is sent away');
  const last = members.at(-1);
  for (const { closed } of [fourth, ...(last === undefined ? [] : [last])])
    t.deepEqual([closed?.code, afterMsOf(closed)], ['duplicate-identity', 60_000]);
  t.deepEqual(
    lab.audit.map(({ action }) => action),
    ['duplicate-identity'],
  );
  t.is(lab.switch.status().members, 0);
  await lab.pass(59_000);
  const early = come(6);
  await until(() => early.closed, 'it is sent away');
  t.is(early.closed?.code, 'duplicate-identity');
  t.true((afterMsOf(early.closed) ?? 0) <= 1_000);
  await lab.pass(1_000);
  const later = come(8);
  await until(() => later.welcomed, 'it is welcome again');
});

test('P4.1: a mediator that is restarted again and again is no duplicate: its past never comes back', async t => {
  const lab = new Lab();
  const key = generateSigningKey();
  for (let turn = 0; turn < 10; turn++) {
    const member = await lab.member({ role: 'mediator', key, instance: randomBytes(16), linkNo: 1 });
    t.true(member.link.driver.live);
  }
});

test('P4.1: 3 returns in 10 min are not too many, however long that goes on', t => {
  const watch = new DuplicateWatch();
  let nowMs = 0;
  for (let turn = 0; turn < 20; turn++) {
    t.false(watch.onArrival('k', turn % 2 === 0 ? 'a' : 'b', nowMs));
    watch.onDisplaced('k', turn % 2 === 0 ? 'b' : 'a', nowMs);
    nowMs += 4 * 60_000;
  }
  t.is(watch.heldOffMs('k', nowMs), 0);
});

test('P4.1: how long rivals are held off is said in whole ms, whatever the clock says', t => {
  const watch = new DuplicateWatch();
  let nowMs = 1_000.3;
  for (let turn = 0; watch.heldOffMs('k', nowMs) === 0; turn++, nowMs += 1_000.4) {
    t.true(turn < 10);
    watch.onDisplaced('k', turn % 2 === 0 ? 'b' : 'a', nowMs);
    watch.onArrival('k', turn % 2 === 0 ? 'b' : 'a', nowMs);
  }
  for (const laterMs of [0, 0.4, 999.5]) t.true(Number.isInteger(watch.heldOffMs('k', nowMs + laterMs)));
});

test('P4.1: machines with one mediator’s key that never give up are let in five times a minute at most', async t => {
  const lab = new Lab();
  const key = generateSigningKey();
  const instances = [randomBytes(16), randomBytes(16)];
  let [linkNo, welcomes] = [0, 0];
  for (let second = 0; second < 600; second++) {
    const instance = instances[second % 2] as Buffer;
    const member = lab.connect({ role: 'mediator', key, instance, linkNo: ++linkNo });
    await until(() => member.welcomed ?? member.closed, 'the member is answered');
    if (member.welcomed !== undefined) welcomes++;
    await lab.pass(1_000);
  }
  t.true(welcomes >= 10 && welcomes <= 50, `${welcomes} times in ten minutes`);
});

test('P4.1: two terminals with one key run side by side, each with its attachments', async t => {
  const lab = new Lab();
  const key = generateSigningKey();
  const mediator = await lab.member({ role: 'mediator' });
  const terminals = [
    await lab.member({ role: 'terminal', key }),
    await lab.member({ role: 'terminal', key }),
  ];
  const ends = [];
  for (const terminal of terminals) ends.push((await lab.attach(terminal, mediator)).atTerminal);
  terminals[0]?.transport.destroy();
  await settle();
  t.true(ends[1]?.attachment?.open);
  t.true(terminals[1]?.link.driver.live);
});
