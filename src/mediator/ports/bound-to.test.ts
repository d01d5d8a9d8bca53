import test from 'ava';
import { EntremiseError, type ErrorCode } from '../../base/errors.ts';
import { gatewayFacts } from '../../policy/gateway-facts.ts';
import type { CommandOf } from '../../wire/messages/command.ts';
import { boundTo } from './bound-to.ts';

const facts = gatewayFacts(
  [
    { name: 'br-lan', addresses: [{ address: '192.168.1.1', prefixLength: 24 }] },
    { name: 'br-lan:1', addresses: [{ address: '192.168.2.1', prefixLength: 24 }] },
    { name: 'br-guest', addresses: [{ address: 'fd00:2::1', prefixLength: 64 }] },
    { name: 'br-iot', addresses: [{ address: 'fd00:3::1', prefixLength: 64 }] },
    { name: 'wan', addresses: [{ address: '100.64.0.2', prefixLength: 24 }] },
  ],
  ['wan'],
);

const ask = (address: string, zone?: string, protocol: 'tcp' | 'udp' = 'udp'): CommandOf<'open'> => ({
  id: 1,
  verb: 'open',
  protocol,
  address,
  ...(zone === undefined ? {} : { zone }),
  number: 5353,
  choice: 'mandatory',
});

const scopeOf = (address: string, zone?: string) => {
  const { scope, onLan } = boundTo(ask(address, zone), facts);
  return [scope?.interface, scope?.shared, onLan];
};

test('P5.1: a group is met on the only interface of the LAN with its family, or on the one that is said', t => {
  t.deepEqual(scopeOf('224.0.0.251'), ['br-lan', true, true]);
  t.deepEqual(scopeOf('224.0.0.251', 'br-lan'), ['br-lan', true, true]);
  t.deepEqual(scopeOf('ff02::fb', 'br-iot'), ['br-iot', true, true]);
  t.deepEqual(scopeOf('255.255.255.255'), ['br-lan', true, true]);
});

test('P5.1: a directed broadcast address is met on the interface whose network it is of', t => {
  t.deepEqual(scopeOf('192.168.2.255'), ['br-lan', true, true]);
});

const refusals: readonly (readonly [
  address: string,
  zone: string | undefined,
  code: ErrorCode,
  says: RegExp,
])[] = [
  ['ff02::fb', undefined, 'bad-request', /say which by `zone`: br-guest, br-iot\./],
  ['224.0.0.251', 'wan', 'address-not-available', /wan is not one of: br-lan; the option owner\.lan/],
  ['100.64.0.255', undefined, 'address-not-available', /100\.64\.0\.255/],
  ['224.0.0.251', 'br-iot', 'address-not-available', /br-iot is not one of: br-lan/],
];

for (const [address, zone, code, says] of refusals)
  test(`P5.1: ${address} on ${zone ?? 'whichever'} is ${code}`, t => {
    const error = t.throws(() => boundTo(ask(address, zone), facts), { instanceOf: EntremiseError });
    t.is(error.code, code);
    t.regex(error.message, says);
  });

test('an address of the gateway has its interface with it; only those of the LAN reach groups', t => {
  t.deepEqual(scopeOf('192.168.1.1'), ['br-lan', false, true]);
  t.deepEqual(scopeOf('192.168.2.1'), ['br-lan', false, true]);
  t.deepEqual(scopeOf('100.64.0.2'), ['wan', false, false]);
  t.deepEqual(scopeOf('192.168.9.9'), [undefined, undefined, false]);
  t.is(boundTo(ask('0.0.0.0'), facts).address, 'wildcard');
  t.deepEqual(scopeOf('0.0.0.0'), [undefined, undefined, false]);
});

test('TCP knows no groups: the kernel is asked as for any address', t => {
  t.is(boundTo(ask('224.0.0.251', undefined, 'tcp'), facts).scope?.shared, undefined);
});
