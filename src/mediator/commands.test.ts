import test from 'ava';
import { requireAddon } from '../native/addon.ts';
import { ReservedTcp } from '../native/reserved-tcp.ts';
import { canonicalAddress } from '../policy/target.ts';
import type { PortVerb } from './ports/port-states.ts';
import { dialIn } from './testing/devices.ts';
import { ownerTable } from './testing/rig.ts';
import { attached, playing } from './testing/set-up.ts';
import { type Answer, TestTerminal } from './testing/test-terminal.ts';

/** Each command that names a port, sent to one. */
async function sendEach(terminal: TestTerminal, port: number, verb: PortVerb): Promise<Answer> {
  switch (verb) {
    case 'connect':
      return terminal.connect({ port }, 1).result;
    case 'listen':
      return terminal.listen(port);
    case 'redirect':
      return terminal.command({ verb: 'redirect', port });
    case 'redirect back':
      return terminal.command({ verb: 'redirect', port, back: true });
    case 'close':
      return terminal.close(port);
  }
}

const noRedirect = { redirect: 'wrong-state', 'redirect back': 'wrong-state' };

/** How a port gets into each state, and what it then answers. The states that pass by themselves are in tcp-*.test.ts. */
const rows: readonly {
  readonly state: string;
  reach(terminal: TestTerminal, number: number): Promise<number>;
  readonly answers: Readonly<Record<PortVerb, string>>;
}[] = [
  {
    state: 'tcp opened',
    reach: async terminal => (await terminal.open()).port ?? 0,
    answers: { connect: 'refused', ...noRedirect, listen: 'ok', close: 'ok' },
  },
  {
    state: 'tcp client',
    reach: async (terminal, number) => (await terminal.connected(number)).port,
    answers: { connect: 'wrong-state', ...noRedirect, listen: 'wrong-state', close: 'ok' },
  },
  {
    state: 'tcp server',
    async reach(terminal) {
      const { port = 0 } = await terminal.open();
      await terminal.listen(port);
      return port;
    },
    answers: { connect: 'wrong-state', ...noRedirect, listen: 'wrong-state', close: 'ok' },
  },
  {
    state: 'tcp draining',
    async reach(terminal, number) {
      const { port } = await terminal.connected(number);
      await terminal.close(port, 'drain');
      return port;
    },
    answers: { connect: 'wrong-state', ...noRedirect, listen: 'wrong-state', close: 'ok' },
  },
  {
    state: 'closed',
    async reach(terminal) {
      const { port = 0 } = await terminal.open();
      await terminal.close(port);
      return port;
    },
    answers: {
      connect: 'no-such-port',
      redirect: 'no-such-port',
      'redirect back': 'no-such-port',
      listen: 'no-such-port',
      close: 'no-such-port',
    },
  },
  {
    state: 'udp opened',
    reach: async terminal => (await terminal.open({ protocol: 'udp' })).port ?? 0,
    answers: {
      connect: 'wrong-state',
      redirect: 'ok',
      'redirect back': 'wrong-state',
      listen: 'wrong-state',
      close: 'ok',
    },
  },
  {
    state: 'udp redirected',
    async reach(terminal) {
      const choice = { number: 0, choice: 'any' } as const;
      return (await terminal.command({ verb: 'redirect', address: '127.0.0.1', ...choice })).port ?? 0;
    },
    answers: {
      connect: 'wrong-state',
      redirect: 'wrong-state',
      'redirect back': 'ok',
      listen: 'wrong-state',
      close: 'ok',
    },
  },
];

for (const { state, reach, answers } of rows) {
  test(`P5.7: what a port answers that is ${state}`, async t => {
    const { terminal } = await attached(t);
    const silent = await playing(t);
    for (const verb of ['connect', 'redirect', 'redirect back', 'listen', 'close'] as const) {
      const port = await reach(terminal, silent.number);
      const answer = await sendEach(terminal, port, verb);
      t.is<string, string>(answer.code, answers[verb], verb);
      if (answer.code !== 'ok') t.regex(answer.message ?? '', /^[A-Z0-9].*\.$/, `${verb}: a sentence`);
    }
  });
}

