import test from 'ava';
import { hoursContain, minutesPerWeek, parseHours } from './hours.ts';

const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

function at(day: string, time: string): number {
  const [hours = 0, minutes = 0] = time.split(':').map(Number);
  return days.indexOf(day) * 1440 + hours * 60 + minutes;
}

function isIn(hours: readonly string[], day: string, time: string): boolean {
  return hoursContain(hours.map(parseHours), at(day, time));
}

test('hours begin with their first minute and end before their last', t => {
  const hours = ['mon-fri 08:00-18:00'];
  t.false(isIn(hours, 'mon', '07:59'));
  t.true(isIn(hours, 'mon', '08:00'));
  t.true(isIn(hours, 'fri', '17:59'));
  t.false(isIn(hours, 'fri', '18:00'));
  t.false(isIn(hours, 'sat', '12:00'));
});

test('hours over midnight belong to the day on which they begin, over the end of the week too', t => {
  const hours = ['sun 22:00-06:00'];
  t.true(isIn(hours, 'sun', '23:59'));
  t.true(isIn(hours, 'mon', '05:59'));
  t.false(isIn(hours, 'mon', '06:00'));
  t.false(isIn(hours, 'sun', '05:00'));
});

test('days may be many, go round the week, or be left out; several hours are added up', t => {
  t.deepEqual(
    days.filter(day => isIn(['Sat-Mon 8:00-9:00'], day, '08:30')),
    ['mon', 'sat', 'sun'],
  );
  t.deepEqual(
    days.filter(day => isIn(['tue,thu-fri 08:00-09:00'], day, '08:30')),
    ['tue', 'thu', 'fri'],
  );
  t.deepEqual(
    days.filter(day => isIn(['00:00-24:00'], day, '23:59')),
    days,
  );
  t.true(isIn(['sat 10:00-12:00', 'mon 10:00-12:00'], 'mon', '11:00'));
  t.false(isIn([], 'mon', '11:00'));
});

test('every minute of a week is in the hours that say so, and in no others', t => {
  const night = [parseHours('20:00-04:00')];
  const day = [parseHours('04:00-20:00')];
  for (let minute = 0; minute < minutesPerWeek; minute++)
    t.not(hoursContain(night, minute), hoursContain(day, minute), String(minute));
});

test('what is no hours is said with how to write them', t => {
  const wrong = [
    '',
    'mon',
    '8-18',
    'mon 08:00',
    'noon 08:00-09:00',
    'mon-tue-wed 08:00-09:00',
    '25:00-26:00',
    '08:60-09:00',
  ];
  for (const text of [...wrong, '24:00-08:00', '08:00-08:00', 'mon 08:00-09:00 tue', ', 08:00-09:00'])
    t.throws(() => parseHours(text), { message: /write hours like "mon-fri 08:00-18:00"/ }, text);
});
