import process from 'node:process';
import test, { type ExecutionContext } from 'ava';
import {
  createLab,
  type Interface,
  labSupport,
  type Namespace,
  type Program,
  until,
} from 'netns-test-helpers';
import { authentication, extension, flag, fragment, frame, ipv4, ipv6, next, tcp } from './support/frames.ts';
import { programPath } from './support/peers.ts';
import { type Json, jsonLines, untilJson } from './support/verbs.ts';

/** The addon's capture on real interfaces, against packets made by hand, none of which the kernel would answer. */

const support = labSupport();
const reason = !support.ok
  ? support.reason
  : support.ready
    ? undefined
    : 'an ordinary user has to start them by npm test';

/** Declares a test that needs a lab of its own. */
function claim(title: string, body: (t: ExecutionContext) => Promise<void>): void {
  if (reason === undefined) test.serial(title, body);
  else test.skip(`${title} [skipped: ${reason}]`, () => {});
}

const own = '10.9.9.1';
const peer = '10.9.9.2';
const own6 = 'fd09::1';
const peer6 = 'fd09::2';
const targets = [
  [own, 80],
  [own6, 80],
  [own, 443],
] as const;

/** An interface's hardware address. */
async function hardwareOf(where: Namespace, name: string): Promise<string> {
  const [link] = JSON.parse(await where.query(['ip', '-json', 'link', 'show', 'dev', name])) as {
    address: string;
  }[];
  return link?.address ?? '';
}

async function startCapture(
  t: ExecutionContext,
  where: Namespace,
  watch: readonly string[],
): Promise<Program> {
  const program = where.spawn([process.execPath, programPath('capture.mjs')], { stdin: 'pipe' });
  t.teardown(() => program.stop('SIGKILL'));
  await untilJson(program, 'that it is ready', line => line.ready === true);
  await set(program, watch);
  return program;
}

/** Says anew what is captured where. */
async function set(
  program: Program,
  watch: readonly string[],
  wanted: readonly unknown[] = targets,
): Promise<void> {
  const before = jsonLines(program.stdout).filter(line => 'set' in line).length;
  program.write(`${JSON.stringify({ watch, targets: wanted })}\n`);
  const done = () => jsonLines(program.stdout).filter(line => 'set' in line)[before];
  const { set: refused } = await until(done, { what: 'the capture to be set' });
  if (refused !== null) throw new Error(`refused: ${String(refused)}`);
}

async function send(where: Namespace, name: string, frames: readonly Buffer[], pauseUs = 0): Promise<void> {
  const input = `${frames.map(each => each.toString('hex')).join('\n')}\n`;
  await where.run(['python3', programPath('send-frames.py'), name, String(pauseUs)], { input });
}

const sightings = (program: Program) => jsonLines(program.stdout).filter(line => 'saw' in line);

/** The peers' numbers of what was seen, with kind and side: each packet here has a number of its own. */
function seen(program: Program): string[] {
  return sightings(program).map(({ saw, from, peer: who }) => `${(who as Json).number} ${saw} by ${from}`);
}

async function counters(program: Program): Promise<Json> {
  const before = jsonLines(program.stdout).filter(line => 'recorded' in line).length;
  program.write('{"counters": true}\n');
  return until(() => jsonLines(program.stdout).filter(line => 'recorded' in line)[before], {
    what: 'counters',
  });
}

/** A packet to port 80 of the target, told apart by its peer's number. */
const syn = (number: number) => tcp(number, 80, flag.syn);

/** Waits until the last packet of a test is seen: what was sent before it is, too, or never will be. */
const lastNumber = 9999;
async function untilLast(program: Program): Promise<void> {
  const isLast = (line: string) => line.startsWith(`${lastNumber} `);
  await until(() => seen(program).some(isLast), { what: 'the last packet', explain: () => program.stdout });
}

async function cable(t: ExecutionContext): Promise<{ gateway: Interface; device: Interface; to: string }> {
  const lab = await createLab({ name: 'wire' });
  t.teardown(() => lab.destroy());
  const ends = [await lab.namespace('gateway'), await lab.namespace('device')] as const;
  const [gateway, device] = await lab.link(
    { namespace: ends[0], interface: 'lan0' },
    { namespace: ends[1], interface: 'eth0' },
  );
  return { gateway, device, to: await hardwareOf(gateway.namespace, 'lan0') };
}

const { fin, rst, ack, push } = flag;

