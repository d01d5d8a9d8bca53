import test from 'ava';
import type { Command } from './access-request.ts';
import { ask, denies, ownerSide, type Scene } from './authorise.fixture.ts';
import { canonicalAddress } from './target.ts';

// Targets: allowed only when both name them.

const targetVerbs = [
  ['connect', 'tcp'],
  ['datagram', 'udp'],
] as const;
const toTarget = (verb: 'connect' | 'datagram', text: string, number = 9000): Command => ({
  verb,
  target: canonicalAddress(text),
  number,
});
const everything = ['0.0.0.0/0', '::/0'];
const wide = { networks: everything, tcp: ['1-65535'], udp: ['1-65535'] };

/** The hostile target list: never opened by networks however wide, on either side; opened by these words or exactly. */
const hostileTargets: readonly (readonly [string, readonly string[]])[] = [
  ['127.0.0.1', ['loopback']],
  ['127.9.9.9', ['loopback']],
  ['::1', ['loopback']],
  ['0.0.0.0', ['unspecified']],
  ['0.0.0.7', ['unspecified']],
  ['::', ['unspecified']],
  ['::ffff:127.0.0.1', ['loopback']],
  ['::ffff:7f00:1', ['loopback']],
  ['::127.0.0.1', ['loopback']],
  ['64:ff9b::7f00:1', ['loopback']],
  ['64:ff9b:1::7f00:1', ['loopback', 'unspecified']],
  ['2002:7f00:1::', ['loopback']],
  ['2001:0:7f00:1::f7f7:f7f7', ['loopback']],
  ['2001:0:808:808::80ff:fffe', ['loopback']],
  ['2001:db8::5efe:127.0.0.1', ['loopback']],
  ['169.254.169.254', ['link-local']],
  ['64:ff9b::a9fe:a9fe', ['link-local']],
  ['fe80::1%br-lan', ['link-local']],
  ['224.0.0.251', ['multicast']],
  ['239.255.255.250', ['multicast']],
  ['ff02::fb', ['multicast']],
  ['255.255.255.255', ['broadcast']],
  ['192.168.1.255', ['broadcast']],
  ['192.168.1.0', ['broadcast']],
  ['64:ff9b::c0a8:1ff', ['broadcast']],
  ['192.168.1.1', ['gateway']],
  ['203.0.113.9', ['gateway']],
  ['fd00:1::1', ['gateway']],
  ['fd00:1::', ['gateway']],
  ['2002:c0a8:101::1', ['gateway']],
  ['64:ff9b::cb00:7109', ['gateway']],
  ['240.0.0.1', ['reserved']],
  ['fec0::1', ['reserved']],
];

for (const [text, words] of hostileTargets) {
  for (const [verb] of targetVerbs) {
    test(`${verb} to ${text}: only when both name ${words.join(' and ')}, or the address itself`, async t => {
      const command = toTarget(verb, text);
      const byGrant = { code: 'not-permitted', by: 'grant', field: 'targets.networks' } as const;
      const byOwner = { code: 'not-permitted', by: 'owner', field: 'owner.targets.networks' } as const;
      const naming = { ...wide, networks: [...everything, ...words] };
      const exact = { ...wide, networks: [canonicalAddress(text).text] };
      await denies(
        t,
        ask(command, { grant: { targets: wide }, owner: ownerSide({ targets: naming }) }),
        byGrant,
      );
      await denies(
        t,
        ask(command, { grant: { targets: naming }, owner: ownerSide({ targets: wide }) }),
        byOwner,
      );
      await denies(t, ask(command, { grant: { targets: naming } }), byOwner);
      for (const both of [naming, exact]) {
        t.true(
          (await ask(command, { grant: { targets: both }, owner: ownerSide({ targets: both }) })).allowed,
        );
      }
      await denies(
        t,
        ask(command, { grant: { targets: naming }, owner: ownerSide({ targets: naming, deny: [words[0]] }) }),
        {
          code: 'not-permitted',
          by: 'owner',
          field: 'owner.deny',
        },
      );
    });
  }
}

test('words for one kind of address open no other kind', async t => {
  const command = toTarget('connect', '127.0.0.1');
  const naming = {
    ...wide,
    networks: ['gateway', 'unspecified', 'link-local', 'multicast', 'broadcast', 'lan', 'reserved'],
  };
  await denies(t, ask(command, { grant: { targets: naming }, owner: ownerSide({ targets: naming }) }), {
    code: 'not-permitted',
    by: 'grant',
    field: 'targets.networks',
  });
});

for (const number of [22, 53, 80, 443, 7547]) {
  for (const [verb, protocol] of targetVerbs) {
    test(`${verb} to the gateway's own ${number}: only when both list the number by itself`, async t => {
      const range = { networks: ['gateway', 'loopback'], tcp: ['1-65535'], udp: ['1-65535'] };
      const single = { ...range, tcp: ['1-65535', number], udp: [number] };
      for (const text of ['192.168.1.1', '127.0.0.1', '203.0.113.9', 'fd00:1::1']) {
        const command = toTarget(verb, text, number);
        await denies(t, ask(command, { grant: { targets: range }, owner: ownerSide({ targets: single }) }), {
          code: 'not-permitted',
          by: 'grant',
          field: `targets.${protocol}`,
        });
        await denies(t, ask(command, { grant: { targets: single }, owner: ownerSide({ targets: range }) }), {
          code: 'not-permitted',
          by: 'owner',
          field: `owner.targets.${protocol}`,
        });
        t.true(
          (await ask(command, { grant: { targets: single }, owner: ownerSide({ targets: single }) })).allowed,
        );
      }
    });
  }
}

