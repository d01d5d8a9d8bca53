import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { type CommandResult, until } from 'netns-test-helpers';
import { devicePage, startWebServer } from '../demo/device.ts';
import { cliCommand, mediatorName, serverAddress, servicePort } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { BlankHost, blocksByHost, untilEnded } from './support/blank-host.ts';
import { type Stage, setStage } from './support/stage.ts';
import { hire, profileOf } from './support/technicians.ts';
import { failureOf, type Json } from './support/verbs.ts';

/** Who gets in, with what, and what the exit codes say (P6.1, P6.5). */

const claim = setStage({
  name: 'scenrol',
  peers: (home, folder) => startWebServer(home.device, join(folder, 'nginx')),
});

const operations = fileURLToPath(new URL('../../../docs/operations.md', import.meta.url));

/** In place of systemd, which is not here: what its unit says is started, as who it says. */
const startUnit = `unit=/etc/systemd/system/entremise-server.service
exec runuser -u "$(sed -n 's/^User=//p' "$unit")" -- $(sed -n 's/^ExecStart=//p' "$unit")`;

const bundle = (name: string) => `dist/bundle/${name}`;

async function blankHosts(t: ExecutionContext, { home }: Stage, env: Readonly<Record<string, string>>) {
  const [server, gateway, technician] = await Promise.all(
    [home.server, home.gateway, home.terminal].map(where => BlankHost.make(t, where, env)),
  );
  if (server === undefined || gateway === undefined || technician === undefined) throw new Error('no hosts');
  const at = '/usr/local/lib/entremise';
  await server.bring('/opt/entremise');
  await gateway.bring(at, bundle('entremise-mediator.mjs'), bundle('entremise.node'));
  await technician.bring(at, bundle('entremise.mjs'));
  return new Map(Object.entries({ server, gateway, technician }));
}

claim(
  'docs/operations.md leads from blank hosts to a technician who sees the page of a device',
  async (t, stage) => {
    const hosts = await blankHosts(t, stage, { SERVER: `${homeAddresses.server}:9443` });
    const codes: string[] = [];
    let said = '';
    for (const [index, { host, body }] of blocksByHost(operations, [...hosts.keys()]).entries()) {
      if (index === 1) {
        const unit = hosts.get('server')?.start(t, startUnit);
        await stage.home.server.untilListening('tcp', 9443, 60_000).catch(thrown => {
          throw new Error(`${thrown}\n${unit?.stdout}\n${unit?.stderr}`);
        });
      }
      const program = hosts.get(host)?.start(t, body, body.includes('# asks') ? codes.shift() : undefined);
      if (program === undefined) throw new Error(host);
      if (body.includes('# goes on')) {
        await program.untilOutput(host === 'technician' ? /8080/ : /./, 30_000);
        continue;
      }
      await untilEnded(program);
      said = program.stdout;
      codes.push(...(said.match(/\b\w{6}(-\w{6}){8}\b/g) ?? []));
    }
    t.is(said.trim(), devicePage.trim());
  },
  'root',
);

/** `entremise enroll` with a code, in a profile that is made for it. */
function enrol(stage: Stage, profile: string, code: string): Promise<CommandResult> {
  const env = { ...profileOf(stage, profile), ENTREMISE_CODE: code };
  return stage.home.terminal.exec(cliCommand('enroll', '--server', serverAddress, '--json'), { env });
}

async function codeFor({ site }: Stage, name: string, ...options: readonly string[]): Promise<string> {
  return String((await site.authority('invite', 'terminal', name, ...options)).code);
}

claim('a code is good once: the second use is told as that, exit code 6 (P6.5)', async (t, stage) => {
  const code = await codeFor(stage, 'once');
  t.is((await enrol(stage, 'first', code)).code, 0);
  const second = await enrol(stage, 'second', code);
  t.is(second.code, 6, second.stderr);
  t.is(failureOf(second.stderr)?.code, 'code-used');
});

claim('a code that has expired is told as that, exit code 6 (P6.5)', async (t, stage) => {
  const code = await codeFor(stage, 'late', '--for', '1s');
  const made = Date.now();
  // Its end is told in whole seconds, rounded up.
  await until(() => Date.now() - made > 2_000, { what: 'the code to expire' });
  const late = await enrol(stage, 'late', code);
  t.is(late.code, 6, late.stderr);
  t.is(failureOf(late.stderr)?.code, 'code-expired');
});

claim('a code with a typing error is not sent anywhere, exit code 6', async (t, stage) => {
  const code = await codeFor(stage, 'typo');
  const wrong = await enrol(stage, 'typo', `${code.slice(0, -1)}${code.endsWith('a') ? 'b' : 'a'}`);
  t.is(wrong.code, 6, wrong.stderr);
  t.regex(failureOf(wrong.stderr)?.code ?? '', /^(code-invalid|pin-mismatch)$/);
});