/** What comes in, and what is to be told of it. */
const incoming: readonly (readonly [packet: Buffer, told: string | undefined])[] = [
  [ipv4(peer, own, syn(1)), 'syn'],
  [ipv4(peer, own, tcp(2, 443, flag.syn)), 'syn'],
  [ipv4(peer, own, tcp(3, 80, fin | ack)), 'fin'],
  [ipv4(peer, own, tcp(4, 80, rst)), 'rst'],
  [ipv4(peer, own, tcp(5, 80, rst | ack | fin)), 'rst'],
  [ipv4(peer, own, tcp(6, 80, ack | push)), undefined],
  [ipv4(peer, own, tcp(7, 80, flag.syn | ack)), undefined],
  [ipv4(peer, own, tcp(8, 80, flag.syn | fin)), undefined],
  [ipv4(peer, own, tcp(9, 81, flag.syn)), undefined],
  [ipv4(peer, '10.9.9.3', syn(10)), undefined],
  [ipv4(own, peer, tcp(80, 11, rst)), undefined],
  [ipv4(peer, own, syn(12), { optionWords: 10 }), 'syn'],
  [ipv4(peer, own, syn(13), { fragment: 0x2000 }), 'syn'],
  [ipv4(peer, own, syn(14), { fragment: 0x0001 }), undefined],
  [ipv4(peer, own, syn(15), { protocol: next.udp }), undefined],
  [ipv4(peer, own, syn(16).subarray(0, 12)), undefined],
  [ipv6(peer6, own6, syn(20)), 'syn'],
  [ipv6(peer6, own6, tcp(21, 80, rst | ack)), 'rst'],
  [ipv6(peer6, own6, tcp(22, 443, flag.syn)), undefined],
  [ipv6(peer6, 'fd09::3', syn(23)), undefined],
  [ipv6(peer6, own6, extension(next.tcp, syn(24)), next.hopByHop), 'syn'],
  [
    ipv6(
      peer6,
      own6,
      extension(next.routing, extension(next.options, extension(next.tcp, syn(25)), 3)),
      next.hopByHop,
    ),
    'syn',
  ],
  [ipv6(peer6, own6, fragment(next.tcp, syn(26)), next.fragment), 'syn'],
  [ipv6(peer6, own6, fragment(next.tcp, syn(27), 5), next.fragment), undefined],
  [ipv6(peer6, own6, authentication(next.tcp, syn(28)), next.authentication), 'syn'],
  [ipv6(peer6, own6, extension(next.udp, syn(29)), next.options), undefined],
  [ipv6(peer6, own6, extension(next.tcp, syn(30)).subarray(0, 20), next.options), undefined],
];

claim(
  'what begins, ends or destroys a connection of an opened port is seen, IPv4 and IPv6, and nothing else (S15, S16)',
  async t => {
    const { gateway, device, to } = await cable(t);
    const program = await startCapture(t, gateway.namespace, ['lan0']);
    const elsewhere = frame('02:00:00:00:00:77', ipv4(peer, own, syn(40)));
    await send(device.namespace, 'eth0', [
      ...incoming.map(([packet]) => frame(to, packet)),
      elsewhere,
      frame(to, ipv4(peer, own, syn(lastNumber))),
    ]);
    await untilLast(program);
    const numbers = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
    const all = [...numbers, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30];
    const expected = all.flatMap((number, index) => {
      const told = incoming[index]?.[1];
      return told === undefined ? [] : [`${number} ${told} by peer`];
    });
    t.deepEqual(seen(program), [...expected, `${lastNumber} syn by peer`]);
    const [first] = sightings(program);
    t.deepEqual(first?.local, { address: own, number: 80 });
    t.deepEqual(first?.peer, { address: peer, number: 1 });
  },
);

claim('what the gateway sends is told as its own; its attempts are not events', async t => {
  const { gateway } = await cable(t);
  const program = await startCapture(t, gateway.namespace, ['lan0']);
  const to = '02:00:00:00:00:99';
  await send(gateway.namespace, 'lan0', [
    frame(to, ipv4(own, peer, tcp(80, 1, rst))),
    frame(to, ipv4(own, peer, tcp(80, 2, flag.syn))),
    frame(to, ipv4(own, peer, tcp(80, 3, flag.syn | ack))),
    frame(to, ipv6(own6, peer6, tcp(80, 4, fin | ack))),
    frame(to, ipv4(own, peer, tcp(81, 5, rst))),
    frame(to, ipv4(peer, own, syn(6))),
    frame(to, ipv4(own, peer, tcp(80, lastNumber, fin))),
  ]);
  await untilLast(program);
  t.deepEqual(seen(program), ['1 rst by gateway', '4 fin by gateway', `${lastNumber} fin by gateway`]);
});

claim("the kernel's filter keeps everything else out of the ring", async t => {
  const { gateway, device, to } = await cable(t);
  const program = await startCapture(t, gateway.namespace, ['lan0']);
  const bulk = Array.from({ length: 300 }, (_none, index) =>
    frame(to, ipv4(peer, own, tcp(index, 80, ack | push))),
  );
  const others = Array.from({ length: 300 }, (_none, index) =>
    frame(to, ipv4(peer, own, tcp(index, 8000 + index, flag.syn))),
  );
  await send(device.namespace, 'eth0', [...bulk, ...others, frame(to, ipv4(peer, own, syn(lastNumber)))]);
  await untilLast(program);
  t.deepEqual(await counters(program), { seen: 1, recorded: 1, lost: 0 });
});

