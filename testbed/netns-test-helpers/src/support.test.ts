import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { fixture, support, tracesOf } from './fixtures/harness.ts';
import type { Told } from './fixtures/owner.ts';
import { processesIn } from './fixtures/processes.ts';
import { inUserNamespace, labSupport, missingTools, reexecInUserNamespace, until } from './index.ts';

const indexUrl = new URL('./index.js', import.meta.url).href;
const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];

/** Runs Node as an ordinary user; only root can become one. */
function nobody(args: readonly string[]): ChildProcess {
  const [file = '', ...rest] = [...asNobody, process.execPath, ...args];
  return spawn(file, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
}

async function outcome(
  child: ChildProcess,
): Promise<{ stdout: string; stderr: string; code: number | null }> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', chunk => {
    stdout += chunk;
  });
  child.stderr?.on('data', chunk => {
    stderr += chunk;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { stdout, stderr, code };
}

/** Declares a test that needs an ordinary user: root to become one, files that one may read, user namespaces. */
function ordinaryUserTest(title: string, body: (t: ExecutionContext) => Promise<void>): void {
  const isRoot = process.geteuid?.() === 0 && !inUserNamespace();
  if (!support.ok || !isRoot) {
    test.skip(`${title} (needs root, to become an ordinary user)`, () => {});
    return;
  }
  test(title, async t => {
    const probe = `import('${indexUrl}').then(m => console.log(JSON.stringify(m.labSupport())))`;
    const tried = await outcome(nobody(['-e', probe]));
    const answer = tried.code === 0 ? JSON.parse(tried.stdout) : { ok: false, reason: tried.stderr };
    if (!answer.ok) {
      t.log(`skipped: no ordinary user can make labs here: ${answer.reason}`);
      t.pass();
      return;
    }
    t.deepEqual(answer, { ok: true, how: 'userns', ready: false });
    await body(t);
  });
}

test('missingTools names the tool and its Debian package', t => {
  t.deepEqual(
    missingTools('/nowhere').find(({ tool }) => tool === 'nft'),
    { tool: 'nft', package: 'nftables' },
  );
  t.true(missingTools('/nowhere').length >= 6);
  if (support.ok) t.deepEqual(missingTools(), []);
});

test('labSupport says what is there, or why not', t => {
  const answer = labSupport();
  if (answer.ok)
    t.is(answer.how, inUserNamespace() ? 'userns' : process.geteuid?.() === 0 ? 'root' : 'userns');
  else t.not(answer.reason, '');
});

test('reexecInUserNamespace returns where labs can be made', async t => {
  if (support.ok && support.ready) await t.notThrowsAsync(reexecInUserNamespace());
  else t.pass();
});

ordinaryUserTest(
  'an ordinary user gets a lab in a user namespace, and the exit code of the inner program',
  async t => {
    const { code, stdout, stderr } = await outcome(nobody([fixture('owner'), 'own-handler']));
    t.is(code, 7, stderr);
    t.regex(stdout, /^\{"labId":"nth-owner-/);
  },
);

ordinaryUserTest("killing the ordinary user's process with -9 ends everything inside", async t => {
  const child = nobody([fixture('owner'), 'wait']);
  t.teardown(() => child.kill('SIGKILL'));
  let stdout = '';
  child.stdout?.on('data', chunk => {
    stdout += chunk;
  });
  await until(() => stdout.includes('\n'), { what: 'the owner to tell' });
  const { labId, inodes } = JSON.parse(stdout) as Told;
  const processes = processesIn(inodes);
  t.is(processes.length, 2, 'the program and its daemon are seen outside');
  t.deepEqual(tracesOf(labId, []), [], 'no name of it is');
  child.kill('SIGKILL');
  await until(() => tracesOf(labId, processes).length === 0, { what: 'the kernel to end what was inside' });
});
