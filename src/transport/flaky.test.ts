import test from 'ava';
import { fakeClock } from '../base/clock.ts';
import { transportComplies } from './compliance.ts';
import { type Faults, FlakyCut, FlakyTransport } from './flaky.ts';
import { memoryPair } from './memory.ts';
import { record } from './recording-handlers.ts';

transportComplies('flaky without faults', async () => {
  const { client, server } = memoryPair();
  return { client: new FlakyTransport(client), server: new FlakyTransport(server) };
});
transportComplies('flaky with split writes', async () => {
  const { client, server } = memoryPair();
  return {
    client: new FlakyTransport(client, { splitWrites: { seed: 1, maxBytes: 1500 } }),
    server: new FlakyTransport(server, { splitWrites: { seed: 2, maxBytes: 9000 } }),
  };
});

function flakyClient(faults: Faults) {
  const { client, server } = memoryPair();
  const flaky = new FlakyTransport(client, faults);
  return { flaky, server, atFlaky: record(flaky), atServer: record(server) };
}

const microtasks = () => new Promise(setImmediate);

test('a cut after sent bytes lets exactly these through', async t => {
  const { flaky, atFlaky, atServer } = flakyClient({ cutAfterSentBytes: 7 });
  for (const word of ['abcd', 'efgh', 'ijkl']) flaky.write(Buffer.from(word));
  await atServer.closed;
  t.is(atServer.bytes.toString(), 'abcdefg');
  t.true((await atFlaky.closed) instanceof FlakyCut);
});

test('a cut after received bytes hands out exactly these', async t => {
  const { server, atFlaky, atServer } = flakyClient({ cutAfterReceivedBytes: 5 });
  for (const word of ['abc', 'def', 'ghi']) server.write(Buffer.from(word));
  t.true((await atFlaky.closed) instanceof FlakyCut);
  t.is(atFlaky.bytes.toString(), 'abcde');
  await atServer.closed;
  t.is(atFlaky.closures.length, 1);
});

test('a cut on cue closes both ends at once', async t => {
  const { flaky, atFlaky, atServer } = flakyClient({});
  flaky.cut();
  flaky.cut();
  t.is((await atFlaky.closed)?.message, 'cut on cue');
  await atServer.closed;
  t.deepEqual([atFlaky.closures.length, atServer.closures.length], [1, 1]);
});

test('writes are split, and by the same seed in the same way', async t => {
  const sizesOf = async (seed: number) => {
    const { flaky, atServer } = flakyClient({ splitWrites: { seed, maxBytes: 5 } });
    flaky.write(Buffer.from('a longer text that is split'));
    await atServer.untilBytes(27);
    t.is(atServer.bytes.toString(), 'a longer text that is split');
    return atServer.pieces.map(piece => piece.length);
  };
  const sizes = await sizesOf(3);
  t.true(sizes.length > 5 && sizes.every(size => size >= 1 && size <= 5));
  t.deepEqual(await sizesOf(3), sizes);
  t.notDeepEqual(await sizesOf(4), sizes);
});

test('a delay holds bytes and the end back for exactly that long, in order', async t => {
  const clock = fakeClock();
  const { server, atFlaky } = flakyClient({ delay: { clock, delayMs: 100 } });
  server.write(Buffer.from('one'));
  await microtasks();
  clock.advance(60);
  server.write(Buffer.from('two'));
  server.end();
  await microtasks();
  clock.advance(39);
  t.is(atFlaky.receivedBytes, 0);
  clock.advance(1);
  t.is(atFlaky.bytes.toString(), 'one');
  clock.advance(59);
  t.is(atFlaky.bytes.toString(), 'one');
  clock.advance(1);
  t.is(atFlaky.bytes.toString(), 'onetwo');
  t.deepEqual(atFlaky.closures, [undefined]);
});
