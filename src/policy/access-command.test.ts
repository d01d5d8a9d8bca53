import test from 'ava';
import { accessCommand } from './access-command.ts';

test('P5.5: a REDIRECT that opens a port is asked about as one, whether or not it says a number', t => {
  for (const number of [undefined, 0, 5000]) {
    const said = { id: 1, verb: 'redirect', address: '192.168.1.1', choice: 'any' } as const;
    const asked = accessCommand(number === undefined ? said : { ...said, number });
    t.like(asked, {
      verb: 'redirect',
      port: { number: { choice: 'any' }, address: { text: '192.168.1.1' } },
    });
  }
  t.deepEqual(accessCommand({ id: 1, verb: 'redirect', port: 7 }), { verb: 'redirect', port: undefined });
  t.deepEqual(accessCommand({ id: 1, verb: 'redirect', portOf: 7 }), { verb: 'redirect', port: undefined });
});

test('a command without an address is asked about as the wildcard', t => {
  const asked = accessCommand({ id: 1, verb: 'open', protocol: 'tcp', number: 80, choice: 'mandatory' });
  t.deepEqual(asked, {
    verb: 'open',
    protocol: 'tcp',
    address: 'wildcard',
    number: { choice: 'mandatory', number: 80 },
  });
});
