import test from 'ava';
import { classesOf, reachesGateway } from './address-class.ts';
import { embeddedAddresses } from './embedded-address.ts';
import { gatewayFacts, isOnLan, isOwnLanAddress, isPrivate } from './gateway-facts.ts';
import { canonicalAddress } from './target.ts';

const facts = gatewayFacts(
  [
    {
      name: 'lo',
      addresses: [
        { address: '127.0.0.1', prefixLength: 8 },
        { address: '::1', prefixLength: 128 },
      ],
    },
    {
      name: 'br-lan',
      addresses: [
        { address: '192.168.1.1', prefixLength: 24 },
        { address: 'fd00:1::1', prefixLength: 64 },
        { address: 'fe80::1', prefixLength: 64 },
      ],
    },
    { name: 'wan', addresses: [{ address: '10.64.0.9', prefixLength: 20 }] },
    { name: 'ppp0', addresses: [{ address: '10.200.0.2', prefixLength: 32 }] },
  ],
  ['wan'],
);

const rows: readonly (readonly [string, readonly string[]])[] = [
  ['192.168.1.10', []],
  ['8.8.8.8', []],
  ['fd00:1::10', []],
  ['127.0.0.1', ['loopback']],
  ['127.255.255.254', ['loopback']],
  ['::1', ['loopback']],
  ['::ffff:127.0.0.1', ['loopback']],
  ['0.0.0.0', ['unspecified']],
  ['0.255.0.1', ['unspecified']],
  ['::', ['unspecified']],
  ['169.254.169.254', ['link-local']],
  ['fe80::9%br-lan', ['link-local']],
  ['febf::1', ['link-local']],
  ['224.0.0.1', ['multicast']],
  ['239.255.255.250', ['multicast']],
  ['ff02::1%br-lan', ['multicast']],
  ['240.0.0.1', ['reserved']],
  ['fec0::1', ['reserved']],
  ['255.255.255.255', ['broadcast']],
  ['192.168.1.255', ['broadcast']],
  ['192.168.1.0', ['broadcast']],
  ['10.64.15.255', ['broadcast']],
  ['192.168.2.255', []],
  ['192.168.1.1', ['gateway']],
  ['10.64.0.9', ['gateway']],
  ['10.200.0.2', ['gateway']],
  ['fd00:1::1', ['gateway']],
  ['fd00:1::', ['gateway']],
  ['fe80::1%br-lan', ['link-local', 'gateway']],
  ['fe80::1%wan', ['link-local', 'gateway']],
];

for (const [text, classes] of rows) {
  test(`the classes of ${text} are [${classes.join(', ')}]`, t => {
    t.deepEqual([...classesOf(canonicalAddress(text), facts)], [...classes]);
  });
}

test('without facts nothing is the gateway or a directed broadcast', t => {
  for (const text of ['192.168.1.1', '192.168.1.255', 'fd00:1::']) {
    t.deepEqual(classesOf(canonicalAddress(text), undefined), []);
  }
});

test('the gateway answers for itself, loopback and unspecified', t => {
  const reaching = (text: string) => reachesGateway(classesOf(canonicalAddress(text), facts));
  for (const text of ['127.0.0.1', '0.0.0.0', '::', '192.168.1.1', '10.64.0.9']) t.true(reaching(text), text);
  for (const text of ['192.168.1.2', '224.0.0.1', '169.254.1.1']) t.false(reaching(text), text);
});

const embeddings: readonly (readonly [string, readonly string[]])[] = [
  ['192.168.1.1', []],
  ['2001:db8::1', []],
  ['::', []],
  ['::1', []],
  ['::127.0.0.1', ['127.0.0.1']],
  ['::2', ['0.0.0.2']],
  ['::ffff:0:127.0.0.1', ['127.0.0.1']],
  ['64:ff9b::7f00:1', ['127.0.0.1']],
  ['64:ff9b:1:7f00:0:100::', ['127.0.0.1', '0.0.1.0', '0.1.0.0', '0.0.0.0']],
  ['64:ff9b:1:abcd::192.168.1.1', ['171.205.0.0', '205.0.0.0', '0.0.0.192', '192.168.1.1']],
  ['2002:7f00:1::', ['127.0.0.1']],
  ['2002:c0a8:101::1', ['192.168.1.1']],
  ['2001:0:7f00:1:0:0:3f57:fefe', ['127.0.0.1', '192.168.1.1']],
  ['2001:db8::5efe:192.168.1.1', ['192.168.1.1']],
  ['fe80::200:5efe:127.0.0.1', ['127.0.0.1']],
  ['2001:db8::5eff:192.168.1.1', []],
];

for (const [text, inside] of embeddings) {
  test(`${text} carries [${inside.join(', ')}]`, t => {
    t.deepEqual(
      embeddedAddresses(canonicalAddress(text)).map(each => each.text),
      [...inside],
    );
  });
}

test('the LAN is what has a private address and no default route, unless the owner names it', t => {
  t.true(isOnLan(facts, canonicalAddress('192.168.1.77')));
  t.true(isOnLan(facts, canonicalAddress('fd00:1::77')));
  t.false(isOnLan(facts, canonicalAddress('10.64.0.1')));
  t.false(isOnLan(facts, canonicalAddress('10.200.0.2')));
  t.true(isOwnLanAddress(facts, canonicalAddress('192.168.1.1')));
  t.false(isOwnLanAddress(facts, canonicalAddress('10.64.0.9')));
  const named = gatewayFacts(
    [{ name: 'eth0', addresses: [{ address: '203.0.113.5', prefixLength: 24 }] }],
    ['eth0'],
    ['eth0'],
  );
  t.true(isOnLan(named, canonicalAddress('203.0.113.9')));
  const oneArm = gatewayFacts(
    [{ name: 'eth0', addresses: [{ address: '192.168.1.5', prefixLength: 24 }] }],
    ['eth0'],
  );
  t.false(isOnLan(oneArm, canonicalAddress('192.168.1.9')));
});

test('private is RFC 1918 and RFC 4193', t => {
  for (const text of ['10.0.0.1', '172.31.0.1', '192.168.0.1', 'fd12::1'])
    t.true(isPrivate(canonicalAddress(text)));
  for (const text of ['172.32.0.1', '100.64.0.1', '2001:db8::1']) t.false(isPrivate(canonicalAddress(text)));
});
