import test from 'ava';
import { fakeClock } from '../../base/clock.ts';
import type { PortEvent } from '../../wire/messages/event.ts';
import type { PortSighting } from '../capture/wire-view.ts';
import { WireTeller } from './wire-teller.ts';

function telling() {
  const clock = fakeClock();
  const events: PortEvent[] = [];
  const state = { away: false, busy: false };
  const bound = { address: 'wildcard', text: '0.0.0.0', family: 4 } as const;
  const teller = new WireTeller(
    9,
    { bound, number: 80 },
    {
      clock,
      wire: undefined,
      holder: {
        get away() {
          return state.away;
        },
      },
      sendEvent: event => events.push(event),
      controlBusy: () => state.busy,
    },
  );
  const see = (kind: PortSighting['kind'], count = 1, from: PortSighting['from'] = 'peer') => {
    const sighting = { kind, from, timeMs: 5, peerAddress: '192.168.1.20', peerNumber: 51_000 };
    for (let index = 0; index < count; index++) teller.onSighting(sighting);
  };
  const lost = () => events.flatMap(event => (event.kind === 'lost' ? event.count : []));
  return { clock, events, state, teller, see, lost };
}

test('EVENTs say what was seen, when, of whom, and who did it', t => {
  const { events, see } = telling();
  see('syn');
  see('refused');
  see('fin', 1, 'peer');
  see('rst', 1, 'gateway');
  const common = { port: 9, timeMs: 5, peerAddress: '192.168.1.20', peerNumber: 51_000 };
  t.deepEqual(events, [
    { kind: 'syn', ...common },
    { kind: 'refused', ...common },
    { kind: 'fin', direction: 'from-device', ...common },
    { kind: 'rst', direction: 'to-device', ...common },
  ]);
});

test('P3.7: beyond 100 a second there is one EVENT lost a second, and nothing is forgotten', t => {
  const { clock, events, see, lost } = telling();
  see('syn', 20_000);
  t.is(events.length, 100);
  clock.advance(1000);
  t.deepEqual(lost(), [19_900]);
  see('syn', 100);
  t.is(events.length, 201);
  clock.advance(10_000);
  t.deepEqual(lost(), [19_900]);
});

test('P3.7: while stream 0 has little room events are counted, and told when it has', t => {
  const { clock, events, state, see, lost } = telling();
  state.busy = true;
  see('refused', 3);
  clock.advance(5000);
  t.deepEqual(events, []);
  state.busy = false;
  clock.advance(1000);
  t.deepEqual(lost(), [3]);
});

test('P3.7: while the terminal is away events are counted, and told when it is back', t => {
  const { clock, events, state, teller, see, lost } = telling();
  state.away = true;
  see('syn', 3);
  teller.onLost(4);
  clock.advance(60_000);
  t.deepEqual(events, []);
  state.away = false;
  teller.onBack();
  clock.advance(1000);
  t.deepEqual(lost(), [7]);
});

test('a port that has left the wire tells nothing more', t => {
  const { clock, events, teller, see } = telling();
  see('syn', 101);
  teller.leave();
  clock.advance(10_000);
  t.is(events.length, 100);
});
