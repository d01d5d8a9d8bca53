import test from 'ava';
import { drawTopology, type Topology } from './drawing.ts';
import { buildTrio, labTest } from './fixtures/harness.ts';
import { blockUdp, masquerade } from './index.ts';

const chain: Topology = {
  namespaces: [
    {
      name: 'device',
      interfaces: [{ name: 'eth0', addresses: ['10.0.0.5/24', 'fd00::5/64'], note: '' }],
      notes: [],
    },
    {
      name: 'gateway',
      interfaces: [
        { name: 'lan', addresses: ['10.0.0.1/24'], note: '' },
        { name: 'wan', addresses: ['203.0.113.2/24'], note: '1000 kbit/s' },
      ],
      notes: ['NAT at wan'],
    },
    {
      name: 'server',
      interfaces: [{ name: 'eth0', addresses: ['203.0.113.9/24'], note: 'down' }],
      notes: [],
    },
  ],
  links: [
    [
      { namespace: 'device', interface: 'eth0' },
      { namespace: 'gateway', interface: 'lan' },
    ],
    [
      { namespace: 'gateway', interface: 'wan' },
      { namespace: 'server', interface: 'eth0' },
    ],
  ],
};

function lines(...text: string[]): string {
  return text.join('\n');
}

test('neighbours with a link are joined', t => {
  t.is(
    drawTopology(chain),
    lines(
      '+------------------+      +----------------------------------+      +----------------------------+',
      '| device           | ---- | gateway                          | ---- | server                     |',
      '| eth0 10.0.0.5/24 |      | lan 10.0.0.1/24                  |      | eth0 203.0.113.9/24 (down) |',
      '|      fd00::5/64  |      | wan 203.0.113.2/24 (1000 kbit/s) |      +----------------------------+',
      '+------------------+      | * NAT at wan                     |',
      '                          +----------------------------------+',
    ),
  );
});

test('where the width ends, the line goes on in the next row', t => {
  t.is(
    drawTopology(chain, 72),
    lines(
      '+------------------+      +----------------------------------+',
      '| device           | ---- | gateway                          | ----',
      '| eth0 10.0.0.5/24 |      | lan 10.0.0.1/24                  |',
      '|      fd00::5/64  |      | wan 203.0.113.2/24 (1000 kbit/s) |',
      '+------------------+      | * NAT at wan                     |',
      '                          +----------------------------------+',
      '',
      '      +----------------------------+',
      ' ---- | server                     |',
      '      | eth0 203.0.113.9/24 (down) |',
      '      +----------------------------+',
    ),
  );
});

test('a link that is not between neighbours is named in the box', t => {
  const plain = (name: string) => ({ name, interfaces: [{ name: 'e', addresses: [], note: '' }], notes: [] });
  const far: Topology = {
    namespaces: [plain('a'), plain('b'), plain('c')],
    links: [
      [
        { namespace: 'a', interface: 'e' },
        { namespace: 'c', interface: 'e' },
      ],
    ],
  };
  t.is(
    drawTopology(far),
    lines(
      '+--------+      +---+      +--------+',
      '| a      |      | b |      | c      |',
      '| e -> c |      | e |      | e -> a |',
      '+--------+      +---+      +--------+',
    ),
  );
});

test('nothing is drawn of nothing', t => {
  t.is(drawTopology({ namespaces: [], links: [] }), '');
});

labTest('a lab draws itself as it is now', async (t, lab) => {
  const { router } = await buildTrio(lab, masquerade({ outside: 'wan' }));
  const block = await router.apply(blockUdp({ how: 'reject' }));
  await router.setConntrackTimers({ udpSeconds: 5 });
  await router.interfaces[1]?.limitRate({ rateKbit: 500 });
  const before = lab.drawing(120);
  t.regex(before, /\| inside +\| ---- \| router +\| ---- \| outside +\|/);
  t.regex(before, /\| wan 203\.0\.113\.2\/24 \(500 kbit\/s\) +\|/);
  t.regex(before, /\| \* NAT at wan: port-preserving, drops strangers +\|/);
  t.regex(before, /\| \* firewall: rejects UDP +\|/);
  t.regex(before, /\| \* conntrack udp 5 s +\|/);
  await block.remove();
  t.notRegex(lab.drawing(), /rejects UDP/);
});
