import { chmodSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { type CommandResult, inUserNamespace, until } from 'netns-test-helpers';
import { devicePage, startEcho, startWebServer } from '../demo/device.ts';
import { cliBundle, cliCommand, mediatorName } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { programPath, startNameServer, withNameServer } from './support/peers.ts';
import { buildSecondHome, type SecondHome, secondMediator } from './support/second-home.ts';
import { sshOptions, startSshd } from './support/sshd.ts';
import { type Stage, setStage } from './support/stage.ts';
import { failureOf } from './support/verbs.ts';

/** `entremise run`: real programs that know of no proxy, in a network of their own that is the home's. */

const { device, deviceIpv6 } = homeAddresses;
const deviceName = 'printer.home.example';
const neighbourPage = 'another printer, at the same address\n';

const claim = setStage<{ second: SecondHome }>({
  name: 'scrun',
  peers: async (home, folder) => {
    await startWebServer(home.device, join(folder, 'nginx'));
    const names = [device, deviceIpv6].map(address => [deviceName, address] as const);
    await startNameServer(home.device, device, names);
    await startEcho(home.device);
    if (!inUserNamespace()) await startSshd(home.device, join(folder, 'ssh'));
  },
  site: folder => ({ mediatorWrapper: withNameServer(folder, device) }),
  share: async stage => ({ second: await buildSecondHome(stage, neighbourPage) }),
});

/** Runs a command in the home of a mediator to its end. */
function runIn(stage: Stage, mediator: string, ...words: readonly string[]): Promise<CommandResult> {
  const argv = cliCommand('run', mediator, '--', ...words);
  return stage.home.terminal.exec(argv, { env: stage.site.terminalEnv, deadlineMs: 60_000 });
}

const inHome = (stage: Stage, ...words: readonly string[]) => runIn(stage, mediatorName, ...words);
const curlWords = ['curl', '-sS', '--max-time', '30'];

claim('curl gets the page of a device by both its addresses and by a name of the home', async (t, stage) => {
  for (const host of [device, `[${deviceIpv6}]`, deviceName]) {
    const { code, stdout, stderr } = await inHome(stage, ...curlWords, `http://${host}/`);
    t.deepEqual([code, stdout], [0, devicePage], `${host}: ${stderr}`);
  }
});

claim(
  'what the device refuses is refused at once, what the grant does not allow is told',
  async (t, stage) => {
    const refused = await inHome(stage, 'bash', '-c', `exec 3<>/dev/tcp/${device}/81`);
    t.regex(refused.stderr, /Connection refused/);
    const forbidden = await inHome(stage, ...curlWords, 'http://8.8.8.8/');
    t.is(forbidden.code, 7, forbidden.stderr);
    t.regex(forbidden.stderr, /8\.8\.8\.8:80 not served: .*(grant|allow)/);
    const port = await inHome(stage, 'python3', '-c', closedUdp);
    t.regex(port.stderr, /ConnectionRefusedError/);
    // The kernel of the command would answer it, as if everybody were there.
    const ping = await inHome(stage, 'busybox', 'ping', '-c1', '-W2', device);
    t.is(ping.code, 1, ping.stdout);
  },
);

/** A datagram to a number that nobody has. */
const closedUdp = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
s.connect(('${device}', 9))
s.send(b'anybody?')
s.recv(100)`;

claim('a name is resolved on the mediator; dig asks the home’s own name server by UDP', async (t, stage) => {
  const words = ['dig', '+short', '+tries=1', '+timeout=10', deviceName];
  t.is((await inHome(stage, ...words)).stdout, `${device}\n`);
  t.is((await inHome(stage, ...words, 'AAAA')).stdout, `${deviceIpv6}\n`);
  t.is((await inHome(stage, ...words, `@${device}`)).stdout, `${device}\n`);
  const { stdout } = await inHome(stage, 'dig', '+tries=1', 'nobody.home.example');
  t.regex(stdout, /status: (NXDOMAIN|REFUSED|SERVFAIL)/);
});

claim('datagrams go to a device and come back, of every size', async (t, stage) => {
  const sizes = ['1', '512', '1472', '9000'];
  const { code, stdout } = await inHome(stage, 'python3', programPath('udp-ask.py'), device, '7', ...sizes);
  t.is(code, 0, stdout);
});

claim(
  'ssh runs a command on a device',
  async (t, stage) => {
    const options = sshOptions(join(stage.folder, 'ssh'), 'none');
    const { code, stdout, stderr } = await inHome(
      stage,
      'ssh',
      ...options,
      `root@${device}`,
      'echo inside; exit 5',
    );
    t.deepEqual([code, stdout], [5, 'inside\n'], stderr);
  },
  'root',
);

claim('two homes that both have 192.168.1.0/24 are used side by side, each its own', async (t, stage) => {
  const script = `for i in 1 2 3; do curl -sS --max-time 30 http://${device}/; done`;
  const [first, second] = await Promise.all(
    [mediatorName, secondMediator].map(name => runIn(stage, name, 'sh', '-c', script)),
  );
  t.deepEqual([first?.code, first?.stdout], [0, devicePage.repeat(3)], first?.stderr);
  t.deepEqual([second?.code, second?.stdout], [0, neighbourPage.repeat(3)], second?.stderr);
});

