import test from 'ava';
import { connectTo, eventually, loopback } from '../transport/loopback.ts';
import { record } from '../transport/recording-handlers.ts';
import { requireAddon } from './addon.ts';
import { RetransmitLimit, tuneLink } from './link-socket.ts';

const native = requireAddon();
const tune = (socket: Parameters<typeof tuneLink>[1]) => tuneLink(native, socket, 16_384);

test('P8.1: both ends of a link know what of theirs the other machine has, until the link is closed', async t => {
  const { listener, transports } = await loopback(t, { tune });
  const ends = [await connectTo(t, listener, { tune }), await transports.next()];
  for (const [at, end] of ends.entries()) {
    const other = record(ends[1 - at] ?? end);
    const before = end.pathFacts()?.acknowledgedBytes ?? 0;
    end.write(Buffer.alloc(100_000));
    t.true(end.pathFacts()?.outstanding);
    await other.untilBytes(100_000);
    await eventually(() => end.pathFacts()?.outstanding === false);
    t.true((end.pathFacts()?.acknowledgedBytes ?? 0) >= before + 100_000);
  }
  const [client] = ends;
  client?.destroy();
  t.is(client?.pathFacts(), undefined);
});

test('P8.1: what is lost goes again each second, on a long path after four round trips, never after more than Linux takes', t => {
  const set: number[] = [];
  const limit = new RetransmitLimit(ms => set.push(ms));
  for (const roundTripMs of [40, 90, 1_500, 1_400, 600_000, 40]) limit.onRoundTrip(roundTripMs);
  t.deepEqual(set, [1_000, 6_000, 120_000, 1_000]);
});
