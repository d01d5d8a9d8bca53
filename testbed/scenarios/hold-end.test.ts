import { join } from 'node:path';
import { type Program, until } from 'netns-test-helpers';
import { startWebServer } from '../demo/device.ts';
import { servicePort } from '../site.ts';
import { wanOf } from '../topologies/faults.ts';
import { endByReset, servesAgain, startConnection } from './support/connection.ts';
import { setStage } from './support/stage.ts';
import { type Json, untilJson } from './support/verbs.ts';

/**
 * What is not to be mended: a hold that ends, processes that die. Each is told to both ends as a reset with its reason,
 * never as a FIN (P3.6, P4.6), and the forward serves new connections after it.
 */

interface Programs {
  /** The mediator of now: the tests replace it. */
  readonly now: { mediator: Program };
}

const claim = setStage<Programs>({
  name: 'schold',
  site: () => ({ mediatorConfig: 'maxHoldMs = 4000' }),
  peers: async (home, folder) => startWebServer(home.device, join(folder, 'nginx')),
  share: async ({ site: { mediator } }) => ({ now: { mediator } }),
});

/** Waits until the mediator has logged something that was not there `before`. */
async function untilLogged({ now }: Programs, before: string, wanted: string): Promise<void> {
  await until(() => now.mediator.stderr.slice(before.length).includes(wanted), {
    what: `the mediator to log ${wanted}`,
    deadlineMs: 20_000,
    explain: () => now.mediator.stderr.slice(before.length),
  });
}

claim(
  'a WAN that is away for longer than the hold: RST with a reason at both ends (P4.6)',
  async (t, stage) => {
    const connection = await startConnection(t, stage);
    const before = stage.now.mediator.stderr;
    const wan = wanOf(stage.home);
    await wan.down();
    await stage.home.gateway.killConnections([servicePort]);
    // The gateway could tell nobody: only who has something to say to it finds out soon (P8.1).
    connection.client.write('\n');
    const suspended = await untilJson(
      connection.forward,
      'that its way is lost',
      ({ state }) => state === 'suspended',
    );
    t.is(suspended.status, 'suspended: link lost, holding 4 s');
    await endByReset(t, [connection.client, connection.device], 20_000);
    const ended = await untilJson(connection.forward, 'that it has ended', ({ state }) => state === 'ended');
    t.like(ended, { reason: 'terminal-gone' });
    t.regex(
      String(ended.status),
      /^ended, what was open is reset: home-1 could not be reached again within 4 s/,
    );
    await untilLogged(stage, before, '"code":"terminal-gone"');
    await wan.up();
    await servesAgain(t, stage, connection);
  },
);

claim('a forward that is killed: the device sees RST when the hold is over (P4.6)', async (t, stage) => {
  const { device, forward } = await startConnection(t, stage);
  const before = stage.now.mediator.stderr;
  forward.kill('SIGKILL');
  await untilLogged(stage, before, 'terminal away, attachment held');
  await untilLogged(stage, before, '"code":"terminal-gone"');
  await endByReset(t, [device], 10_000);
});

claim(
  'a forward that is ended by Ctrl-C is waited for by nobody: the device sees RST at once (P4.6)',
  async (t, stage) => {
    const { device, forward } = await startConnection(t, stage);
    const before = stage.now.mediator.stderr;
    const { code } = await forward.stop('SIGINT');
    t.is(code, 0);
    await endByReset(t, [device], 10_000);
    t.notRegex(stage.now.mediator.stderr.slice(before.length), /attachment held/);
  },
);

claim(
  'a mediator that is killed: mediator-restarted, RST at both ends, a new attachment (P4.3)',
  async (t, stage) => {
    const connection = await startConnection(t, stage);
    stage.now.mediator.kill('SIGKILL');
    await stage.now.mediator.exited;
    await untilJson(connection.forward, 'that its way is lost', ({ state }) => state === 'suspended');
    stage.now.mediator = stage.site.startMediator();
    const ended = await untilJson(connection.forward, 'that it has ended', ({ state }) => state === 'ended');
    t.like(ended, { reason: 'mediator-restarted' });
    await endByReset(t, [connection.client, connection.device], 10_000);
    await servesAgain(t, stage, connection);
  },
);

claim(
  'a mediator that is stopped says so: shutting-down, RST at both ends, and a new attachment when it is there again (P4.6)',
  async (t, stage) => {
    const connection = await startConnection(t, stage);
    await stage.now.mediator.stop('SIGTERM');
    const isIt = ({ state, reason }: Json) => state === 'ended' && reason === 'shutting-down';
    await untilJson(connection.forward, 'that it has ended', isIt);
    await endByReset(t, [connection.client, connection.device], 10_000);
    stage.now.mediator = stage.site.startMediator();
    await servesAgain(t, stage, connection);
  },
);

claim(
  'a grant that is revoked while the way is lost is told at once, and nothing is tried again (P4.3)',
  async (t, stage) => {
    const connection = await startConnection(t, stage);
    stage.now.mediator.kill('SIGSTOP');
    t.teardown(() => stage.now.mediator.kill('SIGCONT'));
    await stage.home.server.killConnections([servicePort]);
    await untilJson(connection.forward, 'that its way is lost', ({ state }) => state === 'suspended');
    await stage.site.operator('grant', 'revoke', stage.site.grantId);
    const { code } = await connection.forward.exited;
    t.not(code, 0);
    t.regex(connection.forward.stderr, /"code":"grant-revoked"/);
    stage.now.mediator.kill('SIGCONT');
    await endByReset(t, [connection.client, connection.device], 20_000);
  },
);
