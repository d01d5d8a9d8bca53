import test from 'ava';
import { gatewayFacts } from '../../policy/gateway-facts.ts';
import { canonicalAddress } from '../../policy/target.ts';
import type { BoundTo } from '../ports/open.ts';
import { addressesOf, interfacesFor, zoneOf } from './places.ts';

const described = (name: string, ...addresses: [string, number][]) => ({
  name,
  up: true,
  addresses: addresses.map(([address, prefixLength]) => ({ address, prefixLength })),
});

const interfaces = [
  described('lo', ['127.0.0.1', 8], ['::1', 128]),
  described('br-lan', ['192.168.1.1', 24], ['fd00:1::1', 64], ['fe80::1', 64]),
  described('br-guest', ['192.168.2.1', 24], ['fe80::1', 64]),
  described('wan', ['100.64.0.2', 24], ['192.168.77.2', 24]),
];

const facts = gatewayFacts(interfaces, ['wan']);

const at = (text: string): BoundTo => ({
  address: canonicalAddress(text),
  text,
  family: text.includes(':') ? 6 : 4,
});

const wildcard = (family: 4 | 6): BoundTo => ({
  address: 'wildcard',
  text: family === 4 ? '0.0.0.0' : '::',
  family,
});

test('a port is captured where its address lives, the WAN included', t => {
  const where = (...ports: BoundTo[]) => interfacesFor(ports, interfaces, facts);
  t.deepEqual(where(at('192.168.1.1')), ['br-lan']);
  t.deepEqual(where(at('100.64.0.2')), ['wan']);
  t.deepEqual(where(at('127.0.0.1'), at('192.168.2.1')), ['lo', 'br-guest']);
  t.deepEqual(where(at('192.0.2.7')), []);
  t.deepEqual(where(), []);
});

test('a wildcard port is captured on all of the LAN and nowhere else, at every address of its family', t => {
  t.deepEqual(interfacesFor([wildcard(4)], interfaces, facts), ['br-lan', 'br-guest']);
  t.deepEqual(addressesOf(wildcard(4), interfaces), [
    '127.0.0.1',
    '192.168.1.1',
    '192.168.2.1',
    '100.64.0.2',
    '192.168.77.2',
  ]);
  t.deepEqual(addressesOf(wildcard(6), interfaces), ['::1', 'fd00:1::1', 'fe80::1']);
});

test('a link-local address is captured on the interface of its zone', t => {
  const port = at('fe80::1%br-guest');
  t.deepEqual(interfacesFor([port], interfaces, facts), ['br-guest']);
  t.deepEqual(addressesOf(port, interfaces), ['fe80::1']);
  t.is(zoneOf(port), 'br-guest');
  t.is(zoneOf(at('192.168.1.1')), undefined);
});
