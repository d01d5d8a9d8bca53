import test from 'ava';
import { parse as parseToml } from 'smol-toml';
import { EntremiseError } from '../base/errors.ts';
import { addressEntryText } from './address-entry.ts';
import { numberRangeText } from './number-range.ts';
import { defaultOwnerPolicy, defaultPurposePolicy, parseOwnerPolicy } from './owner-policy.ts';

const parse = (toml: string) => parseOwnerPolicy(parseToml(toml).owner ?? {}, '/etc/entremise/mediator.toml');

test('an owner who writes nothing has the default policy', t => {
  t.deepEqual(parse(''), defaultOwnerPolicy);
  t.deepEqual(parse('[owner]'), defaultOwnerPolicy);
});

test('the default is the LAN and nothing of the gateway itself', t => {
  const { targets, ports, consent, allowed } = defaultPurposePolicy;
  t.deepEqual(targets.networks.map(addressEntryText), ['lan']);
  t.deepEqual(ports.addresses.map(addressEntryText), ['lan']);
  t.deepEqual(ports.tcp.map(numberRangeText), ['1024-65535']);
  t.is(consent, 'always');
  t.true(allowed);
});

test('options count for both purposes, and a purpose may say otherwise, key by key', t => {
  const policy = parse(`
    [owner]
    consent = "window"
    lan = ["br-lan", "br-guest.7"]
    deny = ["192.168.1.2", "multicast"]
    hide = ["hostname"]
    [owner.targets]
    tcp = [80, "8000-8999"]
    [owner.service]
    consent = "always"
    [owner.service.targets]
    networks = ["192.168.1.10"]
    [owner.assistance.ports]
    addresses = ["lan", "wildcard"]
  `);
  t.deepEqual(policy.lan, ['br-lan', 'br-guest.7']);
  t.deepEqual(policy.deny.map(addressEntryText), ['192.168.1.2', 'multicast']);
  t.deepEqual(policy.hide, ['hostname']);
  t.is(policy.assistance.consent, 'window');
  t.is(policy.service.consent, 'always');
  t.deepEqual(policy.service.targets.networks.map(addressEntryText), ['192.168.1.10']);
  t.deepEqual(policy.service.targets.tcp.map(numberRangeText), ['80', '8000-8999']);
  t.deepEqual(policy.assistance.targets.networks.map(addressEntryText), ['lan']);
  t.deepEqual(policy.assistance.targets.udp.map(numberRangeText), ['1-65535']);
  t.deepEqual(policy.assistance.ports.addresses.map(addressEntryText), ['lan', 'wildcard']);
  t.deepEqual(policy.service.ports.addresses.map(addressEntryText), ['lan']);
});

test('a purpose that is not listed is not allowed', t => {
  const policy = parse('owner.purposes = ["service"]');
  t.false(policy.assistance.allowed);
  t.true(policy.service.allowed);
  t.false(parse('owner.purposes = []').service.allowed);
});

const wrong: readonly (readonly [string, RegExp])[] = [
  ['owner.network = ["lan"]', /mediator\.toml: owner\.network is not known here/],
  [
    'owner.targets.networks = ["127.1"]',
    /owner\.targets\.networks\[0\] is wrong: "127\.1" is not a network; write it like/,
  ],
  [
    'owner.targets.networks = ["all"]',
    /owner\.targets\.networks\[0\] .*allowed are a network, an address, or one of: lan, loopback/,
  ],
  ['owner.targets.networks = "lan"', /owner\.targets\.networks must be a list/],
  [
    'owner.targets.tcp = [0]',
    /owner\.targets\.tcp\[0\] "0" is not a range of port numbers; write it like 80/,
  ],
  ['owner.targets.tcp = ["http"]', /owner\.targets\.tcp\[0\] "http" is not a range/],
  ['owner.targets.ports = [80]', /owner\.targets\.ports is not known here/],
  ['owner.targets = 3', /owner\.targets must be a table/],
  ['owner.consent = "never"', /owner\.consent must be one of: always, window/],
  ['owner.purposes = ["help"]', /owner\.purposes\[0\] must be one of: assistance, service/],
  ['owner.commands = ["ssh"]', /owner\.commands\[0\] must be one of: open, redirect, connect, listen/],
  ['owner.hide = ["everything"]', /owner\.hide\[0\] must be one of: hostname, model, release/],
  ['owner.lan = ["../eth0"]', /owner\.lan\[0\] must be the name of an interface/],
  ['owner.deny = ["wildcard"]', /owner\.deny\[0\] is wrong: "wildcard" can be bound/],
  ['owner.assistance.purposes = []', /owner\.assistance\.purposes is not known here/],
  ['owner.service.lan = ["eth0"]', /owner\.service\.lan is not known here/],
  ['owner = 3', /mediator\.toml: owner\.? ?must be a table/],
];

for (const [toml, message] of wrong) {
  test(`refused: ${toml}`, t => {
    const error = t.throws(() => parse(toml), { instanceOf: EntremiseError, message });
    t.is(error?.code, 'bad-config');
  });
}
