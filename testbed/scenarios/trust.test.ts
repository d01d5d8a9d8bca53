import { cpSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { ExecutionContext } from 'ava';
import { type Program, until } from 'netns-test-helpers';
import { startWebServer } from '../demo/device.ts';
import { mediatorBundle, mediatorName } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { tcpPeer, tcpService, untilSaid } from './support/peers.ts';
import { type Stage, setStage } from './support/stage.ts';
import { hire, type Technician } from './support/technicians.ts';
import { failureOf, untilForwards } from './support/verbs.ts';

/** What grants, the owner and the operator's revocations allow and end (P6). */

const { device, gatewayLan } = homeAddresses;

const claim = setStage({
  name: 'sctrust',
  peers: async (home, folder) => startWebServer(home.device, join(folder, 'nginx')),
  site: () => ({ mediatorConfig: '[owner]\ndeny = ["192.168.1.66"]\n[owner.targets]\ntcp = ["1-9999"]' }),
});

let nextNumber = 4000;

interface Running {
  readonly forward: Program;
  readonly localPort: number;
  readonly client: Program;
  readonly device: Program;
}

/** A technician's forward with a connection on it, quiet and open. */
async function runningForward(t: ExecutionContext, stage: Stage, who: Technician): Promise<Running> {
  const number = nextNumber++;
  const service = await tcpService(t, stage.home.device, device, number, ['read=5', 'send=7', 'drain']);
  const forward = who.start(t, 'forward', mediatorName, `0:${device}:${number}`);
  const [localPort = 0] = await untilForwards(forward, 1);
  const words = ['connect', '127.0.0.1', localPort, 'send=5', 'read=7', 'drain'];
  const client = tcpPeer(t, stage.home.terminal, words);
  await untilSaid(client, { did: 'read', bytes: 7 });
  return { forward, localPort, client, device: service };
}

/** Within 5 s both ends see a RST, and the forward ends with that exit code. */
async function endsWithin5s(t: ExecutionContext, running: Running, code: number, reasons: RegExp) {
  const start = Date.now();
  const left = () => Math.max(1, 5_000 - (Date.now() - start));
  await untilSaid(running.client, { saw: 'ECONNRESET', bytes: 7 }, left());
  await untilSaid(running.device, { saw: 'ECONNRESET', bytes: 5 }, left());
  await until(() => running.forward.exit !== undefined, { what: 'the forward to end', deadlineMs: left() });
  t.is(running.forward.exit?.code, code, running.forward.stderr);
  t.regex(failureOf(running.forward.stderr)?.code ?? '', reasons);
}

claim(
  'a revoked grant ends within 5 s what it allowed: exit code 3, and nothing new begins (P6.2)',
  async (t, stage) => {
    const who = await hire(stage, 'revoked-grant');
    const running = await runningForward(t, stage, who);
    await stage.site.operator('grant', 'revoke', who.grantId);
    await endsWithin5s(t, running, 3, /^grant-revoked$/);
    const again = await who.run('forward', mediatorName, `0:${device}:80`);
    t.is(again.code, 3, again.stderr);
    t.regex(failureOf(again.stderr)?.code ?? '', /^grant-(revoked|missing)$/);
  },
);

claim(
  'a revoked key ends within 5 s what its member runs, and shuts it out: exit code 6 (P6.2)',
  async (t, stage) => {
    const who = await hire(stage, 'revoked-key');
    const running = await runningForward(t, stage, who);
    await stage.site.authority('revoke-key', who.name);
    await endsWithin5s(t, running, 6, /^key-revoked$/);
    const again = await who.run('mediators');
    t.is(again.code, 6, again.stderr);
    t.is(failureOf(again.stderr)?.code, 'key-revoked');
  },
);

claim('a grant that expires ends what it allowed: exit code 3 (P6.3)', async (t, stage) => {
  const who = await hire(stage, 'expired', '--for', '8s');
  const running = await runningForward(t, stage, who);
  await until(() => running.client.exit !== undefined, { what: 'the grant to expire', deadlineMs: 10_000 });
  await endsWithin5s(t, running, 3, /^grant-expired$/);
  const again = await who.run('connect', mediatorName, `${device}:80`);
  t.is(again.code, 3, again.stderr);
  t.is(failureOf(again.stderr)?.code, 'grant-expired');
});

const refusals: readonly (readonly [what: string, target: string, names: RegExp])[] = [
  ['an address outside the LAN', `${homeAddresses.server}:8443`, /grant.*targets\.networks/],
  ['a number that the grant does not name', `${device}:22`, /grant.*targets\.tcp/],
  ["the gateway's own address", `${gatewayLan}:80`, /targets\.networks.*gateway/],
  ['loopback of the gateway', '127.0.0.1:80', /targets\.networks.*loopback/],
  ['an address that the owner denies', '192.168.1.66:80', /owner\.deny/],
  ['a number that the owner does not name', `${device}:10080`, /owner\.targets\.tcp/],
];

claim('every refusal names the field or option that would allow it, exit code 3 (P6.8)', async (t, stage) => {
  const who = await hire(stage, 'limited', '--tcp', '80,8443,10080');
  for (const [what, target, names] of refusals) {
    const { code, stderr } = await who.run('connect', mediatorName, target);
    t.is(code, 3, `${what}: ${stderr}`);
    t.regex(failureOf(stderr)?.message ?? stderr, names, what);
  }
  t.is((await who.run('connect', mediatorName, `${device}:80`)).code, 0, 'what is granted is allowed');
});

claim('a mediator that no grant names is refused with what is needed, exit code 3', async (t, stage) => {
  const { code, stderr } = await stage.site.terminal('forward', 'home-2', `0:${device}:80`, '--json');
  t.is(code, 3, stderr);
  const failure = failureOf(stderr);
  t.is(failure?.code, 'grant-missing');
  t.regex(failure?.message ?? '', /home-2/);
});

claim('a verb that the grant leaves out is refused by name', async (t, stage) => {
  const who = await hire(stage, 'no-listen', '--allow', 'open,connect,close,query');
  const { code, stderr } = await who.run('expose', mediatorName, '8000', '127.0.0.1:80');
  t.is(code, 3, stderr);
  t.regex(failureOf(stderr)?.message ?? '', /commands.*listen/);
});

claim(
  "the owner's word counts as soon as it is read: what he no longer allows ends (P6.8)",
  async (t, stage) => {
    const who = await hire(stage, 'unwanted');
    const running = await runningForward(t, stage, who);
    const { directory, mediator } = stage.site;
    const config = join(directory, 'mediator.toml');
    writeFileSync(config, readFileSync(config, 'utf8').replace('192.168.1.66', device));
    mediator.kill('SIGHUP');
    await untilSaid(running.client, { saw: 'ECONNRESET', bytes: 7 }, 5_000);
    await untilSaid(running.device, { saw: 'ECONNRESET', bytes: 5 }, 5_000);
    const again = await who.run('connect', mediatorName, `${device}:80`);
    t.is(again.code, 3, again.stderr);
    t.regex(failureOf(again.stderr)?.message ?? '', /owner\.deny/);
  },
);

/** A second machine with all that the mediator has, its key too; at the place of the terminal. */
function startClone(t: ExecutionContext, { home, site, folder }: Stage): Program {
  const [own, clone] = [join(site.directory, 'mediator'), join(folder, 'clone')];
  // Its socket for status is no file.
  const filter = (path: string) => !lstatSync(path).isSocket();
  cpSync(own, clone, { recursive: true, filter });
  const config = join(folder, 'clone.toml');
  const text = readFileSync(join(site.directory, 'mediator.toml'), 'utf8');
  writeFileSync(config, text.replaceAll(own, clone));
  const program = home.terminal.spawn([process.execPath, mediatorBundle, 'run', '--config', config]);
  t.teardown(() => program.stop('SIGKILL'));
  return program;
}

claim(
  'a key that two mediators have: both are told, and sent away for a minute; the server’s audit says so (P4.1)',
  async (t, stage) => {
    const { server, mediator } = stage.site;
    const [log, own] = [server.stderr.length, mediator.stderr.length];
    const clone = startClone(t, stage);
    const told = () =>
      [mediator.stderr.slice(own), clone.stderr].map(
        text => /"code":"duplicate-identity".*"retryInMs":(\d+)/.exec(text)?.[1],
      );
    await until(() => told().every(each => each !== undefined), {
      what: 'both to be told',
      deadlineMs: 60_000,
      explain: () => `${mediator.stderr.slice(own)}\n${clone.stderr}\n${server.stderr.slice(log)}`,
    });
    for (const retryInMs of told()) t.true(Number(retryInMs) > 40_000, `${retryInMs} ms`);
    const since = server.stderr.slice(log);
    t.regex(since, /duplicate-identity: two machines have the key of one mediator/);
    const audit = readFileSync(join(stage.site.directory, 'server', 'audit.jsonl'), 'utf8');
    t.regex(audit, /"duplicate-identity"/);
    const comes = since.split('\n').filter(line => /"role":"mediator".*"member online"/.test(line)).length;
    t.true(comes <= 5, `they came ${comes} times`);
  },
);
