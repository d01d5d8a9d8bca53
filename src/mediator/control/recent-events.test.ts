import test from 'ava';
import { createLog } from '../../base/log.ts';
import { RecentEvents } from './recent-events.ts';

test('what the log said is kept with what an owner can use of it, the newest last', t => {
  let second = 0;
  const recent = new RecentEvents(() => `00:0${second++}`);
  recent.note({ code: 'link-lost', reason: 'The server is gone.', retryInMs: 5 }, 'offline');
  recent.note({ minutes: 30, purpose: undefined }, 'the owner has opened the consent window');
  t.deepEqual(recent.all, [
    { time: '00:00', what: 'offline', details: { code: 'link-lost', reason: 'The server is gone.' } },
    { time: '00:01', what: 'the owner has opened the consent window', details: { minutes: 30 } },
  ]);
});

test('it takes bounded room', t => {
  const recent = new RecentEvents(() => 'now');
  for (let number = 0; number < 100; number++) recent.note({ number, reason: 'x'.repeat(5000) }, 'offline');
  t.is(recent.all.length, 20);
  t.is(recent.all.at(-1)?.details.number, 99);
  t.is(String(recent.all.at(-1)?.details.reason).length, 200);
});

test('lines of `info` and above get there from the log and its children, when they are written; no secret does', t => {
  const recent = new RecentEvents(() => 'now');
  const log = createLog('debug', 2, (fields, message) => recent.note(fields, message));
  const written = (level: string) => {
    log.level = level;
    log.child({ attachment: 'a' }).info({ grant: 'grant-one', password: 'p' }, 'terminal attached');
    log.debug({ code: 'x' }, 'still offline');
    return recent.all.length;
  };
  t.is(written('error'), 0);
  t.is(written('debug'), 1);
  t.deepEqual(recent.all, [{ time: 'now', what: 'terminal attached', details: { grant: 'grant-one' } }]);
});
