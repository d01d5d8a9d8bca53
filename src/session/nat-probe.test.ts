import test from 'ava';
import { fakeClock } from '../base/clock.ts';
import type { PacketPeer } from '../wire/packet.ts';
import { NatProbe } from './nat-probe.ts';

/** A probe whose server answers as `answer` says; what was asked, dropped, and made of it. */
function lab(answer: (place: number, asked: number) => PacketPeer | undefined) {
  const clock = fakeClock();
  const asked: { place: number; atMs: number }[] = [];
  const dropped = new Set<number>();
  const outcomes: PacketPeer[][] = [];
  const probe: NatProbe = new NatProbe({
    clock,
    sight: place => {
      asked.push({ place, atMs: clock.now() });
      const peer = answer(place, asked.length);
      if (peer !== undefined) clock.after(20, () => probe.onAlive(place, peer));
    },
    drop: place => dropped.add(place),
    onDone: seen => outcomes.push([...seen.values()]),
  });
  return { clock, asked, dropped, outcomes, probe };
}

const as = (number: number) => ({ address: '198.51.100.2', number });

test('P8.5: three places are asked one after another, too seldom for the challenges of a channel to run out', t => {
  const { clock, asked, dropped, outcomes, probe } = lab((_place, count) => as(count));
  probe.start();
  clock.advance(10_000);
  t.deepEqual(outcomes, [[as(1), as(2), as(3)]]);
  const places = new Set(asked.map(({ place }) => place));
  t.deepEqual([asked.length, places.size], [3, 3]);
  // Two challenges each, of four a second.
  t.true(asked.every(({ atMs }, index) => index === 0 || atMs - (asked[index - 1]?.atMs ?? 0) >= 1_000));
  t.deepEqual(dropped, places);
});

test('P8.5: a place that is not answered is asked three times, and what others say counts all the same', t => {
  const { clock, asked, outcomes, probe } = lab((_place, count) => (count > 3 ? as(count) : undefined));
  probe.start();
  clock.advance(10_000);
  t.is(asked.length, 5);
  t.deepEqual(outcomes, [[as(4), as(5)]]);
});

test('P8.5: a probe that is stopped asks no more and says nothing; begun anew it begins with nothing', t => {
  const { clock, asked, outcomes, probe } = lab((_place, count) => as(count));
  probe.start();
  clock.advance(1_500);
  probe.stop();
  clock.advance(10_000);
  t.deepEqual([asked.length, outcomes.length], [2, 0]);
  probe.start();
  clock.advance(10_000);
  t.deepEqual(outcomes, [[as(3), as(4), as(5)]]);
});
