import { join } from 'node:path';
import process from 'node:process';
import { blockUdp, type Program, until } from 'netns-test-helpers';
import { startEcho } from '../demo/device.ts';
import { mediatorName, servicePort } from '../site.ts';
import { homeAddresses, type NatKind } from '../topologies/home.ts';
import { programPath } from './support/peers.ts';
import { RedirectedFlow } from './support/redirected-flow.ts';
import { setStage } from './support/stage.ts';
import { jsonLines, startExpose, startForward, type Teardown, untilJson } from './support/verbs.ts';

/** A redirected port behind NATs of any kind, which forget, while UDP is blocked and allowed again on the way. */

const { device, gatewayLan } = homeAddresses;

const claim = setStage({
  name: 'scredir',
  home: { ports: 'fully-random' },
  peers: async home => {
    await startEcho(home.device);
  },
  share: async ({ site, home }) => {
    const directory = join(String(site.terminalEnv.XDG_CONFIG_HOME), 'entremise', 'default');
    const words = [directory, mediatorName, gatewayLan, device, '7'];
    /** `everyMs`: between two questions. */
    const start = (t: Teardown, everyMs = 50, whose: 'shared' | 'own' = 'shared'): Program => {
      const more = [String(everyMs), '1', whose];
      const script = [process.execPath, programPath('sdk-redirect.mjs'), ...words, ...more];
      const program = home.terminal.spawn(script, { stdin: 'pipe' });
      t.teardown(() => program.stop('SIGKILL'));
      return program;
    };
    return { start };
  },
});

/** Waits for the newest counts of which `holds` is true. */
const untilCounts = (program: Program, what: string, holds: (counts: Counts) => boolean) =>
  untilJson(program, what, line => 'asked' in line && holds(line as unknown as Counts), 30_000);

interface Counts {
  readonly asked: number;
  readonly answered: number;
  readonly disordered: number;
}

claim(
  'S8, P7.7: a live flow moves to UDP and back, behind a symmetric NAT, with nothing lost or out of order',
  async (t, stage) => {
    const program = stage.start(t);
    t.is((await untilJson(program, 'the channel in force', line => 'result' in line)).result, 'udp');
    const before = Number(jsonLines(program.stdout).at(-1)?.asked ?? 0);
    await untilCounts(program, 'answers over UDP', ({ answered }) => answered > before + 20);
    program.write('back\n');
    await untilJson(program, 'that it is back', ({ did }) => did === 'back');
    const then = Number(jsonLines(program.stdout).at(-1)?.asked ?? 0);
    await untilCounts(program, 'answers over TCP', ({ answered }) => answered > then + 20);
    program.write('again\nrest\n');
    await untilJson(program, 'that it rests', ({ did }) => did === 'rest');
    const end = await untilCounts(program, 'every answer', ({ asked, answered }) => asked === answered);
    t.is(end.disordered, 0);
  },
);

claim(
  'P5.5: where UDP is blocked under way the TCP channel takes over, and UDP is back soon after it passes again',
  async (t, stage) => {
    const program = stage.start(t);
    await untilJson(program, 'UDP', line => line.result === 'udp' || line.channel === 'udp');
    const { carrier } = stage.home;
    const rules = await carrier.apply(blockUdp({ how: 'drop', ports: [servicePort], outside: 'net' }));
    t.teardown(() => rules.remove());
    await untilJson(program, 'that TCP has taken over', line => line.channel === 'tcp', 30_000);
    const { answered = 0 } = jsonLines(program.stdout).at(-1) ?? {};
    await untilCounts(program, 'answers over TCP', counts => counts.answered > Number(answered) + 20);
    const told = jsonLines(program.stdout).length;
    await rules.remove();
    const isBack = () =>
      jsonLines(program.stdout)
        .slice(told)
        .some(line => line.channel === 'udp');
    await untilJson(program, 'UDP again', isBack, 60_000);
    t.pass();
  },
);

claim(
  'S13, P5.5: forward and expose for /udp say what carries their datagrams, in the beginning and when it changes',
  async (t, stage) => {
    const { carrier, terminal } = stage.home;
    const { program: forward, ports } = await startForward(t, stage, `${device}:7/udp`);
    const expose = await startExpose(t, stage, '5060/udp', '127.0.0.1:5060');
    const ask = ['python3', programPath('udp-ask.py'), '127.0.0.1', String(ports[0]), '100'];
    t.is((await terminal.exec(ask)).code, 0);
    const both = [forward, expose];
    const told = (program: Program) =>
      [...jsonLines(program.stderr)].filter(({ channel }) => channel !== undefined);
    const untilAll = (channel: string, deadlineMs?: number) =>
      Promise.all(
        both.map(program =>
          untilJson(program, channel, () => told(program).at(-1)?.channel === channel, deadlineMs),
        ),
      );
    await untilAll('udp');
    const rules = await carrier.apply(blockUdp({ how: 'drop', ports: [servicePort], outside: 'net' }));
    t.teardown(() => rules.remove());
    await untilAll('tcp', 30_000);
    t.is((await terminal.exec(ask)).code, 0);
    await rules.remove();
    await untilAll('udp', 60_000);
    t.deepEqual(told(expose).at(-1)?.listen, { host: gatewayLan, port: 5060 });
  },
);

