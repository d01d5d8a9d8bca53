import type { ExecutionContext } from 'ava';
import { type Program, until } from 'netns-test-helpers';
import { mediatorName } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { tcpPeer, tcpService, untilSaid } from './support/peers.ts';
import { type Stage, setStage } from './support/stage.ts';
import { type Json, jsonLines, startForward, startVerb, untilJson } from './support/verbs.ts';

/** How connections end: FIN stays FIN, one half at a time, and RST stays RST, behind the bytes that came before it. */

const claim = setStage({ name: 'scends' });

const { device } = homeAddresses;
let nextNumber = 4000;

interface Pair {
  readonly device: Program;
  readonly client: Program;
}

/** A connection through a forward, each end doing its steps. */
async function connection(
  t: ExecutionContext,
  stage: Stage,
  steps: { readonly device: readonly string[]; readonly client: readonly string[] },
): Promise<Pair> {
  const number = nextNumber++;
  const service = await tcpService(t, stage.home.device, device, number, steps.device);
  const { ports } = await startForward(t, stage, `${device}:${number}`);
  const words = ['connect', '127.0.0.1', String(ports[0]), ...steps.client];
  return { device: service, client: tcpPeer(t, stage.home.terminal, words, { stdin: 'pipe' }) };
}

claim('a client that has ended its half still gets the answer (P3.5)', async (t, stage) => {
  const steps = { device: ['drain', 'send=300000', 'fin'], client: ['send=200000', 'fin', 'drain'] };
  const ends = await connection(t, stage, steps);
  await untilSaid(ends.device, { saw: 'fin', bytes: 200_000, intact: true });
  await untilSaid(ends.client, { saw: 'fin', bytes: 300_000, intact: true });
  t.pass();
});

claim('a device that has ended its half still gets what the client sends (P3.5)', async (t, stage) => {
  const steps = { device: ['send=300000', 'fin', 'drain'], client: ['drain', 'send=200000', 'fin'] };
  const ends = await connection(t, stage, steps);
  await untilSaid(ends.client, { saw: 'fin', bytes: 300_000, intact: true });
  await untilSaid(ends.device, { saw: 'fin', bytes: 200_000, intact: true });
  t.pass();
});

claim("a device's RST reaches the client as RST, behind the bytes before it (P3.6)", async (t, stage) => {
  const number = nextNumber++;
  await tcpService(t, stage.home.device, device, number, ['read=1', 'send=10000', 'rst']);
  const { ports } = await startForward(t, stage, `${device}:${number}`);
  const words = ['connect', '127.0.0.1', String(ports[0]), 'send=1', 'drain'];
  const clients = Array.from({ length: 10 }, () => tcpPeer(t, stage.home.terminal, words));
  for (const client of clients) await untilSaid(client, { saw: 'ECONNRESET', bytes: 10_000, intact: true });
  t.pass();
});

claim("a client's RST reaches the device as RST, behind the bytes before it (P3.6)", async (t, stage) => {
  const number = nextNumber++;
  const service = await tcpService(t, stage.home.device, device, number, ['drain']);
  const { ports } = await startForward(t, stage, `${device}:${number}`);
  const words = ['connect', '127.0.0.1', String(ports[0]), 'send=10000', 'rst'];
  for (let times = 0; times < 10; times++) await tcpPeer(t, stage.home.terminal, words).exited;
  const seen = () => jsonLines(service.stdout).filter(line => 'saw' in line);
  await until(() => seen().length === 10, { what: 'ten ends at the device' });
  for (const end of seen()) t.deepEqual(end, { saw: 'ECONNRESET', bytes: 10_000, intact: true });
});

claim('a RST is not held up by a client that does not read (P3.6)', async (t, stage) => {
  const steps = { device: ['read=1', 'rst'], client: ['send=1', 'go', 'send=1', 'drain'] };
  const ends = await connection(t, stage, steps);
  await untilSaid(ends.device, { did: 'rst' });
  await untilSaid(ends.client, { waits: 'go' });
  ends.client.write('\n');
  await ends.client.exited;
  t.regex(ends.client.stdout, /"saw": "(ECONNRESET|EPIPE)"/);
});

claim('a target that refuses resets the client, and the forward says so', async (t, stage) => {
  const { program, ports } = await startForward(t, stage, `${device}:9`);
  const client = tcpPeer(t, stage.home.terminal, ['connect', '127.0.0.1', Number(ports[0]), 'drain']);
  await untilSaid(client, { saw: 'ECONNRESET', bytes: 0 });
  const said = await untilJson(program, 'that it was refused', line => 'refused' in line);
  t.regex(String(said.refused), /refused/i);
});

claim('a target that is not there resets the client, and the forward says so', async (t, stage) => {
  const { program, ports } = await startForward(t, stage, '192.168.1.77:80');
  const client = tcpPeer(t, stage.home.terminal, ['connect', '127.0.0.1', Number(ports[0]), 'drain']);
  await untilSaid(client, { saw: 'ECONNRESET', bytes: 0 });
  const said = await untilJson(program, 'that it cannot be reached', line => 'refused' in line);
  t.regex(String(said.status), /192\.168\.1\.77:80.*cannot be reached/);
});

claim(
  'a forward that is ended resets what runs through it, at both ends, and is exit code 0',
  async (t, stage) => {
    const number = nextNumber++;
    const service = await tcpService(t, stage.home.device, device, number, ['read=5', 'send=7', 'drain']);
    const { program, ports } = await startForward(t, stage, `${device}:${number}`);
    const words = ['connect', '127.0.0.1', Number(ports[0]), 'send=5', 'read=7', 'drain'];
    const client = tcpPeer(t, stage.home.terminal, words);
    await untilSaid(client, { did: 'read', bytes: 7 });
    t.deepEqual(await program.stop('SIGTERM', 2_000), { code: 0, signal: null });
    await untilSaid(client, { saw: 'ECONNRESET', bytes: 7 });
    await untilSaid(service, { saw: 'ECONNRESET', bytes: 5 });
  },
);

claim('events tell who ended what, when and where (S16)', async (t, stage) => {
  const events = startVerb(t, stage, ['events', mediatorName]);
  await untilJson(events, 'that it follows', line => 'status' in line);
  const before = Date.now();
  await connection(t, stage, { device: ['drain', 'send=7', 'fin'], client: ['send=5', 'fin', 'drain'] });
  const isFin = (direction: string) => (line: Json) => line.kind === 'fin' && line.direction === direction;
  const sent = await untilJson(events, "the client's FIN", isFin('to-device'));
  const answered = await untilJson(events, "the device's FIN", isFin('from-device'));
  t.deepEqual([sent.offset, answered.offset], [5, 7]);
  t.deepEqual([sent.port, sent.stream], [answered.port, answered.stream]);
  t.true(Number(sent.timeMs) >= before - 1000 && Number(answered.timeMs) <= Date.now() + 1000);
  await connection(t, stage, { device: ['read=1', 'send=3', 'rst'], client: ['send=1', 'drain'] });
  const reset = await untilJson(events, "the device's RST", line => line.kind === 'rst');
  t.like(reset, { direction: 'from-device', offset: 3 });
  const ends = await connection(t, stage, { device: ['read=4', 'drain'], client: ['send=4', 'go', 'rst'] });
  await untilSaid(ends.device, { did: 'read', bytes: 4 });
  ends.client.write('\n');
  const isOwn = (line: Json) => line.kind === 'rst' && line.direction === 'to-device';
  t.is((await untilJson(events, "the client's RST", isOwn)).offset, 4);
});