/** Three datagrams by one system call (UDP_SEGMENT, 103), and what comes back of them. */
const segmentedUdp = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
s.connect(('${device}', 7))
s.setsockopt(socket.IPPROTO_UDP, 103, 1000)
s.send(b'a' * 1000 + b'b' * 1000 + b'c' * 500)
print(sorted(len(s.recv(9000)) for _ in range(3)))`;

claim(
  'datagrams that a program hands over in one piece arrive as the many that they are',
  async (t, stage) => {
    const { stdout, stderr } = await inHome(stage, 'python3', '-c', segmentedUdp);
    t.is(stdout, '[500, 1000, 1000]\n', stderr);
  },
);

/** Says how many bytes one connection has had at its end, and what one datagram says. */
const takeAll = `import socket
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind(('', 9101))
s = socket.create_server(('', 9100))
c, _ = s.accept()
total = 0
while piece := c.recv(65536):
    total += len(piece)
print('tcp', total, flush=True)
c.close()
print('udp', u.recv(100).decode(), flush=True)`;

claim('what a command has written last is with the device, though it ended at once', async (t, stage) => {
  const { device: where } = stage.home;
  const sink = where.spawn(['python3', '-c', takeAll]);
  t.teardown(() => sink.stop('SIGKILL'));
  await where.untilListening('tcp', 9100);
  const script = `head -c 3000000 /dev/zero >/dev/tcp/${device}/9100; echo -n last >/dev/udp/${device}/9101`;
  t.is((await inHome(stage, 'bash', '-c', script)).code, 0);
  await sink.untilOutput(/tcp 3000000/);
  await sink.untilOutput(/udp last/);
});

claim('exit codes are the command’s, and those of all verbs before it runs', async (t, stage) => {
  t.is((await inHome(stage, 'sh', '-c', 'exit 42')).code, 42);
  t.is((await inHome(stage, 'sh', '-c', 'kill -TERM $$')).code, 143);
  t.is((await inHome(stage, '/nowhere/program')).code, 127);
  const { code, stderr } = await stage.site.terminal('run', 'home-9', '--json', '--', 'true', '--json');
  t.deepEqual([code, failureOf(stderr)?.code], [3, 'grant-missing']);
});

/** Every process whose command line has this in it, by its pid. */
function processesWith(text: string): string[] {
  return readdirSync('/proc').filter(pid => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(text);
    } catch {
      return false;
    }
  });
}

/** How many processes are in that network namespace. */
function livingIn(namespace: string): number {
  return readdirSync('/proc').filter(pid => {
    try {
      return readlinkSync(`/proc/${pid}/ns/net`) === namespace;
    } catch {
      return false;
    }
  }).length;
}

/** What `run` mounts in its own mount namespace, should it be seen in this one; other tests mount other things. */
const mounts = () =>
  readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .filter(line => /resolv|nsswitch|nscd| \/proc | \/tmp /.test(line));

const startIn = (stage: Stage, ...words: readonly string[]) =>
  stage.site.startTerminal(['run', '--quiet', mediatorName, '--', ...words]);

claim('a signal is handed on, and the command says what becomes of it', async (t, stage) => {
  const script = 'trap "echo asked; exit 9" TERM; echo up; while :; do sleep 0.1; done';
  const program = startIn(stage, 'sh', '-c', script);
  t.teardown(() => program.stop('SIGKILL'));
  await program.untilOutput(/up/);
  process.kill(program.pid, 'SIGTERM');
  t.is((await program.exited).code, 9);
  t.is(program.stdout, 'up\nasked\n');
});

claim('a process whose parent has gone does not stay behind when it ends', async (t, stage) => {
  const file = join(stage.folder, 'orphan');
  const orphan = `(sh -c 'echo $$ >${file}' &); until [ -s ${file} ]; do sleep 0.05; done`;
  const gone = `for i in $(seq 200); do [ -e /proc/$(cat ${file}) ] || exit 0; sleep 0.05; done; exit 1`;
  const { code, stderr } = await inHome(stage, 'sh', '-c', `${orphan}; ${gone}`);
  t.is(code, 0, stderr);
});

claim('a CLI that is killed leaves nothing behind, whatever the command had started', async (t, stage) => {
  const before = mounts();
  const lasting = '471147';
  const script = `setsid sleep ${lasting} & readlink /proc/self/ns/net; exec sleep ${lasting}`;
  const program = startIn(stage, 'sh', '-c', script);
  t.teardown(() => program.stop('SIGKILL'));
  const [namespace] = await program.untilOutput(/net:\[\d+\]/);
  t.is(processesWith(lasting).length > 1, true);
  process.kill(program.pid, 'SIGKILL');
  await until(() => livingIn(namespace) === 0, { what: 'the namespace to be empty' });
  await until(() => processesWith(lasting).length === 0, { what: 'the command to be gone' });
  t.deepEqual(mounts(), before);
});

/** Words that run what follows them as a user who is nobody in particular, with a profile and a CLI that he may read. */
async function ordinaryUser({ site, home, folder }: Stage): Promise<string[]> {
  const own = join(folder, 'ordinary');
  const profile = String(site.terminalEnv.XDG_CONFIG_HOME);
  const { terminal } = home;
  await terminal.run(['cp', '-r', profile, own]);
  for (const file of ['entremise.mjs', 'entremise.node'])
    await terminal.run(['cp', join(dirname(cliBundle), file), own]);
  await terminal.run(['chown', '-R', '65534:65534', own]);
  chmodSync(folder, 0o755);
  const words = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', '--no-new-privs'];
  return [
    ...words,
    'env',
    `XDG_CONFIG_HOME=${own}`,
    'PATH=/usr/bin:/bin',
    'node',
    join(own, 'entremise.mjs'),
  ];
}

claim(
  'an ordinary user needs no privilege, and the command is run as himself',
  async (t, stage) => {
    const words = await ordinaryUser(stage);
    const { terminal } = stage.home;
    const allowed = await terminal.exec([
      ...words.slice(0, 7),
      'unshare',
      '--user',
      '--map-root-user',
      'true',
    ]);
    if (allowed.code !== 0) {
      t.log('this machine lets ordinary users make no namespaces');
      t.pass();
      return;
    }
    const script = `id -u; grep CapEff /proc/self/status; ${curlWords.join(' ')} http://${deviceName}/`;
    const argv = [...words, 'run', '--quiet', mediatorName, '--', 'sh', '-c', script];
    const { code, stdout, stderr } = await terminal.exec(argv, { deadlineMs: 60_000 });
    t.deepEqual([code, stdout], [0, `65534\nCapEff:\t0000000000000000\n${devicePage}`], stderr);
  },
  'root',
);

claim(
  'where no namespaces can be made, that is said, with what to do',
  async (t, stage) => {
    const { terminal } = stage.home;
    const without = ['setpriv', '--bounding-set=-sys_admin', '--inh-caps=-sys_admin'];
    const argv = [...without, ...cliCommand('run', mediatorName, '--json', '--', 'true')];
    const { code, stderr } = await terminal.exec(argv, { env: stage.site.terminalEnv });
    t.deepEqual([code, failureOf(stderr)?.code], [1, 'environment-unfit']);
    t.regex(failureOf(stderr)?.message ?? '', /CAP_SYS_ADMIN.*entremise socks/);
  },
  'root',
);