const newestCounts = (program: Program) =>
  jsonLines(program.stdout).findLast(line => 'asked' in line) as unknown as Counts;

/** Questions that may be under way at a time: the way there and back takes far less than 100 ms here. */
const inFlight = 5;

for (const whose of ['gateway', 'terminal'] as const)
  claim(
    `P7.4: a redirected flow of 50 a second goes on by UDP while the link of the ${whose} is lost and made anew`,
    async (t, stage) => {
      const program = stage.start(t, 20);
      await untilJson(program, 'UDP', line => line.result === 'udp' || line.channel === 'udp');
      await untilCounts(program, 'answers', ({ answered }) => answered > 50);
      await stage.home[whose].killConnections([servicePort]);
      await untilJson(program, 'that the link was lost', line => line.suspended === true);
      await untilJson(program, 'that it is there again', line => line.resumed === true, 30_000);
      const then = newestCounts(program).asked;
      await untilCounts(program, 'answers on the new link', ({ asked }) => asked > then + 200);
      program.write('rest\n');
      await untilJson(program, 'that it rests', ({ did }) => did === 'rest');
      const missing = () => newestCounts(program).asked - newestCounts(program).answered;
      await until(() => missing() <= inFlight, {
        what: 'all but what was in flight to be answered',
        explain: () => `${missing()} are missing`,
      });
      const { asked, answered, disordered } = newestCounts(program);
      t.log(`${answered} of ${asked} came back`);
      t.true(asked > 200);
      t.is(disordered, 0);
      const left = jsonLines(program.stdout).filter(({ channel }) => channel === 'tcp');
      t.deepEqual(left, [], 'it has been by UDP all the time');
    },
  );

claim(
  'P7.1: a port has a UDP channel of its own at both ends while another one shares theirs',
  async (t, stage) => {
    const { mediator } = stage.site;
    const channelsUp = () => mediator.stderr.split('UDP channel up').length - 1;
    const shared = stage.start(t);
    await untilJson(shared, 'UDP', line => line.result === 'udp' || line.channel === 'udp');
    const before = channelsUp();
    const own = stage.start(t, 50, 'own');
    await untilJson(own, 'UDP', line => line.result === 'udp' || line.channel === 'udp');
    t.is(channelsUp(), before + 1);
    for (const program of [shared, own])
      await untilCounts(program, 'answers', ({ answered, disordered }) => answered > 40 && disordered === 0);
    own.write('rest\nback\nagain\n');
    await untilJson(own, 'that it is there again', ({ did }) => did === 'again');
    t.is(channelsUp(), before + 2, 'the one it had has ended with the port');
  },
);

const symmetric: NatKind = { ports: 'fully-random' };
const coneOf = (filtering: NonNullable<NatKind['filtering']>): NatKind => {
  return { ports: 'fully-random', mapping: 'endpoint-independent', filtering };
};

const homes: Readonly<Record<string, readonly [gateway: NatKind, carrier: NatKind]>> = {
  'two full cones': [coneOf('endpoint-independent'), coneOf('endpoint-independent')],
  'a port-restricted cone behind a symmetric NAT of the carrier': [
    coneOf('address-and-port-dependent'),
    symmetric,
  ],
  'two symmetric NATs': [symmetric, symmetric],
};

for (const [name, nats] of Object.entries(homes))
  claim(
    `P7.4: all NATs are replaced by ${name}: a redirected flow goes on by itself, and so does the link`,
    async (t, stage) => {
      const { home, site } = stage;
      const flow = await RedirectedFlow.start(t, stage, { from: gatewayLan, to: device });
      const onlines = () => site.mediator.stderr.match(/"online"/g)?.length ?? 0;
      const before = onlines();
      await home.useNats(...nats);
      t.log(`${Math.round(await flow.untilAnswered(40, 60_000))} ms until 40 answers, which take 2,000`);
      // The channel tells that the NATs have forgotten: nothing else would for a minute.
      const linkMs = performance.now();
      await until(() => onlines() > before, { what: 'the link to be made anew', deadlineMs: 20_000 });
      t.log(`${Math.round(performance.now() - linkMs)} ms more until the link`);
      await flow.untilStaysOnUdp(20);
      t.is(flow.counts.disordered, 0);
    },
  );