test('P5.7: a port that is connecting, or about to listen, refuses another CONNECT and LISTEN', async t => {
  const { terminal } = await attached(t);
  const silent = await playing(t);
  const [connecting, starting] = await Promise.all([terminal.open(), terminal.open()]);
  const first = terminal.connect({ port: connecting.port ?? 0 }, silent.number);
  const second = terminal.connect({ port: connecting.port ?? 0 }, silent.number);
  const listenToo = terminal.listen(connecting.port ?? 0);
  t.is((await second.result).code, 'wrong-state');
  t.is((await listenToo).code, 'wrong-state');
  t.is((await first.result).code, 'ok');
  const listening = terminal.listen(starting.port ?? 0);
  const again = terminal.listen(starting.port ?? 0);
  const connectToo = terminal.connect({ port: starting.port ?? 0 }, silent.number);
  t.is((await again).code, 'wrong-state');
  t.is((await connectToo.result).code, 'wrong-state');
  t.is((await listening).code, 'ok');
});

test('an id of another terminal is an id that does not exist', async t => {
  const { rig, terminal } = await attached(t);
  const other = await TestTerminal.attach(rig);
  const { port = 0 } = await terminal.open();
  const [theirs, nobodys] = await Promise.all([other.close(port), other.close(port + 1000)]);
  t.deepEqual([theirs.code, theirs.message], [nobodys.code, nobodys.message]);
  t.is(theirs.code, 'no-such-port');
  t.is((await terminal.close(port)).code, 'ok');
});

test('P1.3: port ids are not used again while the mediator runs', async t => {
  const { rig, terminal } = await attached(t);
  const other = await TestTerminal.attach(rig);
  const ids = new Set<number>();
  for (const each of [terminal, other, terminal]) {
    const { port = 0 } = await each.open();
    t.false(ids.has(port));
    ids.add(port);
    await each.close(port);
  }
});

test('a port is named by id or by the seq of its OPEN, one of the two', async t => {
  const { terminal } = await attached(t);
  const { port = 0 } = await terminal.open();
  for (const reference of [{}, { port, portOf: 1 }]) {
    const answer = await terminal.command({ verb: 'close', streams: 'reset', ...reference });
    t.is(answer.code, 'bad-request');
  }
  t.is((await terminal.command({ verb: 'close', streams: 'reset', portOf: 7 })).code, 'no-such-port');
  t.is((await terminal.command({ verb: 'close', streams: 'reset', portOf: 1 })).code, 'ok');
});

test('S7: mandatory gets the number or `port-in-use`; preferred the first free one from it upwards', async t => {
  const { terminal } = await attached(t);
  const outside = ReservedTcp.reserve(requireAddon(), '127.0.0.1', 0);
  t.teardown(() => outside.close());
  const taken = await terminal.open({ number: outside.port, choice: 'mandatory' });
  t.is(taken.code, 'port-in-use');
  t.regex(taken.message ?? '', new RegExp(`Number ${outside.port} of 127\\.0\\.0\\.1 is taken`));
  const next = await terminal.open({ number: outside.port, choice: 'preferred' });
  t.is(next.code, 'ok');
  t.true((next.number ?? 0) > outside.port);
  const afterThat = await terminal.open({ number: next.number ?? 0, choice: 'mandatory' });
  t.is(afterThat.code, 'port-in-use');
  const third = await terminal.open({ number: next.number ?? 0, choice: 'preferred' });
  t.true((third.number ?? 0) > (next.number ?? 0));
});

test('S7: a number is held from OPEN on, against other terminals and the rest of the machine', async t => {
  const { rig, terminal } = await attached(t);
  const other = await TestTerminal.attach(rig);
  const { number = 0 } = await terminal.open();
  t.is((await other.open({ number, choice: 'mandatory' })).code, 'port-in-use');
  t.throws(() => ReservedTcp.reserve(requireAddon(), '127.0.0.1', number), { code: 'port-in-use' });
  await t.throwsAsync(dialIn(number), { code: 'ECONNREFUSED' });
});