claim(
  'a packet with a VLAN tag is not of the interface below the VLAN; priority alone is no VLAN',
  async t => {
    const { gateway, device, to } = await cable(t);
    const program = await startCapture(t, gateway.namespace, ['lan0']);
    const packet = (number: number) => ipv4(peer, own, syn(number));
    await send(device.namespace, 'eth0', [
      frame(to, packet(1), [10]),
      frame(to, packet(2), [10, 5]),
      frame(to, packet(3), [0x6000]),
      frame(to, packet(4)),
    ]);
    const away = '02:00:00:00:00:99';
    await send(gateway.namespace, 'lan0', [
      frame(away, ipv4(own, peer, tcp(80, 5, rst)), [10]),
      frame(away, ipv4(own, peer, tcp(80, lastNumber, rst))),
    ]);
    await untilLast(program);
    t.deepEqual(seen(program), ['3 syn by peer', '4 syn by peer', `${lastNumber} rst by gateway`]);
  },
);

claim('a packet with a VLAN tag is seen once, on the interface of its VLAN', async t => {
  const { gateway, device, to } = await cable(t);
  const made = await gateway.namespace.exec([
    'ip',
    'link',
    'add',
    'link',
    'lan0',
    'name',
    'lan0.10',
    'type',
    'vlan',
    'id',
    '10',
  ]);
  if (made.code !== 0) {
    t.pass();
    return t.log(`this kernel has no VLANs: ${made.stderr}`);
  }
  await gateway.namespace.ip('link set dev lan0.10 up');
  const program = await startCapture(t, gateway.namespace, ['lan0', 'lan0.10']);
  await send(device.namespace, 'eth0', [frame(to, ipv4(peer, own, syn(1)), [10])]);
  await send(gateway.namespace, 'lan0.10', [frame('02:00:00:00:00:99', ipv4(own, peer, tcp(80, 2, rst)))]);
  await until(() => seen(program).length === 2, { what: 'both' });
  await send(device.namespace, 'eth0', [frame(to, ipv4(peer, own, syn(lastNumber)))]);
  await untilLast(program);
  const where = sightings(program).map(({ where: name, peer: who }) => `${(who as Json).number} ${name}`);
  t.deepEqual(where, ['1 lan0.10', '2 lan0.10', `${lastNumber} lan0`]);
});

claim(
  "a packet that comes in by a bridge's port is seen once, on the bridge; what passes through it is not",
  async t => {
    const lab = await createLab({ name: 'wire' });
    t.teardown(() => lab.destroy());
    const [gateway, device, other] = [
      await lab.namespace('gateway'),
      await lab.namespace('device'),
      await lab.namespace('other'),
    ];
    await lab.bridge({ namespace: gateway, interface: 'br0', addresses: [`${own}/24`] }, [
      { namespace: device, interface: 'eth0' },
      { namespace: other, interface: 'eth0' },
    ]);
    const program = await startCapture(t, gateway, ['br0']);
    const to = await hardwareOf(gateway, 'br0');
    const beyond = await hardwareOf(other, 'eth0');
    await send(device, 'eth0', [
      frame(to, ipv4(peer, own, tcp(1, 80, fin))),
      frame(beyond, ipv4(peer, own, tcp(2, 80, fin))),
      frame(to, ipv4(peer, own, tcp(lastNumber, 80, fin))),
    ]);
    await untilLast(program);
    t.deepEqual(seen(program), ['1 fin by peer', `${lastNumber} fin by peer`]);
  },
);

claim('ports that open and close take nothing from those that stay', async t => {
  const { gateway, device, to } = await cable(t);
  const program = await startCapture(t, gateway.namespace, ['lan0']);
  program.write(`${JSON.stringify({ toggle: ['10.9.9.7', 7], times: 100 })}\n`);
  const frames = Array.from({ length: 2000 }, (_none, index) => frame(to, ipv4(peer, own, syn(index + 1))));
  await send(device.namespace, 'eth0', [...frames, frame(to, ipv4(peer, own, syn(lastNumber)))], 50);
  await untilLast(program);
  await untilJson(program, 'that it has toggled', line => line.toggled === 100);
  t.is(seen(program).length, 2001);
  t.like(await counters(program), { lost: 0 });
});

claim('targets that the filter cannot name one by one are still told apart', async t => {
  const { gateway, device, to } = await cable(t);
  const program = await startCapture(t, gateway.namespace, []);
  const many = Array.from({ length: 3000 }, (_none, index) => [own, 1000 + index * 2]);
  await set(program, ['lan0'], many);
  await send(device.namespace, 'eth0', [
    frame(to, ipv4(peer, own, tcp(1, 1001, flag.syn))),
    frame(to, ipv4(peer, own, tcp(2, 6998, flag.syn))),
    frame(to, ipv4(peer, own, tcp(3, 7000, flag.syn))),
    frame(to, ipv4(peer, own, tcp(lastNumber, 1000, flag.syn))),
  ]);
  await untilLast(program);
  t.deepEqual(seen(program), ['2 syn by peer', `${lastNumber} syn by peer`]);
});

claim('an interface that goes down and comes back is captured on', async t => {
  const { gateway, device, to } = await cable(t);
  const program = await startCapture(t, gateway.namespace, ['lan0']);
  await gateway.down();
  await gateway.up();
  await gateway.untilUp();
  await send(device.namespace, 'eth0', [frame(to, ipv4(peer, own, syn(lastNumber)))]);
  await untilLast(program);
  t.is(seen(program).length, 1);
});
