import test from 'ava';
import { fakeClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { requireAddon } from '../../native/addon.ts';
import { gatewayFacts } from '../../policy/gateway-facts.ts';
import { canonicalAddress } from '../../policy/target.ts';
import { WireView } from './wire-view.ts';

const interfaces = [{ name: 'lo', up: true, addresses: [{ address: '127.0.0.1', prefixLength: 8 }] }];
const deaf = { onSighting() {}, onLost() {} };

/** True where this process may open packet sockets. */
const mayCapture = (() => {
  const native = requireAddon();
  const capture = native.startCapture(() => {});
  if (typeof capture === 'number') native.stopCapture(capture);
  return typeof capture === 'number';
})();

const captureTest = mayCapture ? test : test.skip;

captureTest(
  'a port that listens and connects within one turn is not told to the kernel; one that stays is, once',
  t => {
    const clock = fakeClock();
    const addon = requireAddon();
    let told = 0;
    let watched: string[] = [];
    const native = {
      ...addon,
      captureInterface(handle: number, name: string) {
        watched.push(name);
        return addon.captureInterface(handle, name);
      },
      leaveInterface(handle: number, name: string) {
        watched = watched.filter(each => each !== name);
        return addon.leaveInterface(handle, name);
      },
      captureTargets(...asked: Parameters<typeof addon.captureTargets>) {
        told++;
        return addon.captureTargets(...asked);
      },
    };
    const view = new WireView({
      native,
      clock,
      log: silentLog(),
      interfaces: () => interfaces,
      facts: () => gatewayFacts(interfaces, []),
      onChange() {},
    });
    t.teardown(() => view.stop());
    const bound = { address: canonicalAddress('127.0.0.1'), text: '127.0.0.1', family: 4 } as const;
    const tap = (number: number) => view.tap({ bound, number }, deaf);
    const turn = () => {
      clock.advance(1);
      const times = told;
      told = 0;
      return times;
    };
    tap(1001).close();
    t.is(turn(), 0);
    const stays = tap(1002);
    tap(1003).close();
    t.is(turn(), 1);
    t.is(turn(), 0);
    stays.close();
    tap(1004).close();
    t.is(turn(), 1);
    tap(1005).close();
    view.onEnvironment();
    tap(1006).close();
    t.is(turn(), 1);
    t.deepEqual(watched, ['lo']);
    clock.advance(120_000);
    t.deepEqual(watched, []);
    // One that comes just when they would be left, and goes at once: somebody looks again.
    const last = tap(1007);
    turn();
    let late = last;
    clock.after(60_000, () => {
      late = tap(1008);
    });
    last.close();
    turn();
    clock.after(59_999, () => late.close());
    clock.advance(60_000);
    t.deepEqual(watched, ['lo']);
    clock.advance(60_000);
    t.deepEqual(watched, []);
  },
);