test('S7: an address that the gateway does not have is `address-not-available`', async t => {
  const networks = { addresses: ['203.0.113.0/24', 'loopback'], tcp: ['1024-65535'] };
  const { terminal } = await attached(t, { claims: { ports: networks }, owner: { ports: networks } });
  const answer = await terminal.open({ address: '203.0.113.7' });
  t.is(answer.code, 'address-not-available');
  t.regex(answer.message ?? '', /does not have the address 203\.0\.113\.7/);
});

test('S7: every address of the gateway, IPv4 and IPv6, and the wildcard for CONNECT', async t => {
  const { terminal } = await attached(t, {
    owner: { ports: { addresses: ['loopback'], tcp: ['1024-65535'] } },
  });
  for (const address of ['127.0.0.1', '127.5.6.7', '::1']) {
    const opened = await terminal.open({ address });
    t.deepEqual([opened.code, opened.address], ['ok', address]);
  }
  const wildcard = await terminal.command({
    verb: 'open',
    protocol: 'tcp',
    family: 'ipv6',
    number: 0,
    choice: 'any',
  });
  t.deepEqual([wildcard.code, wildcard.address], ['ok', '::']);
  const listened = await terminal.listen(wildcard.port ?? 0);
  t.deepEqual([listened.code, listened.by], ['not-permitted', 'owner']);
});

test('OPEN and CONNECT that make no sense are `bad-request`', async t => {
  const { terminal } = await attached(t);
  t.is((await terminal.open({ number: 0, choice: 'mandatory' })).code, 'bad-request');
  t.is((await terminal.open({ family: 'ipv6' })).code, 'bad-request');
  t.is((await terminal.open({ zone: 'lo' })).code, 'bad-request');
  const { port = 0 } = await terminal.open();
  t.is((await terminal.connect({ port }, 0).result).code, 'bad-request');
  t.is((await terminal.connect({ port }, 80, {}).result).code, 'bad-request');
  const both = { address: '127.0.0.1', name: 'x' };
  t.is((await terminal.connect({ port }, 80, both).result).code, 'bad-request');
  t.is((await terminal.connect({ port }, 80, { name: '0x7f.1' }).result).code, 'bad-request');
});

test('P5.6: QUERY tells ports page by page, limits, and what a name means on the gateway', async t => {
  const { rig, terminal } = await attached(t, { claims: { limits: { ports: 200 } } });
  await Promise.all(Array.from({ length: 130 }, () => terminal.open()));
  const seen: number[] = [];
  let cursor: number | undefined = 0;
  let pages = 0;
  while (cursor !== undefined) {
    const page: Answer = await terminal.command({ verb: 'query', what: 'ports', cursor });
    seen.push(...(page.ports ?? []).map(({ port }) => port));
    cursor = page.cursor;
    pages++;
  }
  t.deepEqual([seen.length, new Set(seen).size, pages], [130, 130, 3]);
  const { limits } = await terminal.command({ verb: 'query', what: 'limits' });
  t.like(
    limits?.find(({ name }) => name === 'ports'),
    { used: 130, allowed: 200 },
  );
  rig.names.set('printer.lan', [canonicalAddress('192.168.77.9'), canonicalAddress('fd00::9')]);
  const { addresses } = await terminal.command({ verb: 'query', what: 'resolve', name: 'printer.lan' });
  t.deepEqual(addresses, ['192.168.77.9', 'fd00::9']);
  t.is((await terminal.command({ verb: 'query', what: 'resolve', name: 'no.lan' })).code, 'no-such-name');
  t.is((await terminal.command({ verb: 'query', what: 'resolve' })).code, 'bad-request');
});

const lanDevices = Array.from({ length: 70 }, (_, index) => ({
  addresses: [`192.168.77.${index + 10}`, `10.9.0.${index}`],
  hardwareAddress: '02:00:00:00:00:01',
  name: `device-${index}`,
}));

