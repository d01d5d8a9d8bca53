import test, { type ExecutionContext } from 'ava';
import { labSupport, type Program, until } from 'netns-test-helpers';
import { programPath } from '../scenarios/support/peers.ts';
import { faultsFor } from './faults.ts';
import { buildHome, type Home, homeAddresses } from './home.ts';

const number = 8443;
const support = labSupport();
const reason = support.ok ? (support.ready ? undefined : 'not root') : support.reason;

async function homeWithService(t: ExecutionContext): Promise<Home> {
  const home = await buildHome({ name: 'faults' });
  t.teardown(() => home.lab.destroy());
  const service = ['listen', homeAddresses.server, String(number), 'read=1', 'send=1', 'drain'];
  const program = home.server.spawn(['python3', programPath('tcp-peer.py'), ...service]);
  await program.untilOutput(/"listen"/);
  return home;
}

/** A connection from the gateway that is asked again and again until it says that it got its answer. */
function connection(home: Home): Program {
  const steps = ['connect', homeAddresses.server, String(number), 'send=1', 'read=1', 'drain'];
  return home.gateway.spawn(['python3', programPath('tcp-peer.py'), ...steps]);
}

async function connects(home: Home): Promise<boolean> {
  const program = connection(home);
  const got = await until(() => program.exit ?? program.stdout.includes('"read"'), { what: 'an answer' });
  await program.stop('SIGKILL');
  return got === true;
}

async function strikeAndHeal(home: Home, name: string): Promise<void> {
  const fault = faultsFor(number)[name];
  if (fault === undefined) throw new Error(`no fault ${name}`);
  // Something has to be under way for a forged reset to answer.
  const poke = name.startsWith('reset') ? connection(home) : undefined;
  const heal = await fault(home);
  await heal();
  await poke?.stop('SIGKILL');
}

if (reason !== undefined) test.skip(`faults [skipped: ${reason}]`, () => {});
else
  test('when any of its faults is healed a home is as good as before', async t => {
    const home = await homeWithService(t);
    for (const name of Object.keys(faultsFor(number))) {
      await t.notThrowsAsync(strikeAndHeal(home, name), name);
      t.true(await connects(home), name);
    }
  });