claim(
  'a code of another operator does not match this server, exit code 6, and nothing is believed (P6.1)',
  async (t, stage) => {
    const other = join(stage.folder, 'other-authority');
    const sign = (...words: readonly string[]) =>
      stage.home.server.run(cliCommand(...words, '--authority', other, '--json'));
    await sign('authority', 'init', '--operator', 'Somebody Else');
    const pin = Buffer.alloc(32, 7).toString('base64url');
    await sign('authority', 'trust', '--pin', pin, '--address', serverAddress);
    const invited = JSON.parse(await sign('authority', 'invite', 'terminal', 'guest')) as Json;
    const wrong = await enrol(stage, 'guest', String(invited.code));
    t.is(wrong.code, 6, wrong.stderr);
    t.is(failureOf(wrong.stderr)?.code, 'pin-mismatch');
    const directory = join(profileOf(stage, 'guest').XDG_CONFIG_HOME ?? '', 'entremise', 'default');
    t.false(readdirSync(directory).includes('membership.json'));
  },
);

claim('who has not enrolled is told how to, exit code 6', async (t, stage) => {
  const env = profileOf(stage, 'nobody');
  for (const words of [['forward', mediatorName, '0:192.168.1.10:80'], ['mediators']]) {
    const { code, stderr } = await stage.home.terminal.exec(cliCommand(...words, '--json'), { env });
    t.is(code, 6, stderr);
    t.regex(failureOf(stderr)?.message ?? '', /enrol/);
  }
});

claim(
  'keys and codes are private: files 0600, directories 0700, nothing on a command line',
  async (t, stage) => {
    const { site, home } = stage;
    const code = await codeFor(stage, 'private');
    const env = { ...profileOf(stage, 'private'), ENTREMISE_CODE: code };
    const secrets = [code];
    for (const path of readdirSync(site.directory, { recursive: true, encoding: 'utf8' })) {
      const { mode } = statSync(join(site.directory, path));
      const isPrivate = /(^|\/)(member|authority|tls|server)[^/]*\.key$/.test(path);
      if (!isPrivate) continue;
      t.is(mode & 0o077, 0, `${path} can be read by others`);
      secrets.push(readFileSync(join(site.directory, path), 'latin1').trim());
    }
    t.true(secrets.length >= 4, 'keys of authority, server, mediator and terminal');
    const seen = new Set<string>();
    const program = home.terminal.spawn(cliCommand('enroll', '--server', serverAddress), { env });
    await until(() => lookAtCommandLines(seen) && program.exit !== undefined, {
      what: 'enroll to end',
      intervalMs: 5,
    });
    t.is(program.exit?.code, 0, program.stderr);
    t.true(
      [...seen].some(line => line.includes('enroll')),
      'it was seen',
    );
    for (const secret of secrets) t.false([...seen].some(line => line.includes(secret)));
  },
);

/** Adds the command lines of all processes, as everybody on the machine can read them. */
function lookAtCommandLines(seen: Set<string>): true {
  for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    try {
      seen.add(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
    } catch {
      // It has ended meanwhile.
    }
  }
  return true;
}

claim('a wrong command line is exit code 2 and says what is allowed', async (t, stage) => {
  const wrong = [
    ['forward', mediatorName, 'nonsense'],
    ['forward', mediatorName],
    ['connect', mediatorName, '192.168.1.10'],
    ['expose', mediatorName, '70000', '127.0.0.1:80'],
    ['no-such-verb'],
    ['mediators', '--no-such-option'],
  ];
  for (const words of wrong) {
    const { code, stderr } = await stage.site.terminal(...words, '--json');
    t.is(code, 2, `${words.join(' ')}: ${stderr}`);
    t.is(failureOf(stderr)?.code, 'bad-usage', stderr);
  }
});

claim('doctor says what is good, and with a server that is gone what to do about it', async (t, stage) => {
  const { site, home } = stage;
  const who = await hire(stage, 'patient');
  const good = await who.run('doctor');
  t.is(good.code, 0, good.stderr);
  const findings = JSON.parse(good.stdout) as Json[];
  // What is known of UDP and NATs is told as soon as it is known.
  const aboutUdp = ['path', 'udp', 'nat'];
  t.deepEqual(
    findings.map(({ check }) => check).filter(check => !aboutUdp.includes(String(check))),
    ['profile', 'addon', 'dns', 'tls', 'link', 'clock', 'grants', 'events'],
  );
  t.true(findings.every(finding => finding.good === true));
  await site.server.stop();
  const offline = who.run('mediators');
  const bad = await who.run('doctor');
  t.not(bad.code, 0);
  const [found] = (JSON.parse(bad.stdout) as Json[]).filter(finding => finding.good === false);
  t.is(found?.check, 'tcp');
  t.regex(String(found?.advice), /TCP out|server runs/);
  t.is((await offline).code, 4, 'a server that does not come is exit code 4');
  site.startServer();
  await home.server.untilListening('tcp', servicePort);
  t.is((await who.run('mediators')).code, 0);
});
