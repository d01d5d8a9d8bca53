import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { until } from 'netns-test-helpers';
import { devicePage, startEcho, startWebServer } from '../demo/device.ts';
import { mediatorName } from '../site.ts';
import { namedMishap, type World } from '../soak/mishaps.ts';
import { type Box, boxUser, makeBox, reasonForNoBox, wrongClock } from '../topologies/box.ts';
import { namedFault } from '../topologies/faults.ts';
import { homeAddresses } from '../topologies/home.ts';
import { goesOn } from './support/goes-on.ts';
import { flawsOfLoad, type Load, startLoad } from './support/load.ts';
import { programPath, tcpPeer, tcpService, untilSaid } from './support/peers.ts';
import { type Stage, setStage } from './support/stage.ts';
import { hire } from './support/technicians.ts';
import { curl, startForward, untilForwards, untilJson } from './support/verbs.ts';

/**
 * The mediator in a box of a gateway's class: 128 MiB, a quarter of a processor, a root that cannot be written, a user of
 * its own with two capabilities. Its clock begins in 1970 at each start, and the authority's statement is of last year, so
 * the time that it goes by can only be the server's (P6.7).
 */

const { device, gatewayLan } = homeAddresses;

interface Boxed {
  readonly box: Box;
  readonly now: { load: Load };
  /** The server of now is in it. */
  readonly world: World;
}

let box: Box | undefined;

const claim = setStage<Boxed>({
  name: 'scbox',
  cannot: reasonForNoBox,
  peers: async (home, folder) => {
    await startWebServer(home.device, join(folder, 'nginx'));
    await startEcho(home.device);
  },
  site: folder => {
    box = makeBox({ name: 'scbox' });
    return {
      mediatorWrapper: box.wrapper(join(folder, 'site/mediator'), [join(folder, 'site/mediator.toml')]),
      mediatorEnv: wrongClock('@1970-01-01 00:00:30'),
      foundingEnv: wrongClock('-400d'),
    };
  },
  after: () => box?.remove(),
  share: async stage => {
    if (box === undefined) throw new Error('there is no box');
    const load = await startLoad({ teardown() {} }, stage, { streams: 2, commands: 2 });
    return {
      box,
      now: { load },
      world: { home: stage.home, site: stage.site, server: stage.site.server, load },
    };
  },
});

/** A line of what the kernel says of the mediator. */
function statusOf({ site }: Stage, field: string): string {
  const status = readFileSync(`/proc/${site.mediator.pid}/status`, 'utf8');
  return new RegExp(`^${field}:\\s+(.*)$`, 'm').exec(status)?.[1] ?? '';
}

