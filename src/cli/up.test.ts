import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { makeCliHome } from './testing/cli-home.ts';
import { CliLab, type RunningCli } from './testing/cli-lab.ts';
import { askPort, echo, freeNumber } from './testing/local-ports.ts';

/** A line that `up --json` writes. */
interface Told {
  readonly forward?: string;
  readonly expose?: string;
  readonly mediator: string;
  readonly state: string;
  readonly at?: { readonly host: string; readonly port: number };
  readonly text: string;
}

/** Waits for `matches` among the lines of an entry from the `after`-th line on; gives it and how many lines there are. */
function told(
  running: RunningCli,
  matches: (told: Told) => boolean,
  after = 0,
): Promise<{ readonly line: Told; readonly seen: number }> {
  return running.line(() => {
    const line = running.lines
      .slice(after)
      .map(each => JSON.parse(each) as Told)
      .find(matches);
    return line && { line, seen: running.lines.length };
  });
}

function listenHere(t: ExecutionContext): Promise<{ readonly port: number; readonly server: Server }> {
  const server = createServer();
  t.teardown(() => server.close());
  return new Promise(resolve =>
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve({ port: typeof address === 'object' && address !== null ? address.port : 0, server });
    }),
  );
}

test('up keeps a file of forwards and exposes through whatever happens, one state each', async t => {
  t.timeout(150_000);
  const { lab, mediator, grantId, startMediator } = await makeCliHome(t);
  const [device, exposedAt, taken] = await Promise.all([echo(t), freeNumber(), listenHere(t)]);
  const file = join(lab.directory, 'office.toml');
  const good = `0:127.0.0.1:${device}`;
  const hindered = `${taken.port}:127.0.0.1:${device}`;
  writeFileSync(
    file,
    `[[mediator]]
name = "gw-1"
forward = ["${good}", "${hindered}"${', "0:127.0.0.1:1"'.repeat(12)}]
expose = [{ port = "127.0.0.1:${exposedAt}", target = "127.0.0.1:${device}" }]
[[mediator]]
name = "nobody"
forward = ["0:127.0.0.1:1"]
`,
  );
  const up = lab.start(['up', file, '--json']);

  const { line: first } = await told(up, ({ forward, state }) => forward === good && state === 'up');
  const port = first.at?.port ?? 0;
  t.is(await askPort(port, 'forwarded'), 'forwarded');
  const { line: exposed } = await told(up, ({ expose, state }) => expose !== undefined && state === 'up');
  t.deepEqual(exposed.at, { host: '127.0.0.1', port: exposedAt });
  t.is(await askPort(exposedAt, 'exposed'), 'exposed');
  const { line: failing } = await told(up, ({ state }) => state === 'failing');
  t.is(failing.forward, hindered);
  t.regex(failing.text, /^failing: Cannot listen on 127\.0\.0\.1:\d+ of this computer: that number is taken/);
  const { line: unknown } = await told(up, each => each.mediator === 'nobody' && each.state === 'waiting');
  t.regex(unknown.text, /^trying again in 30 s: /);

  // Its number is free again: tried again by itself.
  taken.server.close();
  await told(up, ({ forward, state }) => forward === hindered && state === 'up');

  // The mediator goes and comes back: the same local port serves again.
  let { length: seen } = up.lines;
  t.is(await mediator.end('SIGTERM'), 0);
  ({ seen } = await told(up, ({ forward, state }) => forward === good && state === 'waiting', seen));
  startMediator();
  ({ seen } = await told(up, ({ forward, state }) => forward === good && state === 'up', seen));
  t.is(await askPort(port, 'again'), 'again');

  // What ends every other verb is waited out as well.
  await lab.json(['grant', 'revoke', grantId, '--server-state', lab.server]);
  await told(up, each => each.forward === good && /revoked|no grant/i.test(each.text), seen);
  t.false(up.ended);
  t.deepEqual(up.errors, [], 'nothing else to say, and no warning of Node');
  t.is(await up.end('SIGINT'), 0);
});

test('up says at once what is wrong with its file, and what a unit for it looks like', async t => {
  const lab = new CliLab(t);
  const file = join(lab.directory, 'office.toml');
  writeFileSync(file, '[[mediator]]\nname = "gw-1"\nforward = ["80"]\n');
  const wrong = await lab.run(['up', file, '--json']);
  t.deepEqual([wrong.code, wrong.error.code], [2, 'bad-config']);
  const missing = await lab.run(['up', `${file}.none`, '--json']);
  t.deepEqual([missing.code, missing.error.code], [1, 'state-unreadable']);
  writeFileSync(file, '[[mediator]]\nname = "gw-1"\nforward = ["8080:10.0.0.1:80"]\n');
  t.deepEqual(await lab.json(['up', file, '--check']), { file, entries: 1 });
  const unit = await lab.run(['--profile', 'work', 'up', file, '--systemd']);
  t.regex(unit.stdout, /^ExecStart=\/\S+ \/\S+main\.js --profile work up \/\S+office\.toml$/m);
});
