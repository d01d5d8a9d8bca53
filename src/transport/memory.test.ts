import test from 'ava';
import { transportComplies } from './compliance.ts';
import { memoryPair } from './memory.ts';
import { record } from './recording-handlers.ts';

transportComplies('memory', async () => memoryPair());
transportComplies('memory over setImmediate', async () => memoryPair({ defer: setImmediate }));
transportComplies(
  'memory in pieces of one to seven bytes',
  async () => {
    let count = 0;
    return memoryPair({ pieces: () => 1 + (count++ % 7) });
  },
  1,
);

/** A defer whose work runs when the test says so. */
function manualDefer() {
  let waiting: (() => void)[] = [];
  return {
    defer: (run: () => void) => void waiting.push(run),
    runAll() {
      while (waiting.length > 0) {
        const due = waiting;
        waiting = [];
        for (const run of due) run();
      }
    },
  };
}

test('nothing moves before the deferred work runs', t => {
  const { defer, runAll } = manualDefer();
  const { client, server } = memoryPair({ defer });
  const [atClient, atServer] = [record(client), record(server)];
  client.write(Buffer.from('hello'));
  t.is(atServer.receivedBytes, 0);
  t.is(client.backlogBytes, 5);
  runAll();
  t.is(atServer.bytes.toString(), 'hello');
  t.is(client.backlogBytes, 0);
  t.is(atClient.drains, 1);
});

test('an end that stops reading holds its capacity and the rest is the backlog of the other', t => {
  const { defer, runAll } = manualDefer();
  const { client, server } = memoryPair({ defer, capacityBytes: 1000 });
  const [atClient, atServer] = [record(client), record(server)];
  server.pauseReading();
  for (let count = 0; count < 3; count++) client.write(Buffer.alloc(700, count));
  runAll();
  t.is(client.backlogBytes, 1100);
  t.is(atServer.receivedBytes, 0);
  const drains = atClient.drains;
  server.resumeReading();
  runAll();
  t.is(client.backlogBytes, 0);
  t.true(atClient.drains > drains);
  t.deepEqual(atServer.bytes, Buffer.concat([0, 1, 2].map(value => Buffer.alloc(700, value))));
});

test('an end that does not read hears of the other one gone once it has read all', t => {
  const { defer, runAll } = manualDefer();
  const { client, server } = memoryPair({ defer, capacityBytes: 10 });
  const [atClient, atServer] = [record(client), record(server)];
  server.pauseReading();
  client.write(Buffer.alloc(25));
  client.end();
  runAll();
  t.deepEqual([atClient.closures.length, atServer.closures.length], [0, 0]);
  server.resumeReading();
  runAll();
  t.is(atServer.receivedBytes, 25);
  t.deepEqual([atClient.closures, atServer.closures], [[undefined], [undefined]]);
});

test('the writer may reuse its buffer once the backlog is gone, and the receiver may change its own', t => {
  const { defer, runAll } = manualDefer();
  const { client, server } = memoryPair({ defer });
  record(client);
  const atServer = record(server);
  const slab = Buffer.from('first');
  client.write(slab);
  runAll();
  atServer.pieces[0]?.fill('x');
  t.is(slab.toString(), 'first');
  slab.write('other');
  t.is(atServer.bytes.toString(), 'xxxxx');
});

test('pieces decides what is handed out at once', t => {
  const { defer, runAll } = manualDefer();
  const { client, server } = memoryPair({ defer, pieces: () => 2 });
  const atServer = record(server);
  client.write(Buffer.from('abcde'));
  client.write(Buffer.from('f'));
  runAll();
  t.deepEqual(atServer.pieces.map(String), ['ab', 'cd', 'e', 'f']);
});
