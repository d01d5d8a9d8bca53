import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { buildTrio, fixture, labTest, outsideAddress, routerAddress, tcpServer } from './fixtures/harness.ts';
import { type Interface, masquerade, type Namespace, withEvidence } from './index.ts';

function temporaryFolder(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'netns-test-helpers-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** The packets of a pcap file of this machine's byte order, each as it was kept, and its length on the wire. */
function packetsOf(path: string): { readonly bytes: Buffer; readonly length: number }[] {
  const file = readFileSync(path);
  if (file.readUInt32LE(0) !== 0xa1b23c4d || file.readUInt32LE(20) !== 1)
    throw new Error('no such pcap file');
  const packets = [];
  for (let at = 24; at < file.length; at += 16 + file.readUInt32LE(at + 8)) {
    const bytes = file.subarray(at + 16, at + 16 + file.readUInt32LE(at + 8));
    packets.push({ bytes, length: file.readUInt32LE(at + 12) });
  }
  return packets;
}

const sourcesOf = (path: string) =>
  new Set(
    packetsOf(path).map(({ bytes }) =>
      bytes[12] === 8 && bytes[13] === 0 ? bytes.subarray(26, 30).join('.') : '',
    ),
  );

const echo = (inside: Namespace, bytes: number) =>
  inside.run([process.execPath, fixture('tcp-client'), outsideAddress, '80', '5000', String(bytes)]);

function wanOf(router: Namespace): Interface {
  const wan = router.interfaces.find(({ name }) => name === 'wan');
  if (wan === undefined) throw new Error('no wan');
  return wan;
}

labTest('a test that fails keeps conntrack, rules, sockets and packets, and says where', async (t, lab) => {
  const { inside, router, outside } = await buildTrio(lab, masquerade({ outside: 'wan' }));
  await tcpServer(outside, 80);
  await lab.capture(wanOf(router));
  const parent = temporaryFolder(t);
  const fails = async () => {
    await echo(inside, 1_000);
    throw new Error('as meant');
  };
  const error = await t.throwsAsync(withEvidence(lab, fails, parent));
  const [, folder = ''] = /^as meant\nEvidence: (.*)$/.exec(error?.message ?? '') ?? [];
  t.is(join(parent, ...readdirSync(parent)), folder);
  const text = (name: string) => readFileSync(join(folder, name), 'utf8');
  t.regex(text('router.conntrack.txt'), new RegExp(`src=192.168.1.10 .* dst=${routerAddress} `));
  t.regex(text('router.rules.txt'), /masquerade/);
  t.regex(text('outside.sockets.txt'), /LISTEN.*:80/);
  t.regex(text('drawing.txt'), /NAT at wan/);
  t.regex(text('programs.txt'), /tcp-server\.js 80 \(pid \d+, runs\)\n--- stdout\nlistening\naccepted/);
  const sources = sourcesOf(join(folder, 'router.wan.pcap'));
  t.true(sources.has(routerAddress) && sources.has(outsideAddress), 'both directions');
});

labTest('a test that passes keeps nothing', async (t, lab) => {
  const { inside, router, outside } = await buildTrio(lab);
  await tcpServer(outside, 80);
  await lab.capture(wanOf(router));
  const parent = temporaryFolder(t);
  t.regex(await withEvidence(lab, () => echo(inside, 1_000), parent), /^echoed 1000$/m);
  t.deepEqual(readdirSync(parent), []);
});

labTest('evidence that cannot be had hides nothing', async (t, lab) => {
  await lab.namespace('alone');
  const fails = async () => {
    throw new Error('the reason');
  };
  await t.throwsAsync(withEvidence(lab, fails, '/nowhere'), {
    message: /^the reason\nEvidence: could not be kept: /,
  });
});

labTest('a capture keeps the last packets, and the beginning of each', async (t, lab) => {
  const { inside, router, outside } = await buildTrio(lab);
  await tcpServer(outside, 80);
  const capture = await lab.capture(wanOf(router), { snapBytes: 64, keepBytes: 8_000 });
  const path = join(temporaryFolder(t), 'wan.pcap');
  await echo(inside, 2_000_000);
  const { packets, forgotten } = await capture.write(path);
  t.true(packets > 50 && packets <= 100 && forgotten > 0, `${packets} kept, ${forgotten} forgotten`);
  const kept = packetsOf(path);
  t.is(kept.length, packets);
  t.true(kept.every(({ bytes, length }) => bytes.length === Math.min(length, 64)));
  t.true(kept.some(({ length }) => length > 1_000));
  await echo(inside, 10);
  t.true((await capture.write(path)).forgotten > forgotten, 'it went on');
});
