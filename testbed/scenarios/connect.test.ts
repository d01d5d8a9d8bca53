import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inUserNamespace } from 'netns-test-helpers';
import { devicePage, startWebServer } from '../demo/device.ts';
import { cliCommand, mediatorName } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { makeRandomFile, sha256, tcpService, untilSaid } from './support/peers.ts';
import { sshOptions, startSshd } from './support/sshd.ts';
import { type Stage, setStage } from './support/stage.ts';
import { failureOf, jsonLines } from './support/verbs.ts';

/** `entremise connect`, on standard input and output: by itself, and below the real ssh, scp, rsync and git. */

const { device } = homeAddresses;
const proxyCommand = cliCommand('connect', mediatorName, '%h:%p').join(' ');

const claim = setStage({
  name: 'scconnect',
  peers: async (home, folder) => {
    await startWebServer(home.device, join(folder, 'nginx'));
    if (!inUserNamespace()) await startSshd(home.device, join(folder, 'ssh'));
  },
});

/** Runs a command of the technician's, his CLI's profile at hand. */
function technician({ site, home }: Stage, argv: readonly string[], env: Record<string, string> = {}) {
  return home.terminal.exec(argv, { env: { ...site.terminalEnv, ...env }, deadlineMs: 60_000 });
}

function ssh(stage: Stage, ...words: readonly string[]) {
  const options = sshOptions(join(stage.folder, 'ssh'), proxyCommand);
  return technician(stage, ['ssh', ...options, `root@${device}`, ...words]);
}

/** ssh with its options, as one word for programs that start it. */
function remoteShell(folder: string): string {
  const options = sshOptions(join(folder, 'ssh'), proxyCommand);
  return ['ssh', ...options].map(word => (word.includes(' ') ? `'${word}'` : word)).join(' ');
}

function makeTree(folder: string): void {
  for (const name of ['a', 'a/deep/er', 'b with blanks']) mkdirSync(join(folder, name), { recursive: true });
  for (let index = 0; index < 40; index++) makeRandomFile(join(folder, 'a', `${index}`), index * 1000);
  makeRandomFile(join(folder, 'a/deep/er', 'large'), 3_000_000);
  writeFileSync(join(folder, 'b with blanks', 'empty'), '');
}

claim('what is piped in goes to the device, and its answer comes out, to the end', async (t, stage) => {
  const call = cliCommand('connect', mediatorName, `${device}:80`);
  const request = `GET / HTTP/1.0\r\nHost: ${device}\r\n\r\n`;
  const { code, stdout, stderr } = await stage.home.terminal.exec(call, {
    env: stage.site.terminalEnv,
    input: request,
  });
  t.deepEqual([code, stderr], [0, '']);
  t.true(stdout.startsWith('HTTP/1.1 200 OK') && stdout.endsWith(devicePage));
});

claim(
  '10 MB each way pass standard input and output whole, the end of the input is a FIN',
  async (t, stage) => {
    const { home, folder } = stage;
    const bytes = 10_000_000;
    const steps = ['drain', `send=${bytes}`, 'fin'];
    const service = await tcpService(t, home.device, device, 4001, steps);
    const pipe = `head -c ${bytes} /dev/zero | "$@" > ${join(folder, 'out')}`;
    const call = cliCommand('connect', mediatorName, `${device}:4001`);
    const { code, stderr } = await technician(stage, ['sh', '-c', pipe, 'sh', ...call]);
    t.deepEqual([code, stderr], [0, '']);
    await untilSaid(service, { saw: 'fin', bytes });
    const out = readFileSync(join(folder, 'out'));
    t.is(out.length, bytes);
    t.true(out.every((byte, offset) => byte === offset % 251));
  },
);

claim(
  'a refusing device is exit code 5, a device that resets is a failure, and nothing is taken for an end',
  async (t, stage) => {
    const refused = await stage.site.terminal('connect', mediatorName, `${device}:9`, '--json');
    t.is(refused.code, 5);
    t.is(failureOf(refused.stderr)?.code, 'refused');
    await tcpService(t, stage.home.device, device, 4002, ['drain', 'send=1000', 'rst']);
    const reset = await stage.site.terminal('connect', mediatorName, `${device}:4002`, '--json');
    t.is(reset.code, 5);
    t.is(reset.stdout.length, 1000);
    t.is(failureOf(reset.stderr)?.code, 'peer-reset');
  },
);

