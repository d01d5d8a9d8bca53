import { readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from 'netns-test-helpers';
import { startEcho } from '../demo/device.ts';
import { cliCommand, mediatorName, servicePort } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { programPath, tcpService, untilSaid } from './support/peers.ts';
import { type Stage, setStage } from './support/stage.ts';
import { failureOf, type Json, jsonLines, startExpose, startForward } from './support/verbs.ts';

/** An audit line before each act, at the server and at the mediator; without the line no act (P6.9). */

const { device, gatewayLan } = homeAddresses;

const claim = setStage({
  name: 'scaudit',
  peers: home => startEcho(home.device),
  site: folder => {
    symlinkSync(join(folder, 'audit.jsonl'), join(folder, 'audit'));
    return { mediatorConfig: `auditFile = "${join(folder, 'audit')}"` };
  },
});

function mediatorLines({ folder }: Stage): Json[] {
  return jsonLines(readFileSync(join(folder, 'audit.jsonl'), 'utf8'));
}

function serverLines({ site }: Stage): Json[] {
  return jsonLines(readFileSync(join(site.directory, 'server', 'audit.jsonl'), 'utf8'));
}

/** Where the mediator's audit goes from now on. */
function pointAudit({ folder, site }: Stage, target: string): void {
  rmSync(join(folder, 'audit'));
  symlinkSync(target, join(folder, 'audit'));
  site.mediator.kill('SIGHUP');
}

/** Lines that say all of this. */
function saying(lines: readonly Json[], wanted: Json): Json[] {
  return lines.filter(line => Object.entries(wanted).every(([key, value]) => line[key] === value));
}

claim(
  'when the device sees a connection, the lines of who, what and by which grant are there',
  async (t, stage) => {
    const { site, home } = stage;
    let atAccept: { readonly mediator: readonly Json[]; readonly server: readonly Json[] } | undefined;
    const service = home.device.spawn(
      ['python3', programPath('tcp-peer.py'), 'listen', device, '4000', 'drain', 'fin'],
      {
        onLine: line => {
          if (line.includes('accept'))
            atAccept = { mediator: mediatorLines(stage), server: serverLines(stage) };
        },
      },
    );
    t.teardown(() => service.stop('SIGKILL'));
    await service.untilOutput(/"listen"/);
    t.is((await site.terminal('connect', mediatorName, `${device}:4000`)).code, 0);
    await untilSaid(service, { saw: 'fin' });
    const who = { terminal: site.terminalKey, grant: site.grantId };
    for (const verb of ['attach', 'open', 'connect'])
      t.is(saying(atAccept?.mediator ?? [], { ...who, verb, decision: 'allowed' }).length, 1, verb);
    const byServer = saying(atAccept?.server ?? [], { ...who, allowed: true });
    const verbs = byServer.map(({ action, command }) => (command as Json | undefined)?.verb ?? action);
    t.deepEqual(verbs, ['attach', 'open', 'connect']);
    const [connect] = saying(atAccept?.mediator ?? [], { verb: 'connect' });
    t.like(connect, { address: device, number: 4000 });
    t.regex(String(connect?.time), /^\d{4}-\d\d-\d\dT/);
  },
);

claim(
  "the mediator keeps the head of the server's audit, by which cut-off lines are seen",
  async (t, stage) => {
    const { site, home, folder } = stage;
    site.server.kill('SIGHUP');
    const head = await until(
      () => {
        const last = mediatorLines(stage).findLast(line => line.serverAuditHead !== undefined);
        return (last?.serverAuditHead as Json | undefined)?.hash;
      },
      { what: 'a head in the audit of the mediator', deadlineMs: 5_000 },
    );
    await until(() => site.mediator.stderr.includes(String(head)), { what: 'the mediator to log that head' });
    const whole = join(site.directory, 'server', 'audit.jsonl');
    const verify = (file: string) =>
      home.server.exec(cliCommand('audit', 'verify', file, '--head', String(head)));
    t.is((await verify(whole)).code, 0);
    const cut = join(folder, 'cut.jsonl');
    const upTo = readFileSync(whole, 'utf8').split(String(head))[0] ?? '';
    writeFileSync(cut, upTo.slice(0, upTo.lastIndexOf('\n') + 1));
    const refused = await verify(cut);
    t.not(refused.code, 0);
    t.regex(refused.stderr, /is not there: lines were cut off/);
  },
);

claim('listening and a new destination of datagrams leave lines, too', async (t, stage) => {
  const program = await startExpose(t, stage, '8000', '127.0.0.1:80');
  await program.stop('SIGINT', 2_000);
  const { ports } = await startForward(t, stage, `${device}:7/udp`);
  const ask = ['python3', programPath('udp-ask.py'), '127.0.0.1', String(ports[0]), '10', '20', '30'];
  t.is((await stage.home.terminal.exec(ask)).code, 0);
  const lines = mediatorLines(stage);
  t.is(saying(lines, { verb: 'open', address: gatewayLan, number: 8000, decision: 'allowed' }).length, 1);
  t.is(saying(lines, { verb: 'listen', decision: 'allowed' }).length, 1);
  const datagrams = saying(lines, { verb: 'datagram', address: device, number: 7 });
  t.is(datagrams.length, 1, 'one line a destination, not one a datagram');
});

claim('a refusal leaves a line that names the field', async (t, stage) => {
  const { code } = await stage.site.terminal('connect', mediatorName, `${gatewayLan}:80`);
  t.is(code, 3);
  const [denied] = saying(mediatorLines(stage), { verb: 'connect', decision: 'denied' });
  t.like(denied, { address: gatewayLan, number: 80 });
  t.regex(String(denied?.field), /targets\.networks/);
});

claim(
  "when the mediator's line cannot be written, nothing is done and audit-unavailable is told",
  async (t, stage) => {
    const { site, home } = stage;
    const service = await tcpService(t, home.device, device, 4001, ['drain', 'fin']);
    pointAudit(stage, '/dev/full');
    const refused = await site.terminal('connect', mediatorName, `${device}:4001`, '--json');
    t.is(failureOf(refused.stderr)?.code, 'audit-unavailable', refused.stderr);
    t.is(refused.code, 1);
    pointAudit(stage, join(stage.folder, 'audit.jsonl'));
    t.notRegex(service.stdout, /accept/, 'the device was not reached');
    t.is((await site.terminal('connect', mediatorName, `${device}:4001`)).code, 0);
    t.regex(service.stdout, /accept/);
  },
);

claim(
  "when the server's line cannot be written, nothing is done and audit-unavailable is told",
  async (t, stage) => {
    const { site, home } = stage;
    const service = await tcpService(t, home.device, device, 4002, ['drain', 'fin']);
    await site.server.stop();
    const config = join(site.directory, 'server', 'server.toml');
    writeFileSync(config, `auditFile = "/dev/full"\n${readFileSync(config, 'utf8')}`, { mode: 0o600 });
    const server = site.startServer();
    await home.server.untilListening('tcp', servicePort);
    const refused = await site.terminal('connect', mediatorName, `${device}:4002`, '--json');
    t.regex(refused.stderr, /audit-unavailable/);
    t.not(refused.code, 0);
    t.notRegex(service.stdout, /accept/, 'the device was not reached');
    await server.stop();
  },
);

claim(
  'the audit of the server is a chain: verify says so, and finds a line that was changed or cut off',
  async (t, stage) => {
    const { site, folder } = stage;
    const file = join(site.directory, 'server', 'audit.jsonl');
    const verify = (...words: string[]) => site.terminal('audit', 'verify', ...words, '--json');
    const whole = await verify(file);
    t.is(whole.code, 0, whole.stderr);
    const [verdict] = jsonLines(whole.stdout);
    const { hash = '' } = (verdict?.head ?? {}) as { hash?: string };
    const copy = join(folder, 'copy.jsonl');
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    writeFileSync(copy, `${lines.slice(0, -1).join('\n')}\n`);
    t.is((await verify(copy)).code, 0);
    t.is(failureOf((await verify(copy, '--head', hash)).stderr)?.code, 'document-invalid');
    writeFileSync(copy, `${lines.join('\n').replace('"allowed":true', '"allowed":false')}\n`);
    t.is(failureOf((await verify(copy)).stderr)?.code, 'document-invalid');
    const found = await site.terminal('audit', 'search', file, '--action', 'connect', '--text', device);
    t.true(jsonLines(found.stdout).length > 0);
    t.true(jsonLines(found.stdout).every(line => JSON.stringify(line).includes(device)));
  },
);
