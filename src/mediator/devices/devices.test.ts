import test from 'ava';
import { fakeClock } from '../../base/clock.ts';
import type { Neighbour } from '../../native/addon.ts';
import { gatewayFacts } from '../../policy/gateway-facts.ts';
import { ipToBytes } from '../../wire/ip.ts';
import type { Environment } from '../environment/environment.ts';
import { type DeviceSources, devicesOf } from './devices.ts';
import type { Lease } from './leases.ts';
import { DeviceSurvey } from './survey.ts';

const interfaces = [
  {
    name: 'br-lan',
    up: true,
    addresses: [
      { address: '192.168.1.1', prefixLength: 24 },
      { address: 'fd00:1::1', prefixLength: 64 },
      { address: 'fe80::1', prefixLength: 64 },
    ],
  },
  { name: 'wan', up: true, addresses: [{ address: '10.64.0.2', prefixLength: 24 }] },
];
const facts = gatewayFacts(interfaces, ['wan']);
const nowMs = 1_772_000_000_000;

function neighbour(name: string, address: string, last: number, state = 0x02): Neighbour {
  const hardwareAddress = Buffer.from([2, 0, 0, 0, 0, last]);
  return { interface: name, address: Buffer.from(ipToBytes(address)), hardwareAddress, state };
}

function found(leases: readonly Lease[], neighbours: readonly Neighbour[]) {
  const sources: DeviceSources = { leases, neighbours, facts, interfaces, nowMs };
  return devicesOf(sources);
}

test('leases and neighbours of one hardware address are one device, by its first address', t => {
  const leases = [
    { address: '192.168.1.20', hardwareAddress: '02:00:00:00:00:02', name: 'second' },
    { address: 'fd00:1::10', name: 'printer', interface: 'br-lan' },
    {
      address: '192.168.1.10',
      hardwareAddress: '02:00:00:00:00:01',
      name: 'printer',
      untilMs: nowMs + 1000,
    },
  ];
  const neighbours = [
    neighbour('br-lan', 'fd00:1::10', 1, 0x04),
    neighbour('br-lan', '192.168.1.10', 1),
    neighbour('br-lan', 'fe80::abcd', 1),
  ];
  t.deepEqual(found(leases, neighbours), [
    {
      addresses: ['192.168.1.10', 'fd00:1::10'],
      hardwareAddress: '02:00:00:00:00:01',
      name: 'printer',
      interface: 'br-lan',
      leaseUntilMs: nowMs + 1000,
      seen: 'reachable',
    },
    {
      addresses: ['192.168.1.20'],
      hardwareAddress: '02:00:00:00:00:02',
      name: 'second',
      interface: 'br-lan',
    },
  ]);
});

test('a device with a static address and no name is known by the neighbour table alone', t => {
  t.deepEqual(found([], [neighbour('br-lan', '192.168.1.30', 3, 0x04)]), [
    {
      addresses: ['192.168.1.30'],
      hardwareAddress: '02:00:00:00:00:03',
      interface: 'br-lan',
      seen: 'stale',
    },
  ]);
});

test('no device is who is on the WAN, has not answered, is the gateway itself, or whose lease is over', t => {
  const leases = [
    { address: '10.64.0.9', name: 'provider' },
    { address: '192.168.1.1', name: 'gateway' },
    { address: '192.168.1.40', name: 'over', untilMs: nowMs - 1 },
  ];
  const unanswered = { ...neighbour('br-lan', '192.168.1.50', 5), hardwareAddress: Buffer.alloc(0) };
  const neighbours = [
    neighbour('wan', '10.64.0.1', 9),
    neighbour('wan', '192.168.1.60', 9),
    neighbour('br-lan', '192.168.1.61', 9, 0x20),
    neighbour('br-lan', 'fe80::9', 9),
    unanswered,
  ];
  t.deepEqual(found(leases, neighbours), []);
});

test('of a device that takes many addresses the first sixteen are told', t => {
  const many = Array.from({ length: 100 }, (_, index) => neighbour('br-lan', `192.168.1.${index + 100}`, 1));
  const [device, ...more] = found([], many);
  t.deepEqual([device?.addresses.length, more.length], [16, 0]);
});

test('a survey is put together when it is asked for, at most once a second', t => {
  const clock = fakeClock();
  let reads = 0;
  const survey = new DeviceSurvey({
    native: { neighbours: () => [neighbour('br-lan', '192.168.1.10', 1)] },
    clock,
    read(path) {
      reads++;
      return path === '/leases' ? '0 02:00:00:00:00:01 192.168.1.10 printer *' : undefined;
    },
    leaseFiles: ['/leases', '/nowhere'],
    environment: () => ({ interfaces }) as unknown as Environment,
    facts: () => facts,
  });
  t.like(survey.devices[0], { name: 'printer', seen: 'reachable' });
  for (let asked = 0; asked < 100; asked++) t.is(survey.devices.length, 1);
  t.is(reads, 2);
  clock.advance(1000);
  t.is(survey.devices.length, 1);
  t.is(reads, 4);
});

test('where the kernel does not tell its neighbours there are still the leases', t => {
  const survey = new DeviceSurvey({
    native: { neighbours: () => 'EPERM' },
    clock: fakeClock(),
    read: () => '0 02:00:00:00:00:01 192.168.1.10 printer *',
    leaseFiles: ['/leases'],
    environment: () => ({ interfaces }) as unknown as Environment,
    facts: () => facts,
  });
  t.is(survey.devices[0]?.seen, undefined);
  t.is(survey.devices[0]?.name, 'printer');
});
