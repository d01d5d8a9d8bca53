import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { fixture, labTest, support, tracesOf, whereLabsWork } from './fixtures/harness.ts';
import type { Told } from './fixtures/owner.ts';
import { inodesOf, processesIn } from './fixtures/processes.ts';
import { createLab, LabError, sweep, teardown, until } from './index.ts';
import { isAlive } from './registry.ts';

interface Owner {
  readonly told: Told;
  readonly pid: number;
  readonly ended: Promise<number | string | null>;
  readonly stderr: () => string;
}

/** Starts a process that makes a lab, and waits until it tells of it. */
async function startOwner(t: ExecutionContext, ending: string, ...rest: string[]): Promise<Owner> {
  const child = spawn(process.execPath, [fixture('owner'), ending, ...rest], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', chunk => {
    stdout += chunk;
  });
  child.stderr.on('data', chunk => {
    stderr += chunk;
  });
  const ended = new Promise<number | string | null>(resolve => {
    child.once('close', (code, signal) => resolve(signal ?? code));
  });
  await until(() => stdout.includes('\n'), {
    what: 'the owner to tell',
    deadlineMs: 60_000,
    explain: () => stderr,
  });
  return { told: JSON.parse(stdout) as Told, pid: child.pid ?? -1, ended, stderr: () => stderr };
}

function traces(told: Told): string[] {
  return tracesOf(told.labId, told.processes);
}

labTest('destroy leaves no name, no mount, no record, no process, a daemon included', async (t, lab) => {
  const host = await lab.namespace('host');
  await lab.namespace('other');
  const program = host.spawn(['sh', '-c', 'setsid sleep 1000 & trap "" TERM INT HUP; echo up; sleep 1000']);
  await program.untilOutput(/up/);
  const inside = () => processesIn(inodesOf(lab));
  await until(() => inside().length === 3, { what: 'the shell, the sleep and the daemon' });
  const processes = inside();
  await lab.destroy();
  t.deepEqual(tracesOf(lab.id, processes), []);
  t.deepEqual(program.exit, { code: null, signal: 'SIGKILL' });
  await t.notThrowsAsync(lab.destroy(), 'a second destroy does nothing');
});

labTest('destroy frees the namespace in the kernel: the far end of its link is gone too', async (t, lab) => {
  const short = await createLab({ name: 'short' });
  t.teardown(() => short.destroy());
  const near = await lab.namespace('near');
  const far = await short.namespace('far');
  await lab.link({ namespace: near, interface: 'veth0' }, { namespace: far, interface: 'veth0' });
  const names = async () =>
    (JSON.parse(await near.query(['ip', '-json', 'link'])) as { ifname: string }[]).length;
  t.is(await names(), 2);
  t.false(
    readdirSync('/sys/class/net').includes('veth0'),
    'no interface is ever in the namespace of the machine',
  );
  await short.destroy();
  await until(async () => (await names()) === 1, { what: 'the near end to vanish with the far one' });
  t.pass();
});

whereLabsWork('destroy while a lab is being built ends the building and leaves nothing', async t => {
  const lab = await createLab({ name: 'hasty' });
  const building = ['a', 'b', 'c', 'd'].map(name => lab.namespace(name));
  const sleeping = building[0]?.then(namespace => namespace.exec(['sleep', '1000']));
  const settled = Promise.allSettled([...building, sleeping]);
  await lab.destroy();
  const outcomes = await settled;
  t.true(outcomes.some(({ status }) => status === 'rejected'));
  t.deepEqual(tracesOf(lab.id, []), []);
  await t.throwsAsync(lab.namespace('late'), { instanceOf: LabError, code: 'destroyed' });
});

whereLabsWork('a lab is destroyed at the end of its scope', async t => {
  const lab = await createLab({ name: 'scoped' });
  await lab.namespace('host');
  t.not(tracesOf(lab.id, []).length, 0);
  await lab[Symbol.asyncDispose]();
  t.deepEqual(tracesOf(lab.id, []), []);
});

