import type { NetworkInterfaceInfo } from 'node:os';
import test from 'ava';
import { classesOf } from '../../policy/address-class.ts';
import { canonicalAddress } from '../../policy/target.ts';
import { report } from '../../wire/messages/report.ts';
import { type Environment, factsOf, readEnvironment, reportOf } from './environment.ts';
import { combineInterfaces } from './interfaces.ts';
import { machineModel, machineRelease, readIfThere, readMachine } from './machine.ts';

function info(address: string, cidr: string): NetworkInterfaceInfo {
  const family = address.includes(':') ? 'IPv6' : 'IPv4';
  return { address, cidr, family, netmask: '', mac: '', internal: false, scopeid: 0 } as NetworkInterfaceInfo;
}

const routes = [
  { destination: '0.0.0.0', prefixLength: 0, gateway: '198.51.100.1', interface: 'wan' },
  { destination: '192.168.1.0', prefixLength: 24, interface: 'br-lan' },
  { destination: '192.168.2.0', prefixLength: 24, interface: 'guest' },
];

const combined = combineInterfaces({
  names: ['lo', 'br-lan', 'guest', 'wan', 'off'],
  known: {
    lo: [info('127.0.0.1', '127.0.0.1/8')],
    'br-lan': [info('192.168.1.1', '192.168.1.1/24'), info('fe80::1', 'fe80::1/64')],
    wan: [info('198.51.100.7', '198.51.100.7/24')],
  },
  ipv6: [
    { interface: 'br-lan', address: 'fe80::1', prefixLength: 64 },
    { interface: 'guest', address: 'fd00:2::1', prefixLength: 64 },
  ],
  localIpv4: ['127.0.0.1', '192.168.1.1', '192.168.2.1', '198.51.100.7', '203.0.113.99'],
  routes,
  isUp: name => name !== 'off',
  hardwareAddress: name => (name === 'br-lan' ? '02:00:00:00:00:01' : undefined),
});

test('an interface without carrier keeps the addresses that the machine still answers for', t => {
  const guest = combined.interfaces.find(({ name }) => name === 'guest');
  t.deepEqual(guest, {
    name: 'guest',
    up: true,
    addresses: [
      { address: '192.168.2.1', prefixLength: 24 },
      { address: 'fd00:2::1', prefixLength: 64 },
    ],
  });
  t.deepEqual(combined.strayAddresses, ['203.0.113.99']);
});

test('an address that two sources tell of is told once', t => {
  const lan = combined.interfaces.find(({ name }) => name === 'br-lan');
  t.deepEqual(
    lan?.addresses.map(({ address }) => address),
    ['192.168.1.1', 'fe80::1'],
  );
  t.is(lan?.hardwareAddress, '02:00:00:00:00:01');
});

const environment: Environment = {
  ...combined,
  hostname: 'gw',
  model: 'Model',
  release: 'Release',
  routes,
  bootId: Buffer.alloc(16, 1),
  board: undefined,
  networks: [],
  prefixes: [],
};

test("P6.8: whatever address is the machine's own is the gateway's for authorise()", t => {
  const facts = factsOf(environment, undefined);
  for (const own of ['192.168.1.1', '192.168.2.1', '198.51.100.7', '203.0.113.99', 'fd00:2::1'])
    t.deepEqual(classesOf(canonicalAddress(own), facts), ['gateway'], own);
  t.deepEqual(classesOf(canonicalAddress('192.168.1.2'), facts), []);
  t.deepEqual(classesOf(canonicalAddress('192.168.1.255'), facts), ['broadcast']);
});

test('S5: the REPORT says which interfaces are the LAN, and leaves out what the owner hides', t => {
  const facts = factsOf(environment, undefined);
  const extras = { services: [], software: 'x', hide: [], instance: Buffer.alloc(16), facts };
  const full = reportOf(environment, extras);
  t.deepEqual(
    full.interfaces.map(({ name, lan }) => [name, lan]),
    [
      ['lo', false],
      ['br-lan', true],
      ['guest', true],
      ['wan', false],
      ['off', false],
    ],
  );
  t.deepEqual(report.fromBytes(report.toBytes(full)).interfaces.length, 5);
  const hidden = reportOf(environment, {
    ...extras,
    hide: ['hostname', 'model', 'release', 'interfaces', 'routes'],
  });
  t.like(hidden, { hostname: '', interfaces: [], routes: [] });
  t.false('model' in hidden || 'release' in hidden);
});

test('a machine with more interfaces, routes and letters than a REPORT holds still reports', t => {
  const addresses = Array.from({ length: 100 }, (_, index) => ({
    address: `fd00::${(index + 1).toString(16)}`,
    prefixLength: 64,
  }));
  const many: Environment = {
    ...environment,
    hostname: 'ä'.repeat(300),
    interfaces: Array.from({ length: 200 }, (_, index) => ({ name: `eth${index}`, up: true, addresses })),
    routes: Array.from({ length: 2000 }, () => ({
      destination: 'fd00::',
      prefixLength: 64,
      gateway: 'fd00::1',
      interface: 'eth0',
    })),
  };
  const extras = { services: [], software: 'x'.repeat(100), hide: [], instance: Buffer.alloc(16) };
  const made = reportOf(many, { ...extras, facts: { ownAddresses: [] } });
  t.true(report.toBytes(made).length <= 256 * 1024);
});

test('this machine has a loopback interface, a boot id and an encodable REPORT', t => {
  const real = readEnvironment(readIfThere, readMachine(readIfThere));
  t.true(real.interfaces.some(({ addresses }) => addresses.some(({ address }) => address === '127.0.0.1')));
  t.is(real.bootId?.length, 16);
  const facts = factsOf(real, undefined);
  const extras = { services: [], software: 'x', hide: [], instance: Buffer.alloc(16), facts };
  t.true(report.toBytes(reportOf(real, extras)).length > 0);
});

test('the model and release, from whoever says them', t => {
  const files: Record<string, string> = {
    '/proc/device-tree/model': 'GL.iNet GL-MT300N\0',
    '/sys/class/dmi/id/sys_vendor': 'Acme\n',
    '/sys/class/dmi/id/product_name': 'Box 3000\n',
    '/etc/os-release': 'PRETTY_NAME="Debian"',
    '/etc/openwrt_release': "DISTRIB_DESCRIPTION='OpenWrt 24.10'",
  };
  const read = (path: string) => files[path];
  t.is(machineModel(read), 'GL.iNet GL-MT300N');
  t.is(
    machineModel(path => (path.startsWith('/sys') ? files[path] : undefined)),
    'Acme Box 3000',
  );
  t.is(
    machineModel(() => undefined),
    undefined,
  );
  t.is(machineRelease(read), 'OpenWrt 24.10');
  t.is(
    machineRelease(path => (path === '/etc/os-release' ? files[path] : undefined)),
    'Debian',
  );
});