test('an address outside the LAN, or a number outside the range, needs both sides to say so', async t => {
  const far = toTarget('connect', '198.51.100.7', 443);
  await denies(t, ask(far), { code: 'not-permitted', by: 'grant', field: 'targets.networks' });
  await denies(t, ask(far, { grant: { targets: wide } }), {
    code: 'not-permitted',
    by: 'owner',
    field: 'owner.targets.networks',
  });
  t.true(
    (await ask(far, { grant: { targets: wide }, owner: ownerSide({ targets: { networks: everything } }) }))
      .allowed,
  );
  const web = { networks: ['lan'], tcp: [80], udp: [] };
  await denies(t, ask(toTarget('connect', '192.168.1.10', 81), { grant: { targets: web } }), {
    code: 'not-permitted',
    by: 'grant',
    field: 'targets.tcp',
  });
  await denies(t, ask(toTarget('datagram', '192.168.1.10', 80), { grant: { targets: web } }), {
    code: 'not-permitted',
    by: 'grant',
    field: 'targets.udp',
  });
  await denies(
    t,
    ask(toTarget('connect', '192.168.1.10', 81), { owner: ownerSide({ targets: { tcp: [80] } }) }),
    { code: 'not-permitted', by: 'owner', field: 'owner.targets.tcp' },
  );
});

test('deny wins over every allow, also for an address carried inside another', async t => {
  const owner = ownerSide({ deny: ['192.168.1.10'], targets: { networks: ['lan', ...everything] } });
  const denied = { code: 'not-permitted', by: 'owner', field: 'owner.deny' } as const;
  await denies(t, ask(toTarget('connect', '192.168.1.10'), { owner }), denied);
  await denies(t, ask(toTarget('connect', '64:ff9b::c0a8:10a'), { owner, grant: { targets: wide } }), denied);
  t.true((await ask(toTarget('connect', '192.168.1.11'), { owner })).allowed);
});

test('a name is authorised by command and number; its addresses are asked about one by one', async t => {
  const byName = { verb: 'connect', target: { name: 'localhost' }, number: 80 } as const;
  t.true((await ask(byName)).allowed);
  await denies(t, ask({ ...byName, number: 81 }, { grant: { targets: { networks: ['lan'], tcp: [80] } } }), {
    code: 'not-permitted',
    by: 'grant',
    field: 'targets.tcp',
  });
  await denies(t, ask(toTarget('connect', '127.0.0.1', 80)), {
    code: 'not-permitted',
    by: 'grant',
    field: 'targets.networks',
  });
});

test('the server, which does not know the gateway, refuses what no gateway could allow and leaves it the rest', async t => {
  const owner = undefined;
  t.true((await ask(toTarget('connect', '10.9.9.9'), { owner })).allowed);
  t.true(
    (
      await ask(toTarget('connect', '192.168.1.1'), {
        owner,
        grant: { targets: { ...wide, networks: ['gateway'] } },
      })
    ).allowed,
  );
  t.true(
    (
      await ask(toTarget('datagram', '192.168.1.255'), {
        owner,
        grant: { targets: { ...wide, networks: ['broadcast'] } },
      })
    ).allowed,
  );
  const only = { ...wide, networks: ['192.168.1.0/24'] };
  await denies(t, ask(toTarget('connect', '192.168.2.1'), { owner, grant: { targets: only } }), {
    code: 'not-permitted',
    by: 'grant',
    field: 'targets.networks',
  });
  for (const text of [
    '127.0.0.1',
    '::1',
    '64:ff9b::7f00:1',
    '169.254.169.254',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
  ]) {
    await denies(t, ask(toTarget('connect', text), { owner }), {
      code: 'not-permitted',
      by: 'grant',
      field: 'targets.networks',
    });
  }
  const listenById: Command = { verb: 'listen', port: undefined };
  t.true((await ask(listenById, { owner })).allowed);
  t.true((await ask({ verb: 'redirect', port: undefined }, { owner })).allowed);
});

test('refusals say in one sentence what would have to be named', async t => {
  const sentence = async (command: Command, scene?: Scene) => {
    const verdict = await ask(command, scene);
    return verdict.allowed ? 'allowed' : verdict.message;
  };
  t.is(
    await sentence(toTarget('connect', '64:ff9b::7f00:1'), { grant: { targets: wide } }),
    'The grant does not allow this; its field targets.networks would have to name 127.0.0.1, which 64:ff9b::7f00:1 carries inside, by that address or by "loopback".',
  );
  t.is(
    await sentence(toTarget('connect', '192.168.7.1'), { grant: { targets: wide } }),
    "The gateway's owner does not allow this; the option owner.targets.networks would have to name 192.168.7.1.",
  );
  t.is(
    await sentence({ verb: 'listen', port: { address: canonicalAddress('192.168.1.1'), number: 80 } }),
    'The grant does not allow this; its field ports.tcp would have to contain 80 by itself or in a range below 1024.',
  );
});