claim(
  'the real ssh runs a command on the device, and keeps its exit code',
  async (t, stage) => {
    const { code, stdout, stderr } = await ssh(stage, 'cat /proc/net/fib_trie; exit 42');
    t.deepEqual([code, stderr], [42, '']);
    t.true(stdout.includes(device), 'it ran where the device is');
  },
  'root',
);

claim(
  'the real scp copies 10 MB there and back',
  async (t, stage) => {
    const { folder } = stage;
    const [file, there, back] = ['scp-file', 'scp-there', 'scp-back'].map(name => join(folder, name)) as [
      string,
      string,
      string,
    ];
    makeRandomFile(file, 10_000_000);
    const options = sshOptions(join(folder, 'ssh'), proxyCommand);
    for (const [from, to] of [
      [file, `root@${device}:${there}`],
      [`root@${device}:${there}`, back],
    ] as const) {
      const { code, stderr } = await technician(stage, ['scp', ...options, from, to]);
      t.is(code, 0, stderr);
    }
    t.is(await sha256(back), await sha256(file));
  },
  'root',
);

claim(
  'the real rsync carries a directory tree there and back',
  async (t, stage) => {
    const { folder } = stage;
    const tree = join(folder, 'tree');
    makeTree(tree);
    const rsync = ['rsync', '-a', '-e', remoteShell(folder)];
    for (const [from, to] of [
      [`${tree}/`, `root@${device}:${folder}/tree-there/`],
      [`root@${device}:${folder}/tree-there/`, `${folder}/tree-back/`],
    ] as const) {
      const { code, stderr } = await technician(stage, [...rsync, from, to]);
      t.is(code, 0, stderr);
    }
    const compared = await technician(stage, ['diff', '-r', tree, `${folder}/tree-back`]);
    t.deepEqual([compared.code, compared.stdout], [0, '']);
  },
  'root',
);

claim(
  'the real git clones a repository of the device',
  async (t, stage) => {
    const { folder, home } = stage;
    const repository = join(folder, 'repository');
    const identity = ['-c', 'user.name=x', '-c', 'user.email=x@example.org'];
    await home.device.run(['git', 'init', '-q', repository]);
    makeTree(join(repository, 'files'));
    await home.device.run(['git', '-C', repository, 'add', '.']);
    await home.device.run(['git', '-C', repository, ...identity, 'commit', '-q', '-m', 'one']);
    const clone = ['git', 'clone', '-q', `ssh://root@${device}${repository}`, join(folder, 'clone')];
    const { code, stderr } = await technician(stage, clone, { GIT_SSH_COMMAND: remoteShell(folder) });
    t.is(code, 0, stderr);
    const compared = await technician(stage, [
      'diff',
      '-r',
      join(repository, 'files'),
      join(folder, 'clone/files'),
    ]);
    t.deepEqual([compared.code, compared.stdout], [0, '']);
  },
  'root',
);

claim(
  'bulk does one command at the mediators that are meant, and says what came of it at each',
  async (t, stage) => {
    const bulk = (...words: string[]) =>
      stage.site.terminal('bulk', '--label', 'demo', '--online', ...words, '--json');
    const dry = await bulk('--dry-run', 'connect', `${device}:80`);
    t.deepEqual(jsonLines(dry.stdout), [{ command: `connect ${device}:80`, mediators: [mediatorName] }]);
    const [done] = jsonLines((await bulk('connect', `${device}:80`)).stdout);
    t.like(done, { mediator: mediatorName, ok: true, attempts: 1, connected: { host: device, port: 80 } });
    const [free] = jsonLines((await bulk('open', '8081')).stdout);
    t.like(free, { ok: true, free: { protocol: 'tcp', number: 8081 } });
    const refused = await bulk('connect', `${device}:81`);
    t.is(refused.code, 5);
    t.like(jsonLines(refused.stdout)[0], { ok: false, attempts: 2, error: { code: 'refused' } });
    t.is((await bulk('reboot')).code, 2);
  },
);
