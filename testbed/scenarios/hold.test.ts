import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { type Program, until } from 'netns-test-helpers';
import { devicePage, startWebServer } from '../demo/device.ts';
import { mediatorName, servicePort } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { liesOfLoad, startLoad } from './support/load.ts';
import { programPath, tcpPeer, tcpService, untilSaid } from './support/peers.ts';
import { type Stage, setStage } from './support/stage.ts';
import { hire, profileFolder } from './support/technicians.ts';
import { curl, startExpose, untilForwards, untilJson } from './support/verbs.ts';

/** What a mediator keeps for a terminal that is gone, for whom, and what ends that (P4.6, P4.7). */

const { device, gatewayLan } = homeAddresses;

interface Programs {
  /** The mediator of now: a test replaces it. */
  readonly now: { mediator: Program };
}

const claim = setStage<Programs>({
  name: 'schold',
  peers: (home, folder) => startWebServer(home.terminal, join(folder, 'nginx')),
  share: async ({ site: { mediator } }) => ({ now: { mediator } }),
});

/** How many times a mediator has begun to hold something. */
function holds({ stderr }: Program): number {
  return stderr.split('attachment held').length - 1;
}

claim(
  'a terminal that is killed is held for; a revocation ends within 5 s what is held, by RST (P4.6, P6.2)',
  async (t, stage) => {
    const who = await hire(stage, 'killed');
    const service = await tcpService(t, stage.home.device, device, 4000, ['read=5', 'drain']);
    const forward = who.start(t, 'forward', mediatorName, `0:${device}:4000`);
    const [localPort = 0] = await untilForwards(forward, 1);
    tcpPeer(t, stage.home.terminal, ['connect', '127.0.0.1', localPort, 'send=5', 'drain']);
    await untilSaid(service, { did: 'read', bytes: 5 });
    const before = holds(stage.now.mediator);
    forward.kill('SIGKILL');
    await until(() => holds(stage.now.mediator) > before, { what: 'the mediator to hold' });
    t.notRegex(service.stdout, /"saw"/);
    await stage.site.operator('grant', 'revoke', who.grantId);
    await untilSaid(service, { saw: 'ECONNRESET', bytes: 5 }, 5_000);
  },
);

claim('the number of a process that was killed is the next one’s at once (P4.6)', async (t, stage) => {
  const first = await startExpose(t, stage, '8000', '127.0.0.1:80');
  first.kill('SIGKILL');
  await first.exited;
  await startExpose(t, stage, '8000', '127.0.0.1:80');
  t.is((await curl(stage.home.device, `http://${gatewayLan}:8000/`)).body, devicePage);
});

/** Starts sdk-adopt.mjs, as `name`, and waits until it serves. */
async function startAdopter(t: ExecutionContext, stage: Stage, number: number, ...words: string[]) {
  const own = [profileFolder(stage.site.terminalEnv), mediatorName, gatewayLan, String(number), ...words];
  const program = stage.home.terminal.node(programPath('sdk-adopt.mjs'), own);
  t.teardown(() => program.stop('SIGKILL'));
  return { program, said: await untilJson(program, 'that it listens', line => 'adopted' in line) };
}

claim(
  'a program of the SDK that was killed and started again adopts the port of the one before (P4.6)',
  async (t, stage) => {
    const served = async () => {
      const visitor = tcpPeer(t, stage.home.device, ['connect', gatewayLan, 8003, 'fin', 'drain']);
      return untilSaid(visitor, { saw: 'fin' });
    };
    const first = await startAdopter(t, stage, 8003, 'one');
    t.deepEqual(first.said.adopted, []);
    t.like(await served(), { bytes: 'one'.length });
    first.program.kill('SIGKILL');
    await first.program.exited;
    const second = await startAdopter(t, stage, 8003, 'second', String(first.said.id));
    t.deepEqual(second.said.adopted, [8003]);
    t.is(second.said.id, first.said.id);
    t.like(await served(), { bytes: 'second'.length });
  },
);

claim(
  'what another process has adopted ends as terminal-restarted, for the device and for the process before, which was only stopped (P4.6)',
  async (t, stage) => {
    const { home, now } = stage;
    const first = await startAdopter(t, stage, 8004, 'one');
    const visitor = tcpPeer(t, home.device, ['connect', gatewayLan, 8004, 'read=3', 'drain']);
    await untilSaid(visitor, { did: 'read', bytes: 3 });
    first.program.kill('SIGSTOP');
    t.teardown(() => first.program.kill('SIGCONT'));
    await home.server.killConnections([servicePort]);
    const log = now.mediator.stderr.length;
    const second = await startAdopter(t, stage, 8004, 'second', String(first.said.id));
    t.deepEqual(second.said.adopted, [8004]);
    await untilSaid(visitor, { saw: 'ECONNRESET', bytes: 3 });
    t.regex(now.mediator.stderr.slice(log), /"code":"terminal-restarted","streams":1/);
    first.program.kill('SIGCONT');
    await untilSaid(first.program, { socket: 'terminal-restarted' }, 20_000);
    await untilSaid(first.program, { closed: 'terminal-restarted' });
    const next = tcpPeer(t, home.device, ['connect', gatewayLan, 8004, 'fin', 'drain']);
    t.like(await untilSaid(next, { saw: 'fin' }), { bytes: 'second'.length });
  },
);

claim('who connects while the terminal is away is served when it is back (P4.7)', async (t, stage) => {
  const { home } = stage;
  await startExpose(t, stage, '8001', '127.0.0.1:80');
  const cable = home.terminal.interfaces.find(({ name }) => name === 'eth0');
  if (cable === undefined) return t.fail('no cable');
  await cable.down();
  // Both ends: a RST of the server's would not reach a terminal whose cable is out, which then had nothing to say.
  await home.server.killConnections([servicePort]);
  await home.terminal.killConnections([servicePort]);
  const fetching = curl(home.device, `http://${gatewayLan}:8001/`);
  const there = () => home.device.exec(['ss', '-Htn', 'state', 'established', 'dport', '=', ':8001']);
  await until(async () => (await there()).stdout !== '', { what: 'the mediator to accept' });
  await cable.up();
  t.is((await fetching).body, devicePage);
});

claim(
  'a mediator that is killed ends nothing by FIN, and what waited for it fails as mediator-restarted (P3.6, P4.3)',
  async (t, stage) => {
    const { now, site } = stage;
    const load = await startLoad(t, stage, { streams: 2, others: ['idle'] });
    now.mediator.kill('SIGKILL');
    await now.mediator.exited;
    const none = { asked: 0, answered: 0, attachments: 0, failed: {} };
    const totals = async () => (await load.commandTotals()) ?? none;
    const waits = async () => {
      const { asked, answered } = await totals();
      return asked > answered;
    };
    await until(waits, { what: 'a command to wait' });
    t.deepEqual((await totals()).failed, {});
    now.mediator = site.startMediator();
    await until(async () => (await totals()).attachments === 2, {
      what: 'a new attachment',
      deadlineMs: 20_000,
    });
    t.deepEqual(Object.keys((await totals()).failed), ['mediator-restarted']);
    const outcome = await load.stop();
    t.deepEqual(liesOfLoad(outcome), []);
    for (const { connect, accept } of outcome.stories)
      for (const end of [connect, accept]) t.not(end.receiveEnd, 'fin', `stream ${end.stream}`);
  },
);
