import type { ExecutionContext } from 'ava';
import { type Program, until } from 'netns-test-helpers';
import { devicePage } from '../../demo/device.ts';
import { homeAddresses } from '../../topologies/home.ts';
import { tcpPeer, tcpService, untilSaid } from './peers.ts';
import type { Stage } from './stage.ts';
import { curl, startForward } from './verbs.ts';

/** One connection through a forward that is to end by a reset. */
export interface Connection {
  readonly forward: Program;
  /** A local number that leads to the device's web server. */
  readonly pagePort: number;
  readonly client: Program;
  readonly device: Program;
}

let nextNumber = 4_000;

/** A forward with a connection on which both ends wait for a word before they send on. */
export async function startConnection(t: ExecutionContext, stage: Stage): Promise<Connection> {
  const number = nextNumber++;
  const { device } = homeAddresses;
  const steps = ['read=5', 'send=7', 'go', 'send=11', 'drain'];
  const service = await tcpService(t, stage.home.device, device, number, steps);
  const { program, ports } = await startForward(t, stage, `${device}:${number}`, `${device}:80`);
  const words = ['connect', '127.0.0.1', Number(ports[0]), 'send=5', 'read=7', 'go', 'send=9', 'drain'];
  const client = tcpPeer(t, stage.home.terminal, words, { stdin: 'pipe' });
  await untilSaid(client, { waits: 'go' });
  await untilSaid(service, { waits: 'go' });
  return { forward: program, pagePort: Number(ports[1]), client, device: service };
}

/** Lets an end send on, and waits until it sees a RST, or a FIN. */
async function untilEnded(end: Program, deadlineMs: number): Promise<void> {
  end.write('\n');
  await until(() => /"saw": "(ECONNRESET|EPIPE|fin)"/.test(end.stdout), {
    what: `${end} to see the end`,
    deadlineMs,
    explain: () => end.stdout,
  });
}

/** These ends send on, and see a RST and never a FIN. */
export async function endByReset(
  t: ExecutionContext,
  ends: readonly Program[],
  deadlineMs: number,
): Promise<void> {
  await Promise.all(ends.map(end => untilEnded(end, deadlineMs)));
  for (const end of ends) t.notRegex(end.stdout, /"saw": "fin"/, `${end}`);
}

/** The forward serves the device's page again. */
export async function servesAgain(
  t: ExecutionContext,
  stage: Stage,
  { pagePort }: Connection,
): Promise<void> {
  const fetch = () => curl(stage.home.terminal, `http://127.0.0.1:${pagePort}/`);
  const again = await until(async () => (await fetch()).body === devicePage, {
    what: 'the forward to serve again',
    deadlineMs: 30_000,
    intervalMs: 200,
  });
  t.true(again);
}
