import test from 'ava';
import { fakeClock } from '../../base/clock.ts';
import type { PortEvent } from '../../wire/messages/event.ts';
import { UdpTeller } from './udp-teller.ts';

function telling() {
  const clock = fakeClock();
  const events: PortEvent[] = [];
  const state = { away: false, full: false };
  const teller = new UdpTeller(9, {
    clock,
    holder: {
      get away() {
        return state.away;
      },
    },
    sendEvent: event => events.push(event),
    controlFull: () => state.full,
  });
  const limits = () => events.flatMap(event => (event.kind === 'limit' ? event.count : []));
  const unreachable = (number: number) => teller.unreachable({ address: '192.168.1.20', number }, 3);
  return { clock, events, state, teller, limits, unreachable };
}

test('the first datagram dropped as too fast is told at once, those that follow together after a second', t => {
  const { clock, teller, limits } = telling();
  for (let count = 0; count < 5; count++) teller.tooFast();
  t.deepEqual(limits(), [1]);
  clock.advance(1000);
  t.deepEqual(limits(), [1, 4]);
  clock.advance(1000);
  teller.tooFast();
  t.deepEqual(limits(), [1, 4, 1]);
});

test('a closed port tells nothing more', t => {
  const { clock, teller, limits } = telling();
  teller.tooFast();
  teller.tooFast();
  teller.close();
  clock.advance(5000);
  t.deepEqual(limits(), [1]);
});

test('each unreachable peer is told once a second, and none while nobody hears it or stream 0 is full', t => {
  const { clock, events, state, unreachable } = telling();
  unreachable(80);
  unreachable(80);
  unreachable(81);
  t.deepEqual(
    events.map(event => event.kind === 'unreachable' && [event.peerNumber, event.code]),
    [
      [80, 3],
      [81, 3],
    ],
  );
  clock.advance(1000);
  state.away = true;
  unreachable(80);
  state.away = false;
  state.full = true;
  unreachable(80);
  t.is(events.length, 2);
  state.full = false;
  unreachable(80);
  t.is(events.length, 3);
});
