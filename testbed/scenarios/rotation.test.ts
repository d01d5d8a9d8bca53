import { cpSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { type CommandResult, type Program, until } from 'netns-test-helpers';
import { startWebServer } from '../demo/device.ts';
import { cliCommand, mediatorName, serverAddress, servicePort } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { flawsOfLoad, type Load, startLoad } from './support/load.ts';
import { type Stage, setStage } from './support/stage.ts';
import { hire, type Technician } from './support/technicians.ts';
import { failureOf, jsonLines } from './support/verbs.ts';

/**
 * The server's key and the authority's are changed while streams run and without a hand on any gateway (P6.2). One load for
 * all of this file, and a second mediator that is away while both change.
 */

interface Running {
  readonly now: { server: Program; load?: Load; pins?: string[]; technician?: Technician };
}

const claim = setStage<Running>({
  name: 'scrotate',
  peers: async (home, folder) => startWebServer(home.device, join(folder, 'nginx')),
  share: async stage => {
    const { server } = stage.site;
    return { now: { server, load: await startLoad({ teardown() {} }, stage, { streams: 2, commands: 2 }) } };
  },
});

const statePath = ({ site }: Stage) => join(site.directory, 'server');
const authorityPath = ({ site }: Stage) => join(site.directory, 'authority');

/** A verb where server and authority are, whatever its exit code. */
function exec(stage: Stage, ...words: readonly string[]): Promise<CommandResult> {
  return stage.home.server.exec(cliCommand(...words, '--json'));
}

const ofServer = (stage: Stage, verb: string) => exec(stage, 'server', verb, '--state', statePath(stage));

const ofAuthority = (stage: Stage, authority: string, ...words: readonly string[]) =>
  exec(stage, ...words, '--authority', authority, '--server-state', statePath(stage));

const lastValue = ({ stdout }: CommandResult) => jsonLines(stdout).at(-1) ?? {};

async function tellPins(stage: Stage, ...pins: readonly string[]): Promise<void> {
  await stage.site.authority('trust', ...pins.flatMap(pin => ['--pin', pin]), '--address', serverAddress);
}

/** The second mediator of the home. */
function startSecond(stage: Stage): Program {
  const state = join(stage.folder, 'second');
  const config = join(stage.folder, 'second.toml');
  return stage.home.gateway.spawn([
    'sh',
    '-c',
    `echo 'stateDir = "${state}"' > ${config} && exec "$@"`,
    'sh',
    ...cliCommand('mediator', 'run', '--config', config),
  ]);
}

/** How often a member has come online at the server that runs now. */
function arrivals({ now }: Stage & Running, name: string): number {
  return jsonLines(now.server.stderr).filter(each => each.msg === 'member online' && each.name === name)
    .length;
}

async function untilOnline(stage: Stage & Running, name: string, before = 0): Promise<void> {
  await until(() => arrivals(stage, name) > before, { what: `${name} to be online`, deadlineMs: 60_000 });
}

async function enrolSecond(stage: Stage): Promise<void> {
  const { code } = await stage.site.authority('invite', 'mediator', 'home-2');
  const words = ['mediator', 'enroll', '--server', serverAddress, '--state', join(stage.folder, 'second')];
  await stage.home.gateway.run(cliCommand(...words), { env: { ENTREMISE_CODE: String(code) } });
}

/** What is refused changes nothing: exit code 2, and a sentence that says what to do first. */
function refused(t: ExecutionContext, result: CommandResult, sentence: RegExp): void {
  t.is(result.code, 2, result.stderr);
  t.regex(failureOf(result.stderr)?.message ?? result.stderr, sentence);
}

claim(
  'a rotation that would lose somebody is refused with what comes first, exit code 2',
  async (t, stage) => {
    const { pin = '', sparePin = '' } = lastValue(await ofServer(stage, 'next-key')) as Record<
      string,
      string
    >;
    stage.now.pins = [pin, sparePin];
    await enrolSecond(stage);
    await tellPins(stage, pin);
    refused(t, await ofServer(stage, 'rotate-key'), /not been told.*authority trust --pin/);
    await tellPins(stage, pin, sparePin);
    // It has a membership, and was last connected before the spare key was named again.
    refused(t, await ofServer(stage, 'rotate-key'), /home-2.*--leave-behind/);
    const authority = authorityPath(stage);
    refused(t, await exec(stage, 'authority', 'rotate-key', '--authority', authority), /who the members are/);
    refused(t, await ofAuthority(stage, authority, 'authority', 'retire-key'), /no key of before/);
    // As it enrolled, and again.
    await untilOnline(stage, 'home-2');
    const second = startSecond(stage);
    await untilOnline(stage, 'home-2', 1);
    await second.stop('SIGTERM');
  },
);

claim(
  'both keys are changed while streams run, with no hand on a gateway, and no stream ends (P6.2)',
  async (t, stage) => {
    const { site, now, folder } = stage;
    for (const [from, to] of [
      [statePath(stage), 'old-server'],
      [authorityPath(stage), 'old-authority'],
    ] as const)
      cpSync(from, join(folder, to), { recursive: true });
    const rotated = await site.operator('authority', 'rotate-key');
    t.like(rotated, { members: 3, delivered: 'accepted' });
    const result = await ofServer(stage, 'rotate-key');
    t.is(result.code, 0, result.stderr);
    const { pin, sparePin } = lastValue(result);
    t.is(pin, now.pins?.[1]);
    now.server.kill('SIGHUP');
    await tellPins(stage, String(pin), String(sparePin));
    // Links of before go on; new ones, by the new key, are made as well.
    await now.load?.untilMoving();
    now.technician = await hire(stage, 'new-hand');
    t.is((await now.technician.run('connect', mediatorName, `${homeAddresses.device}:80`)).code, 0);
    await now.server.stop('SIGKILL');
    now.server = site.startServer();
    await stage.home.server.untilListening('tcp', servicePort);
    await now.load?.untilMoving(60_000);
  },
);

claim(
  'a mediator that was away while both keys were changed comes back by itself (P6.2)',
  async (t, stage) => {
    startSecond(stage);
    await untilOnline(stage, 'home-2');
    const { stdout } = await ofServer(stage, 'members');
    const members = JSON.parse(stdout) as Record<string, unknown>[];
    t.true(members.every(({ signer }) => signer === members[0]?.signer));
  },
);

claim(
  'the old key of the authority is retired once nothing hangs on it, and every byte has come once and in order',
  async (t, stage) => {
    const { now, site } = stage;
    refused(
      t,
      await ofAuthority(stage, authorityPath(stage), 'authority', 'retire-key'),
      /1 grants.*in force/,
    );
    t.truthy(now.load);
    if (now.load !== undefined) t.deepEqual(flawsOfLoad(await now.load.stop()), []);
    const retired = await site.operator('authority', 'retire-key', '--reissue-grants');
    t.like(retired, { grants: 1, delivered: 'accepted' });
    for (const run of [site.terminal, now.technician?.run]) {
      const connected = await run?.('connect', mediatorName, `${homeAddresses.device}:80`);
      t.is(connected?.code, 0, connected?.stderr);
    }
  },
);

claim(
  'what a stolen old key signs is worth nothing, and nobody connects to a stolen old server (P6.2)',
  async (t, stage) => {
    const { folder, now, site } = stage;
    const stolen = join(folder, 'old-authority');
    const key = String(now.technician?.key);
    for (const words of [
      ['grant', 'create', '--terminal', key, '--mediator', mediatorName, '--purpose', 'service'],
      ['authority', 'trust', '--pin', String(now.pins?.[0])],
      ['authority', 'label', 'mediator', mediatorName, '--key', mediatorName, '--label', 'mine'],
    ]) {
      const result = await ofAuthority(stage, stolen, ...words);
      t.not(result.code, 0, words.join(' '));
      t.regex(failureOf(result.stderr)?.code ?? '', /^(grant-invalid|document-invalid)$/, words.join(' '));
    }
    await now.server.stop('SIGKILL');
    const before = site.mediator.stderr.length;
    const impostor = stage.home.server.spawn(
      cliCommand('server', 'run', '--state', join(folder, 'old-server')),
    );
    await stage.home.server.untilListening('tcp', servicePort);
    await until(() => site.mediator.stderr.slice(before).includes('pin-mismatch'), {
      what: 'the mediator to refuse the old key',
      deadlineMs: 60_000,
    });
    t.false(impostor.stderr.includes('member online'));
    await impostor.stop('SIGKILL');
    now.server = site.startServer();
    await untilOnline(stage, mediatorName);
  },
);

claim(
  'a stolen key of the authority is replaced in one step, and what was granted is granted still (P6.2)',
  async (t, stage) => {
    const { site, now } = stage;
    const replaced = await site.operator('authority', 'rotate-key', '--stolen');
    t.like(replaced, { delivered: 'accepted' });
    for (const run of [site.terminal, now.technician?.run]) {
      const connected = await run?.('connect', mediatorName, `${homeAddresses.device}:80`);
      t.is(connected?.code, 0, connected?.stderr);
    }
  },
);
