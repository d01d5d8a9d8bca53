import { readdirSync } from 'node:fs';
import { type Program, until } from 'netns-test-helpers';
import { servicePort } from '../site.ts';
import { namedFault } from '../topologies/faults.ts';
import { homeAddresses } from '../topologies/home.ts';
import { goesOn } from './support/goes-on.ts';
import { flawsOfLoad, type Load, startLoad } from './support/load.ts';
import { tcpPeer, tcpService, untilSaid } from './support/peers.ts';
import { setStage } from './support/stage.ts';
import { startForward, untilJson } from './support/verbs.ts';

/**
 * Whatever breaks between the ends, what runs goes on where it stood: one load for all of this file, of which in the end
 * every byte has come once and in order and every command has run once.
 */

interface Running {
  readonly now: { server: Program; load: Load };
}

const claim = setStage<Running>({
  name: 'scresume',
  share: async stage => {
    const { server } = stage.site;
    return { now: { server, load: await startLoad({ teardown() {} }, stage, { commands: 2 }) } };
  },
});

claim('a mediator whose link is reset goes on with all streams and commands (P4.3)', (t, stage) =>
  goesOn(t, stage, () => stage.home.gateway.killConnections([servicePort])),
);

claim('terminals whose links are reset go on with all streams and commands (P4.3)', (t, stage) =>
  goesOn(t, stage, () => stage.home.terminal.killConnections([servicePort])),
);

claim('when every link is reset at once, all goes on (P4.3)', (t, stage) =>
  goesOn(t, stage, () => namedFault("server's sockets killed")(stage.home)),
);

claim('a server that is killed and started again takes no stream with it (P4.3)', (t, stage) =>
  goesOn(t, stage, async () => {
    stage.now.server.kill('SIGKILL');
    await stage.now.server.exited;
    stage.now.server = stage.site.startServer();
  }),
);

claim('a home whose WAN address is replaced goes on (P4.3)', (t, stage) =>
  goesOn(t, stage, () => namedFault('WAN address replaced')(stage.home)),
);

claim('a home whose NATs forget goes on (P4.3)', (t, stage) =>
  goesOn(t, stage, async () => {
    await namedFault('gateway forgets its NAT')(stage.home);
    await namedFault('carrier forgets its NAT')(stage.home);
  }),
);

claim('a connection that is reset by a forged RST goes on (P4.3)', (t, stage) =>
  goesOn(t, stage, () => namedFault('reset forged by the carrier')(stage.home)),
);

/** Waits until a program's log has one more line that says so. */
function untilLogged(program: Program, line: RegExp): Promise<unknown> {
  const count = () => program.stderr.split('\n').filter(each => line.test(each)).length;
  const before = count();
  return until(() => count() > before, { what: `${program} to log ${line}`, deadlineMs: 30_000 });
}

claim('a home that is cut off, its link reset, until it has tried in vain goes on (P4.3)', (t, stage) =>
  goesOn(t, stage, async () => {
    const triedInVain = untilLogged(stage.site.mediator, /"code":"server-unreachable".*offline/);
    const heal = await namedFault('WAN cable pulled')(stage.home);
    await stage.home.gateway.killConnections([servicePort]);
    await triedInVain;
    await heal();
  }),
);

claim('a path that swallows everything until both its ends give it up goes on (P8.1)', (t, stage) =>
  goesOn(t, stage, async () => {
    const givenUp = Promise.all([
      untilLogged(stage.site.mediator, /"code":"link-lost".*offline/),
      untilLogged(stage.now.server, /"role":"mediator".*"code":"link-lost".*link ended/),
    ]);
    const heal = await namedFault('black hole')(stage.home);
    await givenUp;
    await heal();
  }),
);

claim(
  'halves that have ended stay so across a break, the others go on to their end (P3.6)',
  async (t, stage) => {
    const number = 4000;
    const steps = ['read=5', 'go', 'drain', 'send=70000', 'fin'];
    const service = await tcpService(t, stage.home.device, homeAddresses.device, number, steps);
    const { ports, program } = await startForward(t, stage, `${homeAddresses.device}:${number}`);
    const words = ['connect', '127.0.0.1', Number(ports[0]), 'send=5', 'fin', 'drain'];
    const client = tcpPeer(t, stage.home.terminal, words);
    await untilSaid(service, { waits: 'go' });
    await stage.home.gateway.killConnections([servicePort]);
    await untilJson(program, 'that its way is lost', line => line.state === 'suspended');
    service.write('\n');
    const resumed = await untilJson(program, 'that it is resumed', line => line.state === 'resumed');
    t.regex(String(resumed.status), /^resumed after \d+\.\d s$/);
    t.like(await untilSaid(service, { saw: 'fin' }), { bytes: 5, intact: true });
    t.like(await untilSaid(client, { saw: 'fin' }), { bytes: 70_000, intact: true });
  },
);

function openFiles({ pid }: Program): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

claim('four more breaks leave no file open at mediator and server', async (t, stage) => {
  const programs = [stage.site.mediator, stage.now.server];
  const before = programs.map(openFiles);
  for (let flap = 0; flap < 4; flap++)
    await goesOn(t, stage, () =>
      (flap % 2 === 0 ? stage.home.terminal : stage.home.gateway).killConnections([servicePort]),
    );
  // Ports of commands that are under way come and go.
  const settled = () => programs.every((program, at) => openFiles(program) <= (before[at] ?? 0) + 3);
  await until(settled, {
    what: `no more open files than ${before}`,
    explain: () => String(programs.map(openFiles)),
  });
  t.pass();
});

claim(
  'after all this every byte has come once and in order, and every command has run once',
  async (t, stage) => {
    t.deepEqual(flawsOfLoad(await stage.now.load.stop()), []);
  },
);
