import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { environment } from './command.ts';
import { fixture, labTest, tcpServer, tryTcp, udpPeer, whereLabsWork } from './fixtures/harness.ts';
import { inodesOf, processesIn } from './fixtures/processes.ts';
import { createLab, until } from './index.ts';
import { parseListening } from './listening.ts';

labTest('two labs of one name in one process do not meet', async (t, lab) => {
  const twin = await createLab({ name: lab.name });
  t.teardown(() => twin.destroy());
  t.not(twin.id, lab.id);
  const [here, there] = await Promise.all([lab.namespace('same'), twin.namespace('same')]);
  await here.ip('link add name only-here type bridge');
  t.is((await there.exec(['ip', 'link', 'show', 'dev', 'only-here'])).code, 1);
  t.is((await here.exec(['ip', 'link', 'show', 'dev', 'only-here'])).code, 0);
});

labTest('a namespace has its own lo, up, and nothing else', async (t, lab) => {
  const alone = await lab.namespace('alone');
  await tcpServer(alone, 80);
  t.regex(await tryTcp(alone, '127.0.0.1', 80), /^connected/);
  t.regex(await tryTcp(alone, '::1', 80), /^connected/);
  const links = JSON.parse(await alone.run(['ip', '-json', 'link'])) as { ifname: string }[];
  t.deepEqual(
    links.map(({ ifname }) => ifname),
    ['lo'],
  );
});

labTest('exec gives what came, run throws it', async (t, lab) => {
  const host = await lab.namespace('host');
  const script = 'cat; echo out; echo err >&2; exit 3';
  t.deepEqual(await host.exec(['sh', '-c', script], { input: 'in\n' }), {
    stdout: 'in\nout\n',
    stderr: 'err\n',
    code: 3,
    signal: null,
  });
  await t.throwsAsync(host.run(['sh', '-c', script]), {
    code: 'command-failed',
    message: "[host] sh -c 'cat; echo out; echo err >&2; exit 3': exit code 3\nerr",
  });
  t.is(await host.run(['sh', '-c', 'echo $NAME'], { env: { NAME: 'value' } }), 'value\n');
  t.is(await host.run(['pwd'], { cwd: '/' }), '/\n');
  t.is((await host.exec(['sh', '-c', 'kill -9 $$'])).signal, 'SIGKILL');
});

labTest('a command that takes too long is killed with its children', async (t, lab) => {
  const host = await lab.namespace('host');
  await t.throwsAsync(host.exec(['sh', '-c', 'sleep 1000 & wait'], { deadlineMs: 50 }), {
    code: 'deadline',
    message: "killed after 50 ms: [host] sh -c 'sleep 1000 & wait'",
  });
  await until(() => processesIn(inodesOf(lab)).length === 0, { what: 'the sleep to die with its shell' });
});

labTest('a program tells its output and its end, line by line if asked', async (t, lab) => {
  const host = await lab.namespace('host');
  const lines: string[] = [];
  const program = host.spawn(['sh', '-c', 'echo one; echo two >&2; cat; exit 5'], {
    stdin: 'pipe',
    onLine: (line, stream) => lines.push(`${stream} ${line}`),
  });
  await program.untilOutput(/one/);
  t.is(program.exit, undefined);
  program.write('three\n');
  program.endInput();
  t.deepEqual(await program.exited, { code: 5, signal: null });
  t.is(program.stdout, 'one\nthree\n');
  t.is(program.stderr, 'two\n');
  t.deepEqual(lines.sort(), ['stderr two', 'stdout one', 'stdout three']);
});

labTest('a chatty program costs no more memory than it was given', async (t, lab) => {
  const host = await lab.namespace('host');
  const program = host.spawn(['sh', '-c', 'head -c 3000000 /dev/zero | tr "\\0" x; echo end'], {
    keepBytes: 1_000,
  });
  await program.exited;
  t.is(program.stdout.length, 1_000);
  t.true(program.stdout.endsWith('xend\n'));
  t.is(program.droppedBytes, 3_000_004 - 1_000);
});

labTest('waiting for the output of a program that ends first fails with its last words', async (t, lab) => {
  const host = await lab.namespace('host');
  const program = host.spawn(['sh', '-c', 'echo no such luck >&2; exit 4']);
  await t.throwsAsync(program.untilOutput(/ready/), {
    code: 'command-failed',
    message: /ended \(exit code 4, signal null\) before writing \/ready\/\n.*\nstderr: no such luck/,
  });
});

labTest('stop asks first and kills after the deadline', async (t, lab) => {
  const host = await lab.namespace('host');
  const polite = host.spawn(['sh', '-c', 'trap "exit 6" TERM; echo up; while :; do sleep 0.02; done']);
  const deaf = host.spawn(['sh', '-c', 'trap "" TERM; echo up; while :; do sleep 0.02; done']);
  await Promise.all([polite.untilOutput(/up/), deaf.untilOutput(/up/)]);
  t.deepEqual(await polite.stop(), { code: 6, signal: null });
  t.deepEqual(await deaf.stop('SIGTERM', 50), { code: null, signal: 'SIGKILL' });
  t.deepEqual(await deaf.stop(), { code: null, signal: 'SIGKILL' }, 'stopping twice changes nothing');
});

