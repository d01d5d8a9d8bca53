import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { inUserNamespace } from 'netns-test-helpers';
import { devicePage, startEcho, startWebServer } from '../demo/device.ts';
import { mediatorName } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { makeRandomFile, programPath, sha256, startNameServer, withNameServer } from './support/peers.ts';
import { sshOptions, startSshd } from './support/sshd.ts';
import { type Stage, setStage } from './support/stage.ts';
import { curl, failureOf, type Json, jsonLines, startVerb, untilJson } from './support/verbs.ts';

/** `entremise socks` and programs that know a proxy and nothing of Entremise: curl, ssh, ftp. */

const { device, deviceIpv6 } = homeAddresses;
const deviceName = 'printer.home.example';
const ftpBytes = 5 * 1024 * 1024;

const claim = setStage({
  name: 'scsocks',
  peers: async (home, folder) => {
    await startWebServer(home.device, join(folder, 'nginx'));
    await startNameServer(home.device, device, { [deviceName]: device });
    await startEcho(home.device);
    if (inUserNamespace()) return;
    await startSshd(home.device, join(folder, 'ssh'));
    await startFtpServer(home.device, folder);
  },
  site: folder => ({ mediatorWrapper: withNameServer(folder, device) }),
});

/** A real vsftpd on port 21, which connects back to its clients (active mode). */
async function startFtpServer(where: Stage['home']['device'], folder: string): Promise<void> {
  const files = join(folder, 'ftp');
  mkdirSync(files);
  // vsftpd insists that its user must not write here, and must get here.
  for (const each of [folder, files]) chmodSync(each, 0o755);
  makeRandomFile(join(files, 'firmware'), ftpBytes);
  const lines = [
    'listen=YES',
    'background=NO',
    'anonymous_enable=YES',
    'no_anon_password=YES',
    `anon_root=${files}`,
    'pasv_enable=NO',
    'port_enable=YES',
    'ftp_username=ftp',
    'secure_chroot_dir=/',
    'seccomp_sandbox=NO',
  ];
  const file = join(folder, 'vsftpd.conf');
  writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 });
  where.spawn(['vsftpd', file]);
  await where.untilListening('tcp', 21);
}

interface Proxy {
  readonly port: number;
  readonly login: string;
}

async function startProxy(t: ExecutionContext, stage: Stage, ...words: string[]): Promise<Proxy> {
  const program = startVerb(t, stage, ['socks', mediatorName, '--listen', '0', ...words]);
  const { socks } = await untilJson(program, 'where it listens', line => 'socks' in line);
  const { listen, user, password } = socks as Json & { listen: { port: number } };
  return { port: listen.port, login: user === undefined ? '' : `${user}:${password}` };
}

claim(
  'curl gets the page of a device by SOCKS5, by address and by a name that the home resolves',
  async (t, stage) => {
    const { port, login } = await startProxy(t, stage);
    const { terminal } = stage.home;
    const proxy = `socks5h://${login}@127.0.0.1:${port}`;
    for (const host of [device, `[${deviceIpv6}]`, deviceName])
      t.is((await curl(terminal, '-x', proxy, `http://${host}/`)).body, devicePage, host);
    const refused = await curl(terminal, '-x', proxy, `http://${device}:81/`);
    t.deepEqual([refused.code, /\(5\)|refused/i.test(refused.stderr)], [97, true], refused.stderr);
    const wrong = await curl(terminal, '-x', `socks5h://x:y@127.0.0.1:${port}`, `http://${device}/`);
    t.is(wrong.code, 97, 'curl: proxy handshake error');
  },
);

claim('curl gets it by HTTP CONNECT on the same number', async (t, stage) => {
  const { port, login } = await startProxy(t, stage);
  const { terminal } = stage.home;
  const through = ['-p', '-x', `http://127.0.0.1:${port}`];
  const page = await curl(terminal, ...through, '-U', login, `http://${deviceName}/`);
  t.is(page.body, devicePage);
  const stranger = await curl(terminal, ...through, `http://${deviceName}/`);
  t.regex(stranger.stderr, /407/);
});

claim(
  'ssh runs a command on a device through it, by ncat',
  async (t, stage) => {
    const { port, login } = await startProxy(t, stage);
    const proxy = `ncat --proxy 127.0.0.1:${port} --proxy-type socks5 --proxy-auth ${login} --proxy-dns remote %h %p`;
    const options = sshOptions(join(stage.folder, 'ssh'), proxy);
    const argv = ['ssh', ...options, `root@${device}`, 'echo', 'inside'];
    const { code, stdout, stderr } = await stage.home.terminal.exec(argv, { deadlineMs: 60_000 });
    t.deepEqual([code, stdout], [0, 'inside\n'], stderr);
  },
  'root',
);

/** Words that make a program's sockets go through the proxy: the real socksify of dante. */
function socksified(stage: Stage, port: number): { readonly env: Record<string, string> } {
  const file = join(stage.folder, 'socks.conf');
  const route = [
    'route { from: 0.0.0.0/0 to: 0.0.0.0/0',
    `via: 127.0.0.1 port = ${port}`,
    'protocol: tcp udp',
    'proxyprotocol: socks_v5',
    'method: none',
    'command: connect bind udpassociate }',
  ];
  writeFileSync(file, `resolveprotocol: fake\n${route.join('\n')}\n`);
  return { env: { SOCKS_CONF: file } };
}

/** By the server's audit. */
function didCommand({ site }: Stage, verb: string): boolean {
  const audit = readFileSync(join(site.directory, 'server', 'audit.jsonl'), 'utf8');
  return jsonLines(audit).some(({ command }) => (command as Json | undefined)?.verb === verb);
}

claim(
  'an FTP client in active mode gets 5 MB: the device connects back to the gateway (BIND)',
  async (t, stage) => {
    const { port } = await startProxy(t, stage, '--no-auth');
    const copy = join(stage.folder, 'firmware-copy');
    const argv = ['socksify', 'tnftp', '-A', '-o', copy, `ftp://${device}/firmware`];
    const options = { ...socksified(stage, port), deadlineMs: 60_000 };
    const { code, stdout, stderr } = await stage.home.terminal.exec(argv, options);
    t.is(code, 0, `${stdout}${stderr}`);
    t.is(await sha256(copy), await sha256(join(stage.folder, 'ftp', 'firmware')));
    t.true(didCommand(stage, 'listen'), 'it came another way: this test proves nothing');
  },
  'root',
);

claim('datagrams go to a device and come back by UDP ASSOCIATE', async (t, stage) => {
  const { port } = await startProxy(t, stage, '--no-auth');
  const argv = ['socksify', 'python3', programPath('udp-ask.py'), device, '7', '1', '512', '1472', '9000'];
  const options = { ...socksified(stage, port), deadlineMs: 30_000 };
  const { code, stdout, stderr } = await stage.home.terminal.exec(argv, options);
  t.is(code, 0, `${stdout}${stderr}`);
  t.true(didCommand(stage, 'redirect'), 'they went another way: this test proves nothing');
});

claim('a password that is too short, and a door open to the network, are refused', async (t, stage) => {
  const { terminal } = stage.site;
  const open = await terminal('socks', mediatorName, '--listen', '0.0.0.0:0', '--no-auth', '--json');
  t.is(open.code, 2);
  t.regex(failureOf(open.stderr)?.message ?? '', /127\.0\.0\.1/);
  const file = join(stage.folder, 'short-password');
  writeFileSync(file, 'short\n');
  const short = await terminal('socks', mediatorName, '--password-file', file, '--json');
  t.is(short.code, 2);
});
