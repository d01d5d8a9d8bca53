import test, { type ExecutionContext } from 'ava';
import { fakeClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { requireAddon } from '../../native/addon.ts';
import { mayCapture } from '../../native/test-sockets.ts';
import { gatewayFacts } from '../../policy/gateway-facts.ts';
import { canonicalAddress } from '../../policy/target.ts';
import { WireView } from './wire-view.ts';

const interfaces = [{ name: 'lo', up: true, addresses: [{ address: '127.0.0.1', prefixLength: 8 }] }];
const deaf = { onSighting() {}, onLost() {} };

const captureTest = mayCapture() ? test : test.skip;

/** A view of this machine's loopback on a clock of its own: what it has told the kernel. */
function lookingAt(t: ExecutionContext) {
  const clock = fakeClock();
  const addon = requireAddon();
  const watched = new Set<string>();
  let told = 0;
  const native = {
    ...addon,
    captureInterface(handle: number, name: string) {
      watched.add(name);
      return addon.captureInterface(handle, name);
    },
    leaveInterface(handle: number, name: string) {
      watched.delete(name);
      return addon.leaveInterface(handle, name);
    },
    captureTargets(...asked: Parameters<typeof addon.captureTargets>) {
      told++;
      return addon.captureTargets(...asked);
    },
  };
  const facts = gatewayFacts(interfaces, []);
  const view = new WireView({
    native,
    clock,
    log: silentLog(),
    interfaces: () => interfaces,
    facts: () => facts,
    onChange() {},
  });
  t.teardown(() => view.stop());
  const bound = { address: canonicalAddress('127.0.0.1'), text: '127.0.0.1', family: 4 } as const;
  const tap = (number: number) => view.tap({ bound, number }, deaf);
  /** How often the kernel was told of targets in a turn. */
  const turn = () => {
    told = 0;
    clock.advance(1);
    return told;
  };
  return { clock, view, watched, tap, turn };
}

captureTest(
  'a port that listens and connects within one turn is not told to the kernel; one that stays is, once',
  t => {
    const { view, tap, turn } = lookingAt(t);
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
  },
);

captureTest('an interface is left a while after the last port, also when one has just come and gone', t => {
  const { clock, watched, tap, turn } = lookingAt(t);
  const last = tap(1001);
  turn();
  let late = last;
  clock.after(60_000, () => {
    late = tap(1002);
  });
  last.close();
  turn();
  clock.after(59_999, () => late.close());
  clock.advance(60_000);
  t.deepEqual([...watched], ['lo']);
  clock.advance(60_000);
  t.deepEqual([...watched], []);
});
