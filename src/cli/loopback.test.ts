import { readdirSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type CliHome, makeCliHome } from './testing/cli-home.ts';
import type { RunningCli } from './testing/cli-lab.ts';
import { askPort, echo, freeNumber } from './testing/local-ports.ts';

/** The CLI from end to end, every program a process of its own, on loopback: grant and owner name it. */

/** The number that a running forward or expose listens on. */
function listening(running: RunningCli): Promise<number> {
  return running.line(line => (line.startsWith('{"') ? portIn(line) : undefined));
}

function portIn(line: string): number | undefined {
  return (JSON.parse(line) as { listen?: { port: number } }).listen?.port;
}

/** Everything that lies in files below a directory. */
function allText(directory: string): string {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map(name => join(directory, name))
    .filter(path => statSync(path).isFile())
    .map(path => readFileSync(path, 'latin1'))
    .join('\n');
}

async function checkRelays(t: ExecutionContext, { lab }: CliHome): Promise<RunningCli> {
  const device = await echo(t);
  const forward = lab.start(['forward', 'gw-1', `0:127.0.0.1:${device}`, '--json']);
  t.is(await askPort(await listening(forward), 'through the gateway'), 'through the gateway');
  const exposedAt = await freeNumber();
  const expose = lab.start(['expose', 'gw-1', `127.0.0.1:${exposedAt}`, `127.0.0.1:${device}`, '--json']);
  t.is(await listening(expose), exposedAt);
  t.is(await askPort(exposedAt, 'to the terminal'), 'to the terminal');
  const piped = await lab.run(['connect', 'gw-1', `127.0.0.1:${device}`], { input: 'on stdin and stdout' });
  t.deepEqual([piped.code, piped.stdout, piped.stderr], [0, 'on stdin and stdout', '']);
  t.is(await expose.end('SIGINT'), 0);
  return forward;
}

async function checkLists(t: ExecutionContext, { lab, grantId }: CliHome): Promise<void> {
  const state = ['--state', lab.server];
  const [mediators, members, doctor, grants, grant, authority, ports] = await Promise.all([
    lab.json<Record<string, unknown>[]>(['mediators']),
    lab.json<Record<string, unknown>[]>(['server', 'members', ...state]),
    lab.json<{ check: string; good: boolean }[]>(['doctor']),
    lab.json<Record<string, unknown>[]>(['grant', 'list']),
    lab.json(['grant', 'show', grantId]),
    lab.json(['authority', 'show']),
    lab.json<unknown[]>(['ports', 'gw-1']),
  ]);
  t.like(mediators[0], { name: 'gw-1', online: true, verified: true });
  t.deepEqual(
    members.map(({ name, role }) => `${role} ${name}`),
    ['terminal anna', 'mediator gw-1'],
  );
  t.deepEqual([...new Set(doctor.map(({ good }) => good))], [true]);
  t.like(grants[0], { id: grantId, status: 'valid' });
  t.like(grant, { id: grantId, purpose: 'assistance' });
  t.like(authority, { operator: 'Example Telecom' });
  t.true(Array.isArray(ports));
}

async function checkFailures(t: ExecutionContext, { lab, address }: CliHome): Promise<void> {
  const closed = await freeNumber();
  const rows: readonly (readonly [readonly string[], number, string])[] = [
    [['connect', 'gw-1', `127.0.0.1:${closed}`], 5, 'refused'],
    [['connect', 'gw-1', '10.99.0.1:80'], 3, 'not-permitted'],
    [['connect', 'gw-1', 'nonsense'], 2, 'bad-usage'],
    [['connect', 'elsewhere', '127.0.0.1:80'], 3, 'grant-missing'],
    [['forward', 'gw-1', '80'], 2, 'bad-usage'],
    [['--profile', 'nobody', 'mediators'], 6, 'not-enrolled'],
    [['--profile', '../x', 'mediators'], 2, 'bad-usage'],
    [['enroll', '--server', address], 2, 'bad-usage'],
    [['--profile', 'new', 'enroll', '--server', address], 6, 'code-invalid'],
    [['grant', 'show', 'no-such-grant'], 2, 'bad-usage'],
    [['server', 'import', '/nowhere/x.jwt', '--state', lab.server], 1, 'state-unreadable'],
    [['server', 'run', '--state', lab.server], 1, 'environment-unfit'],
    [['no-such-verb'], 2, 'bad-usage'],
  ];
  const results = await Promise.all(
    rows.map(([words]) => lab.run([...words, '--json'], { input: 'XXXXXX\n' })),
  );
  for (const [index, [words, code, expected]] of rows.entries()) {
    const result = results[index];
    const title = words.join(' ');
    t.is(result?.code, code, `${title}: ${result?.stderr}`);
    t.is(result?.error.code, expected, title);
    t.is(result?.stdout, '', title);
  }
}

/** The mediator had gone and come back, and the forward attached anew. */
function attachedTwice(running: RunningCli): Promise<true> {
  const times = () => running.errors.filter(line => line.includes('"state":"attached"')).length;
  return running.line(() => (times() >= 2 ? true : undefined));
}

test('from an empty directory to a forwarded port, and back to nothing: every verb, its JSON and its exit codes', async t => {
  t.timeout(120_000);
  const home = await makeCliHome(t);
  const { lab, server, mediator, grantId, codes } = home;
  const [forward] = await Promise.all([checkRelays(t, home), checkLists(t, home)]);
  await checkFailures(t, home);

  // Secrets: no code is in the command line of what runs, in a log, or in a file of anybody.
  const commandLines = [server, mediator, forward].map(({ child }) =>
    readFileSync(`/proc/${child.pid}/cmdline`, 'utf8'),
  );
  const said = [server, mediator, forward].flatMap(({ lines, errors }) => [...lines, ...errors]);
  const everything = [...commandLines, ...said, allText(lab.directory)].join('\n');
  for (const code of codes)
    t.false(everything.includes(code) || everything.includes(code.replaceAll('-', '')));

  // Events, as long as somebody looks; then the mediator goes and comes back.
  const events = lab.start(['events', 'gw-1', '--json']);
  await events.line(line => (line.includes('following gw-1') ? true : undefined));
  t.is(await mediator.end('SIGTERM'), 0);
  const waiting = lab.start(['mediators', '--wait', 'gw-1', '--json']);
  await waiting.line(line => (/waiting: gw-1 offline since \d{4}-/.test(line) ? true : undefined));
  home.startMediator();
  t.is(await waiting.end(), 0);
  t.is(await events.end('SIGINT'), await events.end());

  // Revoked: what it allowed ends, with the exit code of what is not permitted.
  await attachedTwice(forward);
  const revoked = await lab.json(['grant', 'revoke', grantId, '--server-state', lab.server]);
  t.like(revoked, { revoked: grantId, delivered: 'accepted' });
  t.is(await forward.end(), 3);

  // The server ends although a peer does not close; what needs it then is offline.
  const idle = connect({ host: '127.0.0.1', port: Number(home.address.split(':')[1]) });
  idle.on('error', () => {});
  t.is(await server.end('SIGTERM'), 0);
  idle.destroy();
  const offline = await lab.run(['authority', 'trust', '--json']);
  t.deepEqual([offline.code, offline.error.code], [4, 'server-unreachable']);
  const queued = await lab.json(['authority', 'trust', '--server-state', lab.server]);
  t.is(queued.delivered, 'queued');
});
