import test from 'ava';
import { fakeClock } from '../../base/clock.ts';
import { until } from '../../native/test-sockets.ts';
import { parseOwnerPolicy } from '../../policy/owner-policy.ts';
import { hoursFrom } from '../testing/hours.ts';
import { ownerTable } from '../testing/rig.ts';
import { attached, playing } from '../testing/set-up.ts';
import { TestTerminal } from '../testing/test-terminal.ts';
import { HoursWatch, weekMinuteOf } from './hours-watch.ts';

const minuteMs = 60_000;

test("a minute of the week is the machine's own", t => {
  const clock = fakeClock(Date.parse('2026-01-05T00:00:30'));
  t.is(weekMinuteOf(clock), 0, 'Monday, by local time');
  clock.advance(minuteMs);
  t.is(weekMinuteOf(clock), 1);
  t.is(weekMinuteOf(fakeClock(Date.parse('2026-01-11T23:59:59'))), 7 * 24 * 60 - 1);
});

test('the beginning and the end of hours are told when they come, and nothing else is', t => {
  const clock = fakeClock(Date.parse('2026-01-05T07:58:12.345'));
  const policy = parseOwnerPolicy({ service: { hours: ['08:00-09:00', '09:00-10:00'] } }, 'x');
  const changes: number[] = [];
  const watch = new HoursWatch(
    clock,
    () => policy,
    () => changes.push(clock.wallTimeMs()),
  );
  watch.start();
  clock.advance(24 * 60 * minuteMs);
  t.deepEqual(changes, [Date.parse('2026-01-05T08:00:00'), Date.parse('2026-01-05T10:00:00')]);
  watch.stop();
  clock.advance(24 * 60 * minuteMs);
  t.is(changes.length, 2);
});

test('P6.2: what runs when the hours end is ended with its reason, at the second, and comes back only in the next', async t => {
  const clock = fakeClock(Date.UTC(2026, 0, 5, 10, 0, 20));
  const hours = [hoursFrom(clock, -5, 10).text];
  const { rig, terminal } = await attached(t, { clock, owner: { ...ownerTable, hours } });
  const watch = new HoursWatch(
    clock,
    () => rig.basis.owner,
    () => rig.agent.reauthorise(),
  );
  watch.start();
  t.teardown(() => watch.stop());
  const device = await playing(t);
  const { port = 0 } = await terminal.open();
  t.is((await terminal.connect({ port }, device.number).result).code, 'ok');
  clock.advance(9 * minuteMs + 39_000);
  t.is(rig.agent.attachedCount, 1, 'a second before the end');
  clock.advance(1000);
  t.is(await terminal.gone.promise, 'outside-hours');
  await until('the device sees the end', () => rig.agent.status.length === 0);
  const refused = await t.throwsAsync(TestTerminal.attach(rig), { code: 'outside-hours' });
  t.regex(refused?.message ?? '', /owner\.hours/);
});
