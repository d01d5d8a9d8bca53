import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { type Program, until } from 'netns-test-helpers';
import { cliCommand, servicePort } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { flawsOfLoad, type Load, startLoad } from './support/load.ts';
import { type Stage, setStage } from './support/stage.ts';
import { jsonLines } from './support/verbs.ts';

/**
 * A server that is stopped in an orderly way tells its members when and where to come back (P1.10). One load for all of this
 * file, of which no stream ends before the last claim.
 */

interface Running {
  readonly now: { server: Program; load: Load };
}

const otherNumber = servicePort + 1;
const otherAddress = `${homeAddresses.server}:${otherNumber}`;

const claim = setStage<Running>({
  name: 'scdrain',
  share: async stage => {
    const { server } = stage.site;
    return { now: { server, load: await startLoad({ teardown() {} }, stage, { commands: 2 }) } };
  },
});

type Told = Readonly<{ code?: string; retryInMs?: number }>;

/** What a program's log says of each end of its link. */
function farewells(program: Program): Told[] {
  return jsonLines(program.stderr).filter(({ msg }) => msg === 'offline') as Told[];
}

/** Streams and commands go on, on the attachments that they had. */
async function untilAllGoOn(t: ExecutionContext, { load }: Running['now']): Promise<void> {
  const before = (await load.commandTotals())?.answered ?? 0;
  await load.untilMoving(60_000);
  await until(async () => ((await load.commandTotals())?.answered ?? 0) > before, {
    what: 'a command to be answered',
    deadlineMs: 60_000,
  });
  t.like(await load.commandTotals(), { attachments: 1, failed: {} });
}

claim('a server that is stopped says when to come back, and no stream ends (P1.10)', async (t, stage) => {
  const { now, site, home } = stage;
  const before = farewells(site.mediator).length;
  await now.server.stop('SIGTERM');
  now.server = site.startServer();
  await home.server.untilListening('tcp', servicePort);
  await untilAllGoOn(t, now);
  const told = farewells(site.mediator)[before];
  t.is(told?.code, 'shutting-down');
  t.true((told?.retryInMs ?? 0) >= 500 && (told?.retryInMs ?? 0) < 1_500, JSON.stringify(told));
});

/** A second server with the same key and state, which listens beside the first. */
async function startOther({ site, home, folder }: Stage): Promise<Program> {
  const state = join(folder, 'other-server');
  cpSync(join(site.directory, 'server'), state, { recursive: true });
  const path = join(state, 'server.toml');
  writeFileSync(path, readFileSync(path, 'utf8').replace(/^listen = .*$/m, `listen = "${otherAddress}"`));
  const other = home.server.spawn(cliCommand('server', 'run', '--state', state));
  await home.server.untilListening('tcp', otherNumber);
  return other;
}

claim(
  'a server that is stopped for another sends all members there at once, and no stream ends (P1.10)',
  async (t, stage) => {
    const { now, site, home } = stage;
    await now.server.stop('SIGTERM');
    const other = await startOther(stage);
    const path = join(site.directory, 'server', 'server.toml');
    writeFileSync(path, `successor = "${otherAddress}"\n${readFileSync(path, 'utf8')}`);
    now.server = site.startServer();
    await home.server.untilListening('tcp', servicePort);
    await untilAllGoOn(t, now);
    const before = farewells(site.mediator).length;
    await now.server.stop('SIGTERM');
    await untilAllGoOn(t, now);
    t.like(farewells(site.mediator).slice(before), [{ code: 'shutting-down' }]);
    t.regex(other.stderr, /"role":"mediator".*"msg":"member online"/);
    now.server = other;
  },
);

claim('from there they come back when that one is stopped in its turn (P1.10)', async (t, stage) => {
  const { now, site, home } = stage;
  await now.server.stop('SIGTERM');
  now.server = site.startServer();
  await home.server.untilListening('tcp', servicePort);
  await untilAllGoOn(t, now);
  t.regex(now.server.stderr, /"role":"mediator".*"msg":"member online"/);
});

claim(
  'after all this every byte has come once and in order, and every command has run once',
  async (t, { now }) => {
    t.deepEqual(flawsOfLoad(await now.load.stop()), []);
  },
);
