import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../base/clock.ts';
import { generateSigningKey } from '../base/keys.ts';
import { silentLog } from '../base/log.ts';
import { until } from '../native/test-sockets.ts';
import type { AcceptedGrant } from '../policy/grant.ts';
import { frameBody } from '../wire/frame.ts';
import { statement } from '../wire/messages/link.ts';
import { type Report, report } from '../wire/messages/report.ts';
import { frameType } from '../wire/spec.ts';
import { readMediatorConfig } from './config-file.ts';
import { Consent } from './control/consent.ts';
import { type RunningMediator, startMediator } from './main.ts';
import { readToEnd } from './testing/devices.ts';
import { makeOperator, type Operator } from './testing/operator.ts';
import type { ServerDouble } from './testing/server-double.ts';
import { playing } from './testing/set-up.ts';
import { TestTerminal } from './testing/test-terminal.ts';

const ownerText = `
[owner]
targets = { networks = ["loopback"], tcp = ["1-65535"] }
ports = { addresses = ["loopback"], tcp = ["1024-65535"] }
`;

function configFile(operator: Operator, text = ownerText): string {
  const path = join(operator.stateDir, 'mediator.toml');
  writeFileSync(path, `stateDir = ${JSON.stringify(operator.stateDir)}\n${text}`);
  return path;
}

async function started(
  t: ExecutionContext,
): Promise<{ operator: Operator; mediator: RunningMediator; server: ServerDouble; path: string }> {
  const operator = await makeOperator(t);
  const path = configFile(operator);
  const mediator = await startMediator(readMediatorConfig(path), { software: 'test/1', log: silentLog() });
  t.teardown(() => mediator.stop());
  return { operator, mediator, server: await operator.online(), path };
}

/** REPORTs that have come. Those of test machines fit one frame. */
function reportsOf(server: ServerDouble): Report[] {
  const frames = server.linkFrames.filter(({ type }) => type === frameType.report);
  return frames.map(frame => report.fromBytes(frameBody(frame)));
}

async function terminalOf(operator: Operator, server: ServerDouble, jti = 'grant-one') {
  const key = generateSigningKey();
  const text = await operator.grant(key, {
    jti,
    purpose: 'assistance',
    commands: ['open', 'connect', 'listen', 'close', 'query'],
    targets: { networks: ['loopback'], tcp: ['1-65535'] },
    ports: { addresses: ['loopback'], tcp: ['1024-65535'] },
  });
  const { mediatorKey } = operator;
  const grant = { text } as AcceptedGrant;
  return TestTerminal.attach({ server, mediatorKey, grant: () => grant }, { key, grant });
}

test('over real TLS: REPORT after WELCOME, a signed grant, bytes through a port, audit lines in the file', async t => {
  const { operator, server } = await started(t);
  await until('the REPORT has come', () => reportsOf(server).length === 1);
  t.like(reportsOf(server)[0], { software: 'test/1', services: [] });
  const terminal = await terminalOf(operator, server);
  const echo = await playing(t, socket => socket.pipe(socket));
  const { stream } = await terminal.connected(echo.number);
  await stream.sendAll(Buffer.alloc(500_000, 'x'));
  await stream.got(500_000);
  stream.stream.finish();
  await stream.heard('finished');
  const lines = readFileSync(join(operator.stateDir, 'audit.jsonl'), 'utf8').trimEnd().split('\n');
  t.deepEqual(
    lines.map(line => (JSON.parse(line) as { verb: string }).verb),
    ['attach', 'open', 'connect'],
  );
});

test('P6.2: a trust statement that revokes a grant ends what it allowed within 5 s', async t => {
  const { operator, server } = await started(t);
  const terminal = await terminalOf(operator, server);
  const played = await playing(t);
  await terminal.connected(played.number);
  const end = readToEnd(await played.next());
  const inAnHour = Math.floor(Date.now() / 1000) + 3600;
  const revoking = await operator.trust(2, { revokedGrants: [{ jti: 'grant-one', exp: inAnHour }] });
  const startMs = performance.now();
  server.driver.send(frameType.statement, statement.toBytes({ documents: [revoking] }));
  t.is(await terminal.gone.promise, 'grant-revoked');
  t.is((await end).end, 'ECONNRESET');
  t.true(performance.now() - startMs < 5000);
  await t.throwsAsync(terminalOf(operator, server), { code: 'grant-revoked' });
});

test('a new owner policy is in force at once; anything else wants a new start', async t => {
  const { operator, server, mediator } = await started(t);
  const terminal = await terminalOf(operator, server);
  t.is((await terminal.open()).code, 'ok');
  const silent = '[owner]\nhide = ["hostname", "interfaces", "routes"]\n';
  t.false(mediator.adopt(readMediatorConfig(configFile(operator, `logLevel = "warn"\n${silent}`))));
  t.is((await terminal.open()).code, 'ok');
  t.true(mediator.adopt(readMediatorConfig(configFile(operator, silent))));
  t.is((await terminal.open()).code, 'not-permitted');
  await until('a REPORT says less', () => reportsOf(server).at(-1)?.hostname === '');
});

test('P6.2: the owner opens the window, sees who is there and what they reached, and ends it at once', async t => {
  const operator = await makeOperator(t);
  const path = configFile(operator, `${ownerText}consent = "window"\n`);
  const consent = new Consent(operator.stateDir, systemClock);
  const options = { software: 'test/1', log: silentLog(), consent };
  const mediator = await startMediator(readMediatorConfig(path), options);
  t.teardown(() => mediator.stop());
  const server = await operator.online();
  await t.throwsAsync(terminalOf(operator, server), { code: 'consent-required' });
  consent.allow(30);
  const terminal = await terminalOf(operator, server);
  const played = await playing(t);
  await terminal.connected(played.number);
  const end = readToEnd(await played.next());
  const { name, link, attached } = mediator.status();
  t.is(name, 'gateway');
  t.true(link.online);
  t.like(attached[0], {
    grant: 'grant-one',
    purpose: 'assistance',
    away: false,
    ports: [{ protocol: 'tcp' }],
    targets: [`tcp 127.0.0.1:${played.number}`],
  });
  t.true(Math.abs(Date.now() - Date.parse(attached[0]?.since ?? '')) < 60_000);
  consent.stop();
  t.is(await terminal.gone.promise, 'consent-required');
  t.is((await end).end, 'ECONNRESET');
  t.deepEqual(mediator.status().attached, []);
  await t.throwsAsync(terminalOf(operator, server, 'grant-two'), { code: 'consent-required' });
});

test('stop: everybody is detached, the link ends with GOAWAY, and nothing of it is left', async t => {
  const { operator, server, mediator } = await started(t);
  const terminal = await terminalOf(operator, server);
  const played = await playing(t);
  await terminal.connected(played.number);
  const end = readToEnd(await played.next());
  await mediator.stop();
  t.is(await terminal.gone.promise, 'shutting-down');
  t.is((await end).end, 'ECONNRESET');
  await until('the server knows', () => !server.driver.live);
  t.is(mediator.agent.attachedCount, 0);
});

test('a lost link comes back by itself, with its REPORT', async t => {
  const { operator, server } = await started(t);
  server.driver.close('shutting-down');
  const again = await operator.online();
  await until('the REPORT has come', () => reportsOf(again).length === 1);
  t.not(again, server);
});
