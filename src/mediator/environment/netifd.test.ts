import { readFileSync } from 'node:fs';
import test from 'ava';
import { classesOf } from '../../policy/address-class.ts';
import { canonicalAddress } from '../../policy/target.ts';
import { report } from '../../wire/messages/report.ts';
import { type Environment, factsOf, readEnvironment, reportOf } from './environment.ts';
import { readIfThere, readMachine } from './machine.ts';
import { parseNetifd } from './netifd.ts';

/** What the stand-in of ubus answers: testbed/openwrt/stand-in. */
const answerPath = new URL(
  '../../../../testbed/openwrt/stand-in/usr/share/stand-in/network.json',
  import.meta.url,
);
const answer = readFileSync(answerPath, 'utf8');

test("netifd's networks: their interfaces, which lead outside, and what was delegated by which", t => {
  const prefix = { address: '2001:db8:4711::', prefixLength: 56 };
  t.deepEqual(parseNetifd(answer), [
    { name: 'lan', interface: 'br-lan', outside: false, delegated: [] },
    { name: 'wan', interface: 'wan', outside: true, delegated: [] },
    { name: 'wan6', interface: 'wan', outside: true, delegated: [prefix] },
    { name: 'wwan', interface: 'wwan0', outside: true, delegated: [] },
  ]);
});

test('an answer that is none is told from one without networks, and what is not understood is left out', t => {
  for (const text of ['', '{', '[]', '{"interface": 5}', 'Command failed: Not found'])
    t.is(parseNetifd(text), undefined, text);
  t.deepEqual(parseNetifd('{"interface": []}'), []);
  const odd = [
    '{}',
    '{"interface":"a","route":7}',
    '{"interface":"b","ipv6-prefix":[{"address":"x","mask":56},{"address":"2001:db8::","mask":900}]}',
  ];
  t.deepEqual(parseNetifd(`{"interface":[${odd}]}`), [
    { name: 'b', interface: undefined, outside: false, delegated: [] },
  ]);
});

const file = '/network.json';
const machine = { ...readMachine(() => undefined), board: 'acme,box-3000' };

function made(said: string): Environment {
  const read = (path: string) => (path === file ? said : readIfThere(path));
  const environment = readEnvironment(read, machine, file);
  const address = (text: string) => [{ address: text, prefixLength: 24 }];
  const interfaces = [
    { name: 'br-lan', up: true, addresses: address('192.168.1.1') },
    { name: 'wan', up: true, addresses: address('100.64.0.2') },
    { name: 'wwan0', up: true, addresses: address('10.20.30.2') },
  ];
  return { ...environment, interfaces, routes: [], strayAddresses: [] };
}

test('S5: the REPORT says which interfaces are the WAN, what the router calls its networks, and its prefixes', t => {
  const environment = made(answer);
  const facts = factsOf(environment, undefined);
  const extras = { services: [], software: 'x', hide: [], instance: Buffer.alloc(16), facts };
  const said = report.fromBytes(report.toBytes(reportOf(environment, extras)));
  t.deepEqual(
    said.interfaces.map(({ name, lan, wan, networks }) => [name, lan, wan, networks]),
    [
      ['br-lan', true, false, ['lan']],
      ['wan', false, true, ['wan', 'wan6']],
      ['wwan0', false, true, ['wwan']],
    ],
  );
  t.deepEqual(said.prefixes, [{ address: '2001:db8:4711::', prefixLength: 56, network: 'wan6' }]);
  t.is(said.board, 'acme,box-3000');
  const hidden = reportOf(environment, { ...extras, hide: ['model', 'interfaces'] });
  t.false('board' in hidden || 'prefixes' in hidden);
});

test('P6.8: a second way out, whose default route is in a table of its own, is not taken for the LAN', t => {
  const neighbour = canonicalAddress('10.20.30.1');
  t.deepEqual(classesOf(neighbour, factsOf(made('{}'), undefined)), []);
  const lanOf = (environment: Environment) =>
    factsOf(environment, undefined)
      .ownAddresses.filter(({ lan }) => lan)
      .map(own => own.interface);
  t.deepEqual(lanOf(made('{}')), ['br-lan', 'wwan0']);
  t.deepEqual(lanOf(made(answer)), ['br-lan']);
});
