import test from 'ava';
import { pino } from 'pino';
import { fakeClock } from './clock.ts';
import { SparingLog } from './sparing-log.ts';

test('so many lines are written, then one that counts the others, then lines again', t => {
  const clock = fakeClock();
  const lines: unknown[] = [];
  const log = pino({ base: null, timestamp: false }, { write: text => lines.push(JSON.parse(text)) });
  const sparing = new SparingLog({ log, clock, lines: 2, withinMs: 1000 });
  for (let count = 0; count < 5; count++) sparing.info({ count }, 'refused');
  t.deepEqual(lines, [
    { level: 30, count: 0, msg: 'refused' },
    { level: 30, count: 1, msg: 'refused' },
  ]);
  clock.advance(1000);
  t.like(lines[2], { level: 40, lines: 3 });
  sparing.info({}, 'refused');
  t.is(lines.length, 4);
  clock.advance(1000);
  t.is(lines.length, 4);
});
