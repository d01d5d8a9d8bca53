import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { type Namespace, type Program, until } from 'netns-test-helpers';
import { EntremiseError } from '../../src/base/errors.ts';

/** Flows like those of a telephone call, by `testbed/programs/call.py`. */

const programOf = (name: string) =>
  fileURLToPath(new URL(`../../../testbed/programs/${name}`, import.meta.url));

/** One way that a flow goes. */
export interface CallWay {
  readonly what: string;
  /** Where the device sends to. */
  readonly to: { readonly address: string; readonly number: number };
  /** Where the terminal receives. */
  readonly at: { readonly address: string; readonly number: number };
}

/** What came of a flow; times are one way. */
export interface CallReading {
  readonly sent: number;
  readonly received: number;
  readonly doubled: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly jitterMs: number;
}

/** Bytes of a flow's datagram. */
export const callBytes = 160;

/** Latencies count from then on: the bulk beside them has to grow first. */
const settleSeconds = 1.5;

async function startReceiver(where: Namespace, { at, what }: CallWay): Promise<Program> {
  const words = ['receive', at.address, at.number, settleSeconds].map(String);
  const program = where.spawn(['python3', programOf('call.py'), ...words], { stdin: 'pipe' });
  await until(() => program.stdout.includes('listening'), {
    what: `the receiver of ${what}`,
    explain: () => program.stderr,
  });
  return program;
}

/**
 * Sends one flow by each way at once for so long.
 * @throws EntremiseError `internal` when nothing arrives by one of them
 */
export async function callFlows(
  device: Namespace,
  terminal: Namespace,
  ways: readonly CallWay[],
  seconds: number,
): Promise<ReadonlyMap<string, CallReading>> {
  const receivers = await Promise.all(ways.map(way => startReceiver(terminal, way)));
  const send = async ({ to }: CallWay) => {
    const words = ['send', to.address, to.number, seconds].map(String);
    const options = { deadlineMs: (seconds + 30) * 1_000 };
    return JSON.parse(await device.run(['python3', programOf('call.py'), ...words], options)) as {
      sent: number;
    };
  };
  const sent = await Promise.all(ways.map(send));
  const readings = receivers.map(async (receiver, index): Promise<[string, CallReading]> => {
    receiver.endInput();
    await receiver.exited;
    const what = ways[index]?.what ?? '';
    const told = JSON.parse(receiver.stdout.trim().split('\n').at(-1) ?? '{}') as CallReading;
    if (!(told.received > 0) || told.p99Ms === null)
      throw new EntremiseError('internal', {
        message: `Nothing arrived through ${what}: ${receiver.stderr}`,
      });
    return [what, { ...told, sent: sent[index]?.sent ?? 0 }];
  });
  return new Map(await Promise.all(readings));
}

/** Opens a UDP port of the mediator whose datagrams come by the TCP channel to a local number; gives its number. */
export async function openByTcp(
  terminal: Namespace,
  words: readonly [profile: string, mediator: string, address: string, local: string],
): Promise<number> {
  const program = terminal.spawn([process.execPath, programOf('sdk-opened-udp.mjs'), ...words]);
  const [, number] = await program.untilOutput(/"number":(\d+)/, 30_000);
  return Number(number);
}

/** A flow's datagram in a packet of a channel (P7.2): header, route, peer of IPv4 and tag around it. */
const packetBytes = callBytes + 16 + 4 + 7 + 16;

/** Headers of IPv4 and UDP; once for all packets that a kernel has not yet cut up. */
const headerBytes = 28;

/** Counts the packets of flows through a UDP channel at both ends of a line. */
export class LineCount {
  private readonly ends: readonly Namespace[];

  private constructor(ends: readonly Namespace[]) {
    this.ends = ends;
  }

  /** Counts from now on what leaves `from` by an interface and comes to `to` by another, towards a UDP number. */
  static async start(
    from: { readonly where: Namespace; readonly by: string },
    to: { readonly where: Namespace; readonly by: string },
    number: number,
  ): Promise<LineCount> {
    // Longer than packets of the channel's own, which come now and then, but for the one that it begins with.
    const flows = `udp dport ${number} udp length > ${callBytes} udp length != 1208 counter`;
    const rules = async (where: Namespace, hook: string, side: string) => {
      await where.run(['nft', 'add table inet call']);
      await where.run(['nft', `add chain inet call flows { type filter hook ${hook} ; }`]);
      await where.run(['nft', `add rule inet call flows ${side} ${flows}`]);
    };
    await rules(from.where, 'postrouting priority 300', `oifname "${from.by}"`);
    await rules(to.where, 'prerouting priority -300', `iifname "${to.by}"`);
    return new LineCount([from.where, to.where]);
  }

  /** How many the line has lost so far. */
  async lost(): Promise<number> {
    const counts = this.ends.map(async where => {
      const table = await where.run(['nft', 'list table inet call']);
      const [, packets, bytes] = /counter packets (\d+) bytes (\d+)/.exec(table) ?? [];
      return Math.round((Number(bytes) - headerBytes * Number(packets)) / packetBytes);
    });
    const [left = 0, came = 0] = await Promise.all(counts);
    return left - came;
  }
}
