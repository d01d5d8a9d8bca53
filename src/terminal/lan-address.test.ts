import test from 'ava';
import type { NetworkInterface, Report } from '../wire/messages/report.ts';
import { lanAddress, sourceAddressFor } from './lan-address.ts';

function report(...interfaces: NetworkInterface[]): Report {
  const bootId = new Uint8Array(16);
  return { hostname: 'gw', interfaces, routes: [], bootId, uptimeS: 1, services: [], software: 'test' };
}

function port(name: string, lan: boolean, ...addresses: string[]): NetworkInterface {
  const parsed = addresses.map(text => {
    const [address = '', prefixLength] = text.split('/');
    return { address, prefixLength: Number(prefixLength) };
  });
  return { name, up: true, addresses: parsed, lan };
}

const wan = port('wan', false, '198.51.100.2/24');
const lan = port('br-lan', true, 'fe80::1/64', 'fd00::1/64', '192.168.1.1/24');
const guest = port('br-guest', true, '192.168.7.1/24');
const gateway = report(wan, lan, guest);

test('datagrams leave from the address in whose network the target is', t => {
  t.is(sourceAddressFor(gateway, '192.168.7.20'), '192.168.7.1');
  t.is(sourceAddressFor(gateway, '192.168.1.20'), '192.168.1.1');
  t.is(sourceAddressFor(gateway, 'fd00::20'), 'fd00::1');
  t.is(sourceAddressFor(gateway, '198.51.100.9'), '198.51.100.2');
});

test('for a target behind a router of the LAN it is the LAN address of its family', t => {
  t.is(sourceAddressFor(gateway, '10.9.9.9'), '192.168.1.1');
});

test('without a report, or without an address that is up, none is guessed', t => {
  t.is(sourceAddressFor(undefined, '192.168.1.20'), undefined);
  t.is(sourceAddressFor(report({ ...lan, up: false }), '192.168.1.20'), undefined);
});

test('expose listens on the IPv4 address of the LAN, else on the IPv6 one, never on a link-local one', t => {
  t.is(lanAddress(gateway, 'gw-1'), '192.168.1.1');
  t.is(lanAddress(report(port('br-lan', true, 'fe80::1/64', 'fd00::1/64')), 'gw-1'), 'fd00::1');
  t.throws(() => lanAddress(report(wan), 'gw-1'), { code: 'EADDRNOTAVAIL', message: /owner\.lan/ });
});