test('P5.6: QUERY devices tells page by page whom grant and owner let the terminal connect to', async t => {
  const { rig, terminal } = await attached(t, { owner: { ...ownerTable, deny: ['192.168.77.12'] } });
  rig.devices.push(...lanDevices);
  const names: (string | undefined)[] = [];
  let cursor: number | undefined;
  let pages = 0;
  do {
    const page: Answer = await terminal.command({
      verb: 'query',
      what: 'devices',
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const { name, addresses } of page.devices ?? []) {
      names.push(name);
      t.true(
        addresses.length === 1 && addresses[0]?.startsWith('192.168.77.'),
        'not what lies outside the LAN',
      );
    }
    cursor = page.cursor;
    pages++;
  } while (cursor !== undefined);
  t.deepEqual([names.length, new Set(names).size, pages], [69, 69, 3]);
  t.false(names.includes('device-2'), 'the owner denies its address');
  t.is((await terminal.command({ verb: 'query', what: 'devices', cursor: 4_000_000_000 })).code, 'ok');
});

test('P5.6: a grant for one device tells of no other, whatever is in the LAN', async t => {
  const targets = { networks: ['192.168.77.20'], tcp: ['80'], udp: [] };
  const { rig, terminal } = await attached(t, { claims: { targets } });
  rig.devices.push(...lanDevices);
  const { devices } = await terminal.command({ verb: 'query', what: 'devices' });
  t.deepEqual(
    devices?.map(({ name, addresses }) => [name, addresses]),
    [['device-10', ['192.168.77.20']]],
  );
});

test('P5.6: devices that the owner hides are told to nobody', async t => {
  const { rig, terminal } = await attached(t, { owner: { ...ownerTable, hide: ['devices'] } });
  rig.devices.push(...lanDevices);
  const { code, by, devices } = await terminal.command({ verb: 'query', what: 'devices' });
  t.deepEqual([code, by, devices], ['not-permitted', 'owner', undefined]);
  t.is((await terminal.command({ verb: 'query', what: 'ports' })).code, 'ok');
});

test('P5.6: QUERY events tells a key of its other attachments, and nobody else of them', async t => {
  const { rig, terminal } = await attached(t);
  const { key, grant } = rig.newKey();
  const watcher = await TestTerminal.attach(rig, { key, grant });
  const watched = await TestTerminal.attach(rig, { key, grant, attachmentId: Buffer.alloc(16, 7) });
  t.is((await watcher.command({ verb: 'query', what: 'events' })).code, 'ok');
  t.is((await terminal.command({ verb: 'query', what: 'events' })).code, 'ok');
  const opened = await watched.open();
  await watched.listen(opened.port ?? 0);
  const visitor = await dialIn(opened.number ?? 0);
  t.teardown(() => visitor.destroy());
  const event = await watcher.event('connected');
  t.like(event, { port: opened.port, peerNumber: visitor.localPort });
  t.deepEqual(Buffer.from(event.attachment ?? []), Buffer.alloc(16, 7));
  t.deepEqual(terminal.events, []);
});

test('P5.6: QUERY key-ports tells the ports of all attachments of a key, and nobody else of them', async t => {
  const { rig, terminal } = await attached(t);
  const { key, grant } = rig.newKey();
  const asking = await TestTerminal.attach(rig, { key, grant });
  const other = await TestTerminal.attach(rig, { key, grant, attachmentId: Buffer.alloc(16, 7) });
  const own = await asking.open();
  const others = await other.open();
  const { ports = [] } = await asking.command({ verb: 'query', what: 'key-ports' });
  t.deepEqual(
    ports.map(({ port, attachment }) => [port, attachment && Buffer.from(attachment)]),
    [
      [own.port, undefined],
      [others.port, Buffer.alloc(16, 7)],
    ],
  );
  t.deepEqual((await terminal.command({ verb: 'query', what: 'key-ports' })).ports, []);
});