labTest('an output file takes both outputs', async (t, lab) => {
  const folder = mkdtempSync(join(tmpdir(), 'netns-test-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const outputFile = join(folder, 'log');
  const host = await lab.namespace('host');
  const program = host.spawn(['sh', '-c', 'echo one; echo two >&2; echo three'], { outputFile });
  await program.untilOutput(/three/);
  t.is(readFileSync(outputFile, 'utf8'), 'one\ntwo\nthree\n');
  t.throws(() => host.spawn(['true'], { outputFile: join(folder, 'none', 'log') }), {
    code: 'command-failed',
    message: /^\[host\] cannot open .*\/none\/log/,
  });
});

labTest('node runs a script inside the namespace', async (t, lab) => {
  const host = await lab.namespace('host');
  const peer = host.node(fixture('udp-peer'), ['4', '7000']);
  await host.untilListening('udp', 7_000);
  t.is(await peer.untilOutput(/^bound$/m).then(match => match[0]), 'bound');
  await t.throwsAsync(host.untilListening('tcp', 7_000, 50), {
    code: 'deadline',
    message: /for a listener on tcp 7000 in host\n(.*\n)*listening there: udp 7000$/,
  });
});

labTest('sysctls are set in one namespace; an unknown one is refused with its path', async (t, lab) => {
  const one = await lab.namespace('one');
  const other = await lab.namespace('other');
  await one.sysctl({ 'net.ipv4.ip_forward': 1, 'net/ipv4/ip_default_ttl': 33 });
  t.is(await one.run(['cat', '/proc/sys/net/ipv4/ip_default_ttl']), '33\n');
  t.is(await other.run(['cat', '/proc/sys/net/ipv4/ip_forward']), '0\n');
  await t.throwsAsync(one.sysctl({ 'net.ipv4.no_such': 1 }), {
    code: 'command-failed',
    message: /^\[one\] sysctl -w net\.ipv4\.no_such=1: .*\n.*net\/ipv4\/no_such/,
  });
});

labTest('nft errors show the line that nft did not like', async (t, lab) => {
  const host = await lab.namespace('host');
  await t.throwsAsync(host.run(['nft', '-f', '-'], { input: 'add table inet x\nadd chain inet y z\n' }), {
    code: 'command-failed',
    message: /add chain inet y z/,
  });
});

whereLabsWork('every command is logged with its namespace before it runs', async t => {
  const log: string[] = [];
  const lab = await createLab({ name: 'logged', log: line => log.push(line) });
  t.teardown(() => lab.destroy());
  const host = await lab.namespace('host');
  await host.exec(['echo', 'two words']);
  const peer = await udpPeer(host, 5_000);
  peer.kill();
  t.deepEqual(log, [
    `[host] ip netns add ${host.netns}`,
    '[host] ip link set dev lo up',
    "[host] echo 'two words'",
    `[host] ${process.execPath} ${fixture('udp-peer')} 4 5000 '' &`,
  ]);
});

labTest('names are checked, and taken names refused', async (t, lab) => {
  await lab.namespace('taken');
  await t.throwsAsync(lab.namespace('taken'), { code: 'bad-input', message: /taken already/ });
  await t.throwsAsync(lab.namespace('a b'), { code: 'bad-input', message: /"a b"/ });
  await t.throwsAsync(createLab({ name: 'No' }), { code: 'bad-input', message: /"No"/ });
});

test('npm folders come last in the PATH, so that `nft` is not the one of @vercel/nft', t => {
  const folders = (environment().PATH ?? '').split(':');
  const lastOfSystem = folders.findLastIndex(folder => !folder.includes('node_modules'));
  const firstOfNpm = folders.findIndex(folder => folder.includes('node_modules'));
  t.true(firstOfNpm === -1 || firstOfNpm > lastOfSystem, folders.join(':'));
  t.true(folders.includes('/usr/sbin'));
});

test('listening sockets are told from connected ones', t => {
  const line = (file: string, local: string, remote: string, state: string) =>
    `/proc/net/${file}:   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000     0        0 1`;
  const tables = [
    '/proc/net/tcp:  sl  local_address rem_address   st tx_queue',
    line('tcp', '0100007F:0050', '00000000:0000', '0A'),
    line('tcp', '0100007F:0051', '0100007F:1000', '01'),
    line('tcp6', `${'0'.repeat(32)}:01BB`, `${'0'.repeat(32)}:0000`, '0A'),
    line('udp', '00000000:1388', '00000000:0000', '07'),
    line('udp6', `${'0'.repeat(32)}:1389`, `${'0'.repeat(32)}:0009`, '01'),
  ].join('\n');
  t.deepEqual(parseListening(tables), [
    { protocol: 'tcp', port: 80 },
    { protocol: 'tcp', port: 443 },
    { protocol: 'udp', port: 5_000 },
  ]);
});
