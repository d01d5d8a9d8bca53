import { join } from 'node:path';
import process from 'node:process';
import type { ExecutionContext } from 'ava';
import { type Program, until } from 'netns-test-helpers';
import { mediatorName } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { programPath, tcpPeer, untilSaid } from './support/peers.ts';
import { type Stage, setStage } from './support/stage.ts';
import { type Json, jsonLines, untilJson } from './support/verbs.ts';

/** What a terminal is told of its ports off the wire, joined with what sockets tell: each thing once. */

const claim = setStage({ name: 'sccapture' });

const { device, gatewayLan, gatewayLanIpv6 } = homeAddresses;
let nextNumber = 6000;

interface WatchedPort {
  readonly program: Program;
  readonly number: number;
  /** The events so far. */
  events(): Json[];
  /** Gives the verb, and waits for what the program says of it. */
  tell(verb: string, said?: Json): Promise<unknown>;
}

/** A port that a program on the SDK has opened, and the events that it is told. */
async function watchedPort(t: ExecutionContext, stage: Stage, address: string): Promise<WatchedPort> {
  const { site, home } = stage;
  const number = nextNumber++;
  const directory = join(String(site.terminalEnv.XDG_CONFIG_HOME), 'entremise', 'default');
  const argv = [process.execPath, programPath('sdk-port.mjs'), directory, mediatorName, address];
  const program = home.terminal.spawn([...argv, String(number)], { stdin: 'pipe' });
  t.teardown(() => program.stop('SIGKILL'));
  await untilJson(program, 'that it is open', line => 'opened' in line);
  return {
    program,
    number,
    events: () => jsonLines(program.stdout).filter(line => 'event' in line),
    tell: (verb, said) => {
      program.write(`${verb}\n`);
      return said === undefined ? Promise.resolve() : untilSaid(program, said);
    },
  };
}

/** What of the events is the same in every run. */
function plain(events: readonly Json[]): string[] {
  return events.map(({ event, direction, stream }) =>
    [event, direction, stream === undefined ? '' : 'stream'].filter(Boolean).join(' '),
  );
}

/** Waits until exactly these events have been told, in any order, and no other within a moment after them. */
async function toldExactly(t: ExecutionContext, port: WatchedPort, expected: readonly string[]) {
  const told = () => plain(port.events()).sort();
  await until(() => told().length >= expected.length, {
    what: `${expected.length} events`,
    explain: () => JSON.stringify(port.events()),
  });
  t.deepEqual(told(), [...expected].sort());
}

function untilConnections(port: WatchedPort, count: number): Promise<unknown> {
  const connections = () => port.events().filter(({ event }) => event === 'connected').length;
  return until(() => connections() === count, { what: `${count} connections` });
}

const connected = ['syn', 'connected from-device stream'];

for (const [family, address] of [
  ['IPv4', gatewayLan],
  ['IPv6', gatewayLanIpv6],
] as const) {
  claim(
    `${family}: a SYN to a port that is open and does not listen is told as refused (EVENT refused)`,
    async (t, stage) => {
      const port = await watchedPort(t, stage, address);
      const before = Date.now();
      const peer = tcpPeer(t, stage.home.device, ['connect', address, port.number]);
      t.is((await peer.exited).code, 1, 'ECONNREFUSED');
      await toldExactly(t, port, ['refused']);
      const [event = {}] = port.events();
      t.is(event.peerAddress, family === 'IPv4' ? device : homeAddresses.deviceIpv6);
      t.true(Number(event.timeMs) >= before - 1 && Number(event.timeMs) <= Date.now());
    },
  );

  claim(
    `${family}: attempt, connection and who ends it by FIN or RST are told, each once (S15, S16)`,
    async (t, stage) => {
      const port = await watchedPort(t, stage, address);
      await port.tell('listen', { listens: true });
      const polite = tcpPeer(t, stage.home.device, [
        'connect',
        address,
        port.number,
        'send=5',
        'fin',
        'drain',
      ]);
      await untilJson(port.program, "the device's FIN", line => line.event === 'fin');
      await port.tell('end');
      await untilSaid(polite, { saw: 'fin', bytes: 0 });
      const byPeople = ['fin from-device stream', 'fin to-device stream'];
      await toldExactly(t, port, [...connected, ...byPeople]);
      const rude = tcpPeer(t, stage.home.device, ['connect', address, port.number, 'go', 'rst'], {
        stdin: 'pipe',
      });
      await untilConnections(port, 2);
      rude.write('\n');
      await toldExactly(t, port, [...connected, ...byPeople, ...connected, 'rst from-device stream']);
      const patient = tcpPeer(t, stage.home.device, ['connect', address, port.number, 'drain']);
      await untilConnections(port, 3);
      await port.tell('reset');
      await untilSaid(patient, { saw: 'ECONNRESET' });
      await toldExactly(t, port, [
        ...connected,
        ...byPeople,
        ...connected,
        'rst from-device stream',
        ...connected,
        'rst to-device stream',
      ]);
    },
  );
}

