import test from 'ava';
import type { Command } from './access-request.ts';
import { ask, denies, ownerSide, type Scene } from './authorise.fixture.ts';
import { canonicalAddress } from './target.ts';

// Ports: what may be bound on the gateway.

const open = (protocol: 'tcp' | 'udp', address: string, number = 8080): Command => ({
  verb: 'open',
  protocol,
  address: address === 'wildcard' ? 'wildcard' : canonicalAddress(address),
  number: { choice: 'mandatory', number },
});
const listen = (address: string, number = 8080): Command => ({
  verb: 'listen',
  port: { address: address === 'wildcard' ? 'wildcard' : canonicalAddress(address), number },
});
const redirect = (address: string): Command => ({
  verb: 'redirect',
  port: {
    address: address === 'wildcard' ? 'wildcard' : canonicalAddress(address),
    number: { choice: 'mandatory', number: 8080 },
  },
});
const bothSay = (
  addresses: readonly string[],
  tcp: readonly (string | number)[] = ['1024-65535'],
): Scene => ({
  grant: { ports: { addresses: [...addresses], tcp: [...tcp], udp: [...tcp] } },
  owner: ownerSide({ ports: { addresses, tcp, udp: tcp } }),
});

test('a TCP port on the wildcard needs no name until it listens; UDP and redirected ports always do', async t => {
  const refusal = { code: 'not-permitted', by: 'grant', field: 'ports.addresses' } as const;
  for (const address of ['wildcard', '0.0.0.0', '::']) {
    t.true((await ask(open('tcp', address))).allowed);
    for (const command of [listen(address), open('udp', address), redirect(address)]) {
      await denies(t, ask(command), refusal);
      await denies(
        t,
        ask(command, { grant: { ports: { addresses: ['wildcard'], tcp: [8080], udp: [8080] } } }),
        {
          ...refusal,
          by: 'owner',
          field: 'owner.ports.addresses',
        },
      );
      t.true((await ask(command, bothSay(['wildcard']))).allowed);
    }
  }
});

test('a port on an address of the gateway needs the address to be named; special ones by their word', async t => {
  const refusal = { code: 'not-permitted', by: 'grant', field: 'ports.addresses' } as const;
  for (const [address, words] of [
    ['203.0.113.9', ['203.0.113.9', 'gateway', '203.0.113.0/24']],
    ['127.0.0.1', ['127.0.0.1', 'loopback']],
    ['239.1.1.1', ['239.1.1.1', 'multicast']],
    ['192.168.1.1', ['192.168.1.1', 'gateway', 'lan', '192.168.1.0/24']],
  ] as const) {
    for (const command of [open('tcp', address), open('udp', address), listen(address), redirect(address)]) {
      await denies(t, ask(command, bothSay(['10.0.0.0/8', 'broadcast'])), refusal);
      for (const word of words)
        t.true((await ask(command, bothSay([word]))).allowed, `${address} by ${word}`);
    }
  }
  await denies(t, ask(open('tcp', '127.0.0.1'), bothSay(['127.0.0.0/8', 'gateway', 'lan'])), refusal);
});

test("the default owner lets nothing listen on the gateway's outer address", async t => {
  const grant = { ports: { addresses: ['gateway'], tcp: ['1024-65535'], udp: [] } };
  await denies(t, ask(listen('203.0.113.9'), { grant }), {
    code: 'not-permitted',
    by: 'owner',
    field: 'owner.ports.addresses',
  });
});

test('a number below 1024 is bound only where both name it by itself or in a range below 1024', async t => {
  const low = listen('192.168.1.1', 80);
  const refusal = { code: 'not-permitted', by: 'grant', field: 'ports.tcp' } as const;
  await denies(t, ask(low), refusal);
  await denies(t, ask(low, bothSay(['lan'], ['1-65535'])), refusal);
  await denies(t, ask(open('tcp', 'wildcard', 80), bothSay(['lan'], ['1-65535'])), refusal);
  t.true((await ask(low, bothSay(['lan'], [80]))).allowed);
  t.true((await ask(low, bothSay(['lan'], ['1-1023']))).allowed);
  await denies(t, ask(low, { grant: { ports: { addresses: ['lan'], tcp: [80] } } }), {
    ...refusal,
    by: 'owner',
    field: 'owner.ports.tcp',
  });
});

test('preferred and any ask only whether some number could be given', async t => {
  const wish = (number: Extract<Command, { verb: 'open' }>['number']): Command => ({
    verb: 'open',
    protocol: 'tcp',
    address: 'wildcard',
    number,
  });
  const narrow: Scene = { grant: { ports: { addresses: ['lan'], tcp: ['5000-5010'], udp: [] } } };
  t.true((await ask(wish({ choice: 'any' }), narrow)).allowed);
  t.true((await ask(wish({ choice: 'preferred', number: 80 }), narrow)).allowed);
  t.true((await ask(wish({ choice: 'preferred', number: 5010 }), narrow)).allowed);
  const refusal = { code: 'not-permitted', by: 'grant', field: 'ports.tcp' } as const;
  await denies(t, ask(wish({ choice: 'preferred', number: 5011 }), narrow), refusal);
  await denies(t, ask(wish({ choice: 'mandatory', number: 5011 }), narrow), refusal);
  await denies(
    t,
    ask(wish({ choice: 'any' }), { grant: { ports: { addresses: ['lan'], tcp: [] } } }),
    refusal,
  );
});

test("the owner's deny list covers bound addresses too", async t => {
  await denies(t, ask(listen('192.168.1.1'), { owner: ownerSide({ deny: ['192.168.1.1'] }) }), {
    code: 'not-permitted',
    by: 'owner',
    field: 'owner.deny',
  });
});