const endings = [
  { ending: 'exit', title: 'process.exit()', code: 0 },
  { ending: 'throw', title: 'an uncaught exception', code: 1 },
  { ending: 'reject', title: 'an unhandled rejection', code: 1 },
  { ending: 'own-handler', title: 'a signal that the program handles by exiting', code: 7 },
] as const;

for (const { ending, title, code } of endings) {
  whereLabsWork(`${title} removes the lab`, async t => {
    const owner = await startOwner(t, ending);
    t.is(await owner.ended, code, owner.stderr());
    t.deepEqual(traces(owner.told), []);
  });
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  whereLabsWork(`${signal} removes the lab, and still ends the process as that signal does`, async t => {
    const owner = await startOwner(t, 'wait');
    t.not(traces(owner.told).length, 0);
    process.kill(owner.pid, signal);
    t.is(await owner.ended, signal, owner.stderr());
    t.deepEqual(traces(owner.told), []);
  });
}

whereLabsWork('what a process left that was killed -9 is swept: names, record and programs', async t => {
  const owner = await startOwner(t, 'wait');
  sweep();
  t.true(
    traces(owner.told).length >= 6,
    'two names, two mounts or more, a record and two programs, all still there',
  );
  process.kill(owner.pid, 'SIGKILL');
  await owner.ended;
  // Another test may have swept first (every createLab does): what counts is that nothing is left.
  sweep();
  t.deepEqual(traces(owner.told), []);
});

labTest(
  'a detached lab outlives its owner, is not swept, and is taken down by its state file',
  async (t, _lab) => {
    if (!support.ok || support.how !== 'root') {
      t.log('skipped: detaching needs root');
      t.pass();
      return;
    }
    const folder = mkdtempSync(join(tmpdir(), 'netns-test-'));
    const stateFile = join(folder, 'lab.json');
    t.teardown(() => {
      if (existsSync(stateFile)) teardown(stateFile);
      rmSync(folder, { recursive: true });
    });
    const owner = await startOwner(t, 'detach', stateFile);
    t.is(await owner.ended, 0, owner.stderr());
    sweep();
    const state = JSON.parse(readFileSync(stateFile, 'utf8'));
    t.is(state.labId, owner.told.labId);
    t.deepEqual(state.namespaces, [
      { name: 'left', netns: `${owner.told.labId}-left` },
      { name: 'right', netns: `${owner.told.labId}-right` },
    ]);
    t.true(isAlive(state.programs[0]), 'the program lives on');
    const byHand = spawnSync('ip', [
      'netns',
      'exec',
      state.namespaces[0].netns,
      'ip',
      'link',
      'show',
      'dev',
      'eth0',
    ]);
    t.is(byHand.status, 0, String(byHand.stderr));
    teardown(stateFile);
    t.deepEqual(traces(owner.told), []);
    t.false(existsSync(stateFile));
  },
);

labTest('a program whose output goes through this process cannot be detached', async (t, lab) => {
  const host = await lab.namespace('host');
  host.spawn(['sleep', '1000']);
  const expected = support.ok && support.how === 'root' ? /need outputFile: \[host\] sleep 1000/ : /./;
  await t.throwsAsync(lab.detach('/nowhere/state.json'), { instanceOf: LabError, message: expected });
  await t.notThrowsAsync(host.run(['true']), 'the lab is as it was');
});

test('a file that is no state file takes nothing down', t => {
  const folder = mkdtempSync(join(tmpdir(), 'netns-test-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const bad = {
    'absent.json': undefined,
    'garbage.json': 'garbage',
    'null.json': 'null',
    'other-names.json': '{"version":1,"labId":"eth0","programs":[]}',
    'init.json': '{"version":1,"labId":"nth-a-1-1","programs":[{"pid":1,"startTicks":1}]}',
    'no-programs.json': '{"version":1,"labId":"nth-a-1-1"}',
  };
  for (const [name, content] of Object.entries(bad)) {
    const path = join(folder, name);
    if (content !== undefined) writeFileSync(path, content);
    t.throws(() => teardown(path), { instanceOf: LabError, code: 'state-file', message: new RegExp(name) });
  }
});