claim('of a number that is not opened, or not any more, nobody is told', async (t, stage) => {
  const port = await watchedPort(t, stage, gatewayLan);
  const knock = async (number: number) => {
    await tcpPeer(t, stage.home.device, ['connect', gatewayLan, number]).exited;
  };
  await knock(port.number + 500);
  await knock(port.number);
  await toldExactly(t, port, ['refused']);
  await port.tell('close', { closed: true });
  await knock(port.number);
  const next = await watchedPort(t, stage, gatewayLan);
  await knock(next.number);
  await toldExactly(t, next, ['refused']);
  t.is(port.events().length, 1);
});

claim(
  'a connection that is reset before anybody could take it is told all the same, once (S16)',
  async (t, stage) => {
    const port = await watchedPort(t, stage, gatewayLan);
    await port.tell('listen', { listens: true });
    for (let times = 0; times < 10; times++)
      await tcpPeer(t, stage.home.device, ['connect', gatewayLan, port.number, 'rst']).exited;
    const count = (kind: string) => port.events().filter(({ event }) => event === kind).length;
    await until(() => count('syn') === 10 && count('rst') === 10, {
      what: 'ten attempts and ten ends',
      explain: () => JSON.stringify(port.events()),
    });
    const streams = port.events().filter(({ event, stream }) => event === 'rst' && stream !== undefined);
    t.is(streams.length, count('connected'));
  },
);

interface Told {
  readonly report: { readonly events?: Json };
}

async function reportedEvents({ site }: Stage): Promise<Json | undefined> {
  const { stdout } = await site.terminal('mediators', '--wait', mediatorName, '--json');
  const [mediator] = JSON.parse(stdout.trim().split('\n').at(-1) ?? '[]') as Told[];
  return mediator?.report.events;
}

async function doctorsEvents({ site }: Stage): Promise<Json | undefined> {
  const { stdout } = await site.terminal('doctor', '--json');
  return (JSON.parse(stdout) as Json[]).find(({ check }) => check === 'events');
}

claim('mediators and doctor say that events come from the wire', async (t, stage) => {
  t.deepEqual(await reportedEvents(stage), { from: 'wire' });
  t.like(await doctorsEvents(stage), {
    good: true,
    detail: `${mediatorName}: off the wire, attempts and refusals too`,
  });
});

claim(
  'without CAP_NET_RAW sockets alone tell of events, and mediators and doctor say so',
  async (t, stage) => {
    const { site, home } = stage;
    await site.mediator.stop('SIGTERM', 5_000);
    const reduced = site.startMediator(['setpriv', '--bounding-set', '-net_raw']);
    t.teardown(() => reduced.stop('SIGKILL'));
    await until(async () => (await reportedEvents(stage))?.from === 'socket', {
      what: 'the reduced mediator',
    });
    t.is((await reportedEvents(stage))?.why, 'CAP_NET_RAW is missing');
    const { good, detail, advice } = (await doctorsEvents(stage)) ?? {};
    t.is(good, true);
    t.regex(String(detail), /from sockets alone.*CAP_NET_RAW is missing/);
    t.regex(String(advice), /CAP_NET_RAW/);
    const port = await watchedPort(t, stage, gatewayLan);
    await tcpPeer(t, home.device, ['connect', gatewayLan, port.number]).exited;
    await port.tell('listen', { listens: true });
    const polite = tcpPeer(t, home.device, ['connect', gatewayLan, port.number, 'fin', 'drain']);
    await untilJson(port.program, "the device's FIN", line => line.event === 'fin');
    await port.tell('end');
    await untilSaid(polite, { saw: 'fin' });
    await toldExactly(t, port, [
      'connected from-device stream',
      'fin from-device stream',
      'fin to-device stream',
    ]);
  },
);
