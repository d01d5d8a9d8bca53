import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import test from 'ava';
import { until } from 'netns-test-helpers';
import { flawsOfLoad, liesOfLoad, startLoad, trafficThroughForward } from './support/load.ts';
import { programPath } from './support/peers.ts';
import { setStage } from './support/stage.ts';
import { flawsOf, liesOf } from './support/traffic.ts';
import { jsonLines } from './support/verbs.ts';

/** The load that other scenarios run while something goes wrong: here nothing does, and it notices what it is to notice. */

const claim = setStage({ name: 'scload' });

claim('the usual load goes through forward and expose, every byte once and in order', async (t, stage) => {
  const load = await startLoad(t, stage);
  const answered = async () => ((await load.commandTotals())?.answered ?? 0) >= 5;
  await until(answered, { what: 'five commands to be answered' });
  await load.untilMoving();
  const outcome = await load.stop();
  t.deepEqual(flawsOfLoad(outcome), []);
  t.is(outcome.stories.length, 9);
  const idle = outcome.stories.find(({ connect }) => connect.manner === 'idle');
  t.deepEqual([idle?.connect.received, idle?.accept.received], [1_000, 1_000]);
});

for (const order of ['connect-first', 'accept-first'] as const)
  claim(`when halves end ${order}, the others go on until theirs end`, async (t, stage) => {
    const load = await startLoad(t, stage, { streams: 2, others: ['idle', 'up', 'down'], commands: 0 });
    const outcome = await load.stop(order);
    t.deepEqual(flawsOfLoad(outcome), []);
    t.is(outcome.stories.length, 7);
  });

claim(
  'a stream that one end aborts is told as a reset at the other, and hurts no other',
  async (t, stage) => {
    const specs = [1, 2].map(stream => ({ stream, manner: 'both' as const }));
    const traffic = await trafficThroughForward(t, stage, specs);
    await traffic.untilMoving();
    await traffic.abort('connect', 1);
    const [aborted, other] = await traffic.stop();
    t.is(aborted?.connect.receiveEnd, 'aborted');
    t.is(aborted?.accept.receiveEnd, 'ECONNRESET');
    t.deepEqual(liesOf(aborted ? [aborted] : []), []);
    t.deepEqual(flawsOf(other ? [other] : []), []);
  },
);

claim('streams that stand still are named, and go on when they can', async (t, stage) => {
  const load = await startLoad(t, stage, { streams: 1, others: [], commands: 0 });
  stage.site.mediator.kill('SIGSTOP');
  t.teardown(() => stage.site.mediator.kill('SIGCONT'));
  await t.throwsAsync(load.untilMoving(300), { message: /these stand: \[\{"stream":/ });
  stage.site.mediator.kill('SIGCONT');
  await load.untilMoving();
  t.deepEqual(liesOfLoad(await load.stop()), []);
});

const python = (words: readonly string[], input?: Buffer) =>
  spawnSync('python3', [programPath('traffic.py'), ...words], input === undefined ? {} : { input });

/** What is said of a stream whose bytes come in these pieces, each from one place to another. */
function verdictOn(...pieces: readonly (readonly [number, number] | Buffer)[]): unknown {
  const whole = python(['pattern', '7', 'up', '0', '400000']).stdout;
  const bytes = pieces.map(piece => (Buffer.isBuffer(piece) ? piece : whole.subarray(...piece)));
  const { stdout } = python(['check', '7', 'up'], Buffer.concat(bytes));
  return (JSON.parse(stdout.toString()) as { faults: unknown }).faults;
}

test('what a program has said is read though its output begins in the middle of a line', t => {
  t.deepEqual(jsonLines('{"stream":1},{"stream":2}],"n":1}\n{"n":2}\nplain\n{"n":3'), [{ n: 2 }]);
});

test('bytes that are lost, doubled, reordered and garbled are told apart, with place and size', t => {
  t.deepEqual(verdictOn([0, 400_000]), []);
  t.deepEqual(verdictOn([0, 100_000], [100_777, 400_000]), [{ kind: 'lost', at: 100_000, bytes: 777 }]);
  t.deepEqual(verdictOn([0, 100_000], [99_000, 400_000]), [{ kind: 'doubled', at: 99_000, bytes: 1_000 }]);
  t.deepEqual(verdictOn([0, 100_000], [101_000, 102_000], [100_000, 101_000], [102_000, 400_000]), [
    { kind: 'reordered', at: 100_000, bytes: 1_000 },
  ]);
  t.deepEqual(verdictOn([0, 100_000], Buffer.from('not of it'), [100_009, 400_000]), [
    { kind: 'garbled', at: 100_000, bytes: 9 },
  ]);
  const ofAnother = python(['pattern', '8', 'up', '0', '1000']).stdout;
  t.deepEqual(verdictOn(ofAnother), [{ kind: 'garbled', at: 0, bytes: 1_000 }]);
});

test('a RST is told as such, though the kernel tells it to the one that sends and the reader sees an end', async t => {
  const server = createServer(socket => {
    socket.on('error', () => {});
    socket.once('data', () => socket.resetAndDestroy());
  }).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const specs = Array.from({ length: 24 }, (_, at) => `${at + 1}:both:0`);
  const { port } = server.address() as AddressInfo;
  const program = spawn('python3', [
    programPath('traffic.py'),
    'connect',
    '127.0.0.1',
    String(port),
    ...specs,
  ]);
  const ends = jsonLines(await text(program.stdout)).filter(line => line.ended === true);
  t.deepEqual(
    ends.map(({ receiveEnd }) => receiveEnd),
    specs.map(() => 'ECONNRESET'),
  );
});
