import test from 'ava';
import { conntrackSysctls } from './conntrack.ts';
import { LabError } from './errors.ts';
import {
  checkAddress,
  checkCidr,
  checkInterfaceName,
  checkLabName,
  checkNamespaceName,
  checkPorts,
  checkWhole,
  sysctlPath,
} from './input.ts';

function refuses<T>(
  title: string,
  check: (value: T) => unknown,
  bad: readonly T[],
  good: readonly T[],
): void {
  test(`${title}: bad ones are named in the error, good ones pass`, t => {
    for (const value of good) t.notThrows(() => check(value), JSON.stringify(value));
    for (const value of bad) {
      const error = t.throws(() => check(value), { instanceOf: LabError, code: 'bad-input' });
      t.true(
        error?.message.includes(JSON.stringify(value)),
        `${JSON.stringify(value)} in: ${error?.message}`,
      );
    }
  });
}

refuses('lab names', checkLabName, ['', 'Lab', 'a-b', '1a', 'a'.repeat(17)], ['a', 'demo2', 'a'.repeat(16)]);
refuses('namespace names', checkNamespaceName, ['', '../x', 'a b', 'a/b', '-a'], ['a', 'home-router_2', 'A']);
refuses(
  'interface names',
  checkInterfaceName,
  ['', 'a"b', 'a b', '0123456789abcdef', '-x'],
  ['wan', 'br-lan.p1'],
);
refuses(
  'addresses with prefix',
  checkCidr,
  [
    '10.0.0.1',
    '10.0.0.1/33',
    '10.0.0.256/24',
    'fd00::1/129',
    '10.0.0.1/24/1',
    '10.0.0.1/',
    '/24',
    '10.0.0.1/-1',
  ],
  ['10.0.0.1/0', '10.0.0.1/32', 'fd00::1/128'],
);
refuses('address literals', checkAddress, ['', 'host', '10.0.0.1/24', '10.1'], ['10.0.0.1', 'fd00::1']);
refuses(
  'sysctl names',
  sysctlPath,
  ['', 'net', 'net/../x/y', '/net/ipv4', 'net.ipv4.x;y'],
  ['net.ipv4.ip_forward'],
);
refuses('port lists', checkPorts as (ports: readonly number[]) => unknown, [[]], [[1], [443, 65_535]]);
refuses('ports', (port: number) => checkPorts([port]), [0, 65_536, 1.5, -1], [1, 65_535]);
refuses('whole numbers', (n: number) => checkWhole(n, 'n', 1, 3), [0, 4, 1.5], [1, 2, 3]);

test('sysctl names with slashes keep the dots of an interface name', t => {
  t.is(sysctlPath('net.ipv4.conf.all.rp_filter'), 'net/ipv4/conf/all/rp_filter');
  t.is(sysctlPath('net/ipv4/conf/eth0.5/rp_filter'), 'net/ipv4/conf/eth0.5/rp_filter');
});

test('an unknown conntrack timer is refused with the list of those there are', t => {
  t.throws(() => conntrackSysctls({ udpSecs: 3 } as object), {
    code: 'bad-input',
    message: /no timer udpSecs.*udpSeconds/,
  });
});
