import test from 'ava';
import { fakeClock } from '../../base/clock.ts';
import { Destinations, maxDestinations } from './destinations.ts';

test('P5.9: at most 1,024 destinations are remembered; the one not used for longest goes', t => {
  const clock = fakeClock();
  const asked: string[] = [];
  const destinations = new Destinations(clock, address => {
    asked.push(address);
    return 'allowed';
  });
  const send = (index: number) => {
    clock.advance(10);
    return destinations.verdict(`10.0.${index >> 8}.${index & 255}`, 9);
  };
  for (let index = 0; index < maxDestinations; index++) t.is(send(index), 'allowed');
  send(0);
  send(maxDestinations);
  t.is(destinations.size, maxDestinations);
  const before = asked.length;
  send(0);
  t.is(asked.length, before);
  send(1);
  t.is(asked.length, before + 1);
});

test('P5.9: a denied destination is asked about once, an undecided one each time', t => {
  let asked = 0;
  const answers = ['denied', 'undecided'] as const;
  for (const answer of answers) {
    asked = 0;
    const destinations = new Destinations(fakeClock(), () => {
      asked++;
      return answer;
    });
    for (let count = 0; count < 5; count++) t.is(destinations.verdict('10.0.0.1', 9), answer);
    t.is(asked, answer === 'denied' ? 1 : 5);
  }
});

test('P5.9: the rate counts new destinations, not datagrams', t => {
  const clock = fakeClock();
  const destinations = new Destinations(clock, () => 'allowed');
  for (let count = 0; count < 1000; count++) t.is(destinations.verdict('10.0.0.1', 9), 'allowed');
  const verdicts = Array.from({ length: 150 }, (_, index) => destinations.verdict('10.0.0.2', index + 1));
  t.is(verdicts.filter(verdict => verdict === 'too-fast').length, 51);
  clock.advance(10);
  t.is(destinations.verdict('10.0.0.3', 1), 'allowed');
  t.is(destinations.verdict('10.0.0.3', 2), 'too-fast');
});
