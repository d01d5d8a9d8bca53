import test from 'ava';
import { fakeClock } from '../base/clock.ts';
import { type AddressList, watchAddress } from './address-watch.ts';

/** A machine whose addresses change, watched for one of them. */
function watching(address: string | undefined, start: AddressList) {
  const clock = fakeClock();
  let list = start;
  let replaced = 0;
  const stop = watchAddress(
    address,
    clock,
    () => {
      replaced++;
    },
    () => list,
  );
  return {
    stop,
    /** How often it was said, some seconds later. */
    after(seconds: number, next: AddressList = list): number {
      list = next;
      clock.advance(seconds * 1000);
      return replaced;
    },
  };
}

const lan = { 'br-lan': ['192.168.1.1', 'fe80::1'] };

test('an address that its interface has no more is told within a second, once', t => {
  const machine = watching('100.64.0.2', { ...lan, wan: ['100.64.0.2', 'fe80::2'] });
  t.is(machine.after(10), 0);
  t.is(machine.after(1, { ...lan, wan: ['100.64.0.3', 'fe80::2'] }), 1);
  t.is(machine.after(10), 1);
});

test('an interface without a carrier tells nothing, until it comes back with another address', t => {
  const machine = watching('::ffff:100.64.0.2', { ...lan, wan: ['100.64.0.2'] });
  t.is(machine.after(60, lan), 0);
  t.is(machine.after(5, { ...lan, wan: ['fe80::2'] }), 0);
  t.is(machine.after(5, { ...lan, wan: ['100.64.0.2'] }), 0);
  t.is(machine.after(5, lan), 0);
  t.is(machine.after(1, { ...lan, wan: ['100.64.0.9'] }), 1);
});

test('an address that has moved to another interface is still there', t => {
  const machine = watching('100.64.0.2', { wan: ['100.64.0.2'] });
  t.is(machine.after(10, { wan: ['100.64.0.3'], wan2: ['100.64.0.2'] }), 0);
});

test('IPv6 addresses are replaced by IPv6 addresses only, and zones do not matter', t => {
  const machine = watching('fe80::2%wan', { wan: ['fe80::2', '100.64.0.2'] });
  t.is(machine.after(10, { wan: ['100.64.0.2'] }), 0);
  t.is(machine.after(1, { wan: ['100.64.0.2', 'fd00::2'] }), 1);
});

test('what no interface lists is not watched, and nothing is after the end', t => {
  t.is(watching(undefined, lan).after(10, {}), 0);
  t.is(watching('127.0.0.2', lan).after(10, { lo: ['127.0.0.1'] }), 0);
  const machine = watching('192.168.1.1', lan);
  machine.stop();
  t.is(machine.after(10, { 'br-lan': ['10.0.0.1'] }), 0);
});
