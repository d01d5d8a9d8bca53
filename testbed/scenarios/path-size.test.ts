import { join } from 'node:path';
import process from 'node:process';
import { type Program, until } from 'netns-test-helpers';
import { startEcho } from '../demo/device.ts';
import { mediatorName } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { programPath } from './support/peers.ts';
import { type Stage, setStage } from './support/stage.ts';
import { jsonLines, type Teardown, untilJson } from './support/verbs.ts';

/** An access line in the middle that takes less than an Ethernet, and says nothing of it (P7.5). */

const { device, gatewayLan } = homeAddresses;

/** Of a line: its longest IP packet. Of a channel: what that leaves behind the headers of IPv4 and UDP. */
const [narrow, packetBytes, ethernetPacketBytes] = [1_280, 1_252, 1_472];

/** What a packet needs beside a datagram to an IPv4 peer: header, tag, route, peer. */
const overheadBytes = 43;

const narrowLine = { dropLongerThan: narrow };

const claim = setStage({
  name: 'scsize',
  home: { line: { delayMs: 2 } },
  peers: async home => {
    // TCP has a search of its own.
    for (const end of [home.gateway, home.server]) await end.sysctl({ 'net.ipv4.tcp_mtu_probing': 1 });
    await startEcho(home.device);
    await home.line?.set(narrowLine);
  },
  share: async ({ site, home }) => {
    const directory = join(String(site.terminalEnv.XDG_CONFIG_HOME), 'entremise', 'default');
    const start = (t: Teardown, bytes: number): Program => {
      const words = [directory, mediatorName, gatewayLan, device, '7', '50', String(bytes)];
      const program = home.terminal.spawn([process.execPath, programPath('sdk-redirect.mjs'), ...words], {
        stdin: 'pipe',
      });
      t.teardown(() => program.stop('SIGKILL'));
      return program;
    };
    return { start };
  },
});

interface Told {
  readonly report: { readonly path: { readonly packetBytes?: number } };
}

async function sizeSaid({ site }: Stage): Promise<unknown> {
  const { stdout } = await site.terminal('mediators', '--wait', mediatorName, '--json');
  const [mediator] = JSON.parse(stdout.trim().split('\n').at(-1) ?? '[]') as Told[];
  return mediator?.report.path.packetBytes;
}

const untilSize = (stage: Stage, bytes: number) =>
  until(async () => (await sizeSaid(stage)) === bytes, {
    what: `the size of the path to be ${bytes}`,
    deadlineMs: 60_000,
    intervalMs: 500,
  });

/** Waits until so many more answers have come. */
async function untilAnswers(program: Program, more: number): Promise<void> {
  const answeredOf = () =>
    Number(jsonLines(program.stdout).findLast(line => 'answered' in line)?.answered ?? 0);
  const before = answeredOf();
  const isThere = () => answeredOf() >= before + more;
  await until(isThere, { what: `${more} more answers`, deadlineMs: 45_000 });
}

claim('P7.5: the size of a path that is narrow in the middle is found, and said', async (t, stage) => {
  await untilSize(stage, packetBytes);
  t.true(((await stage.home.line?.counters())?.there.tooLong ?? 0) > 0, 'this line is what it says');
});

// In one packet, in two, and in the TCP channel, each way.
for (const [bytes, how] of [
  [packetBytes - overheadBytes, 'the longest of one packet'],
  [packetBytes - overheadBytes + 1, 'the shortest of two packets'],
  [2 * (packetBytes - overheadBytes), 'two packets'],
  [4_000, 'the TCP channel'],
] as const)
  claim(`P7.5: datagrams of ${bytes} bytes come back over a narrow path: ${how}`, async (t, stage) => {
    const program = stage.start(t, bytes);
    await untilJson(program, 'UDP', line => line.result === 'udp' || line.channel === 'udp');
    await untilAnswers(program, 40);
    t.pass();
  });

claim(
  'P7.5: what comes in two packets and is too long for the next channel goes on by TCP',
  async (t, stage) => {
    // The terminal's own path is an Ethernet's: two packets of its hold more than two of the mediator's.
    const program = stage.start(t, 2 * packetBytes + 100);
    await untilJson(program, 'UDP', line => line.result === 'udp' || line.channel === 'udp');
    await untilAnswers(program, 40);
    t.pass();
  },
);

claim(
  'P7.5: a path that becomes narrow under way, without a word, is noticed by both ends',
  async (t, stage) => {
    const { line } = stage.home;
    await line?.clear();
    t.teardown(() => line?.clear());
    // A mediator that begins on this path finds what an Ethernet takes.
    await stage.site.mediator.stop('SIGTERM', 3_000);
    stage.site.startMediator();
    await untilSize(stage, ethernetPacketBytes);
    const program = stage.start(t, ethernetPacketBytes - overheadBytes);
    await untilJson(program, 'UDP', told => told.result === 'udp' || told.channel === 'udp');
    await untilAnswers(program, 40);
    await line?.set(narrowLine);
    await untilAnswers(program, 40);
    await untilSize(stage, packetBytes);
    t.pass();
  },
);