claim('a box has its own user, two capabilities, no way to more, and nowhere to write', async (t, stage) => {
  t.is(statusOf(stage, 'Uid'), Array(4).fill(boxUser).join('\t'));
  // CAP_NET_BIND_SERVICE is 10, CAP_NET_RAW 13.
  const two = ((1n << 10n) | (1n << 13n)).toString(16).padStart(16, '0');
  for (const set of ['CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) t.is(statusOf(stage, set), two, set);
  t.is(statusOf(stage, 'NoNewPrivs'), '1');
  const { folder, home, box } = stage;
  const state = join(folder, 'site/mediator');
  const touch = (path: string) => home.gateway.exec([...box.wrapper(state), 'touch', path]);
  for (const path of ['/x', '/etc/x', '/tmp/x', join(folder, 'x')])
    t.regex((await touch(path)).stderr, /Read-only|No such file/, path);
  t.is((await touch(join(state, 'x'))).code, 0);
  t.true(box.throttled() > 0, 'a quarter of a processor is less than a start takes');
});

claim('S1: a page comes through forward to a mediator in a box', async (t, stage) => {
  const { ports } = await startForward(t, stage, `${device}:80`);
  const { body, stderr } = await curl(stage.home.terminal, `http://127.0.0.1:${ports[0]}/`);
  t.is(body, devicePage, stderr);
});

claim('P7.7: a port of a mediator in a box is redirected, and its datagrams go by UDP', async (t, stage) => {
  const { site, home } = stage;
  const directory = join(String(site.terminalEnv.XDG_CONFIG_HOME), 'entremise', 'default');
  const words = [programPath('sdk-redirect.mjs'), directory, mediatorName, gatewayLan, device, '7'];
  const program = home.terminal.spawn([process.execPath, ...words], { stdin: 'pipe' });
  t.teardown(() => program.stop('SIGKILL'));
  const told = await untilJson(program, 'the channel in force', line => 'result' in line, 60_000);
  t.is(told.result, 'udp');
  await untilJson(program, 'twenty answers', ({ answered }) => Number(answered) > 20, 30_000);
  program.write('rest\n');
  await untilJson(
    program,
    'every answer',
    ({ asked, answered }) => asked !== undefined && asked === answered,
  );
});

claim('a mediator in a box goes on when the NATs forget (P4.3)', (t, stage) =>
  goesOn(t, stage, async () => {
    await namedFault('gateway forgets its NAT')(stage.home);
    await namedFault('carrier forgets its NAT')(stage.home);
  }),
);

/** By name, and how long each lasts in milliseconds; `npm run soak -- --box` has all of them, at random. */
const mishaps = {
  'WAN address replaced': 0,
  'reset forged by the carrier': 0,
  'WAN cable pulled': 1_000,
  'new flows dropped': 1_000,
  'readers stop': 1_000,
  'the mediator stands still': 1_000,
  'the server is killed': 0,
};

for (const [name, lastsMs] of Object.entries(mishaps))
  claim(`a mediator in a box goes on through this: ${name}`, (t, stage) =>
    goesOn(t, stage, async () => {
      const heal = await namedMishap(name).begin(stage.world);
      const endAt = performance.now() + lastsMs;
      await until(() => performance.now() >= endAt, { what: `${name} to have lasted` });
      await heal();
    }),
  );

claim('of the load in a box every byte has come, once and in order', async (t, stage) => {
  t.deepEqual(flawsOfLoad(await stage.now.load.stop()), []);
});

claim(
  'P6.7: a clock that begins in 1970 ends a grant when its time is over, the server standing still',
  async (t, stage) => {
    const seconds = 20;
    const notBeforeMs = Date.now() + seconds * 1000;
    const who = await hire(stage, 'brief', '--for', `${seconds}s`);
    const notAfterMs = Date.now() + seconds * 1000;
    const service = await tcpService(t, stage.home.device, device, 4000, ['read=5', 'send=7', 'drain']);
    const forward = who.start(t, 'forward', mediatorName, `0:${device}:4000`);
    const [localPort = 0] = await untilForwards(forward, 1);
    const client = tcpPeer(t, stage.home.terminal, ['connect', '127.0.0.1', localPort, 'send=5', 'drain']);
    await untilSaid(service, { did: 'read', bytes: 5 });
    const { server } = stage.world;
    server.kill('SIGSTOP');
    t.teardown(() => server.kill('SIGCONT'));
    t.is(client.exit, undefined);
    await untilSaid(service, { saw: 'ECONNRESET' }, 60_000);
    const endedMs = Date.now();
    // Times of documents are whole seconds.
    t.true(endedMs > notBeforeMs - 1_000, `${notBeforeMs - endedMs} ms too early`);
    t.true(endedMs < notAfterMs + 10_000, `${endedMs - notAfterMs} ms too late`);
  },
);

claim('nothing in the box was ended for want of memory', async (t, { box, site }) => {
  t.log(`at most ${box.peakMb().toFixed(1)} MB at once`);
  t.is(box.outOfMemory(), 0);
  t.is(site.mediator.exit, undefined);
  await until(() => box.peakMb() > 10, { what: 'the box to count memory', deadlineMs: 1 });
});
