import test from 'ava';
import { fakeClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { requireAddon } from '../../native/addon.ts';
import { gatewayFacts } from '../../policy/gateway-facts.ts';
import { canonicalAddress } from '../../policy/target.ts';
import { WireView } from './wire-view.ts';

const interfaces = [{ name: 'lo', up: true, addresses: [{ address: '127.0.0.1', prefixLength: 8 }] }];
const deaf = { onSighting() {}, onLost() {} };

test('a port that listens and connects within one turn is not told to the kernel; one that stays is, once', t => {
  const clock = fakeClock();
  const addon = requireAddon();
  let told = 0;
  const native = {
    ...addon,
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
});
