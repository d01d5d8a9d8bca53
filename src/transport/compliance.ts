import { setImmediate as nextTurn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { fillUntilStuck, frameBytes, PatternReader, patternAt, sendPattern } from './pattern.ts';
import { RecordingHandlers, record } from './recording-handlers.ts';
import type { Transport } from './transport.ts';

/** What every {@link Transport} does, as tests. A new kind of transport is one when it passes them. */

/** Two transports that are each other's ends, not started. */
export interface ConnectedPair {
  readonly client: Transport;
  readonly server: Transport;
}

/** Makes a fresh pair and leaves nothing behind when the test is over. */
export type ConnectPair = (t: ExecutionContext) => Promise<ConnectedPair>;

/** Registers the suite under `name`; the big transfer moves `bulkMiB` each way. */
export function transportComplies(name: string, connectPair: ConnectPair, bulkMiB = 32): void {
  const bulkBytes = bulkMiB * 1024 * 1024;
  const claim = (title: string, run: (t: ExecutionContext, pair: ConnectedPair) => Promise<void>) =>
    test(`${name}: ${title}`, async t => {
      t.timeout(30_000);
      await run(t, await connectPair(t));
    });

  claim('bytes arrive in order both ways', async (t, { client, server }) => {
    const [atClient, atServer] = [record(client), record(server)];
    for (const word of ['one ', 'two ', 'three']) client.write(Buffer.from(word));
    server.write(Buffer.from('four'));
    await atServer.untilBytes(13);
    await atClient.untilBytes(4);
    t.is(atServer.bytes.toString(), 'one two three');
    t.is(atClient.bytes.toString(), 'four');
  });

  claim(`${bulkMiB} MiB both ways at once arrive unchanged`, async (t, { client, server }) => {
    const [atClient, atServer] = [new PatternReader(), new PatternReader()];
    client.start(atClient);
    server.start(atServer);
    sendPattern(client, atClient, bulkBytes);
    sendPattern(server, atServer, bulkBytes);
    await Promise.all([atClient.untilBytes(bulkBytes), atServer.untilBytes(bulkBytes)]);
    t.deepEqual([atClient.mismatchAt, atServer.mismatchAt], [undefined, undefined]);
    t.deepEqual([atClient.receivedBytes, atServer.receivedBytes], [bulkBytes, bulkBytes]);
  });

  claim('writes of one byte arrive in order', async (t, { client, server }) => {
    record(client);
    const atServer = new PatternReader();
    server.start(atServer);
    for (let index = 0; index < 3000; index++) client.write(patternAt(index, 1));
    await atServer.untilBytes(3000);
    t.is(atServer.mismatchAt, undefined);
  });

  claim('bytes that came before start are not lost', async (t, { client, server }) => {
    const atClient = record(client);
    client.write(Buffer.from('early'));
    await atClient.until(() => atClient.drains > 0);
    for (let turn = 0; turn < 5; turn++) await nextTurn();
    const atServer = record(server);
    await atServer.untilBytes(5);
    t.is(atServer.bytes.toString(), 'early');
  });

  claim('the backlog grows while the peer does not read and drains when it does', async (t, pair) => {
    const atClient = record(pair.client);
    const written = await fillUntilStuck(pair.client);
    t.true(pair.client.backlogBytes > 16 * frameBytes);
    const drainsWhileStuck = atClient.drains;
    const atServer = new PatternReader();
    pair.server.start(atServer);
    await atServer.untilBytes(written);
    await atClient.until(() => pair.client.backlogBytes === 0);
    t.true(atClient.drains > drainsWhileStuck);
    t.is(atServer.mismatchAt, undefined);
  });

  claim('each drain finds the backlog lower than the writes left it', async (t, { client, server }) => {
    record(server);
    const backlogs: number[] = [];
    const handlers = new RecordingHandlers();
    handlers.onDrain = () => {
      backlogs.push(client.backlogBytes);
      RecordingHandlers.prototype.onDrain.call(handlers);
    };
    client.start(handlers);
    for (let count = 0; count < 8; count++) client.write(patternAt(0, frameBytes));
    const queued = client.backlogBytes;
    t.is(queued, 8 * frameBytes);
    await handlers.until(() => client.backlogBytes === 0);
    t.true(backlogs.length >= 1 && backlogs.length <= 8);
    t.true((backlogs[0] ?? queued) < queued);
  });

  claim('end sends everything first, then both are closed without a cause', async (t, { client, server }) => {
    const [atClient, atServer] = [record(client), new PatternReader()];
    server.start(atServer);
    const total = 200 * frameBytes;
    for (let sent = 0; sent < total; sent += frameBytes) client.write(patternAt(sent, frameBytes));
    client.end();
    t.is(await atServer.closed, undefined);
    t.is(await atClient.closed, undefined);
    t.is(atServer.receivedBytes, total);
    t.is(atServer.mismatchAt, undefined);
  });

  claim('what is written after end goes nowhere and harms nothing', async (t, { client, server }) => {
    const [atClient, atServer] = [record(client), record(server)];
    client.write(Buffer.from('last'));
    client.end();
    client.write(Buffer.from('late'));
    client.end();
    t.is(await atServer.closed, undefined);
    await atClient.closed;
    client.write(Buffer.from('too late'));
    client.end();
    client.destroy();
    t.is(atServer.bytes.toString(), 'last');
  });

  claim('destroy loses what is not sent, and the peer hears of it', async (t, { client, server }) => {
    const atClient = record(client);
    const written = await fillUntilStuck(client);
    const cause = new Error('enough');
    client.destroy(cause);
    t.is(await atClient.closed, cause);
    const atServer = record(server);
    await atServer.closed;
    t.true(atServer.receivedBytes < written);
  });

  claim('onClosed is called once, and nothing after it', async (t, { client, server }) => {
    const [atClient, atServer] = [record(client), record(server)];
    server.write(patternAt(0, frameBytes));
    client.write(patternAt(0, frameBytes));
    client.destroy();
    client.destroy(new Error('again'));
    server.destroy();
    await Promise.all([atClient.closed, atServer.closed]);
    const counts = () => [atClient, atServer].map(at => [at.closures.length, at.receivedBytes, at.drains]);
    const atClose = counts();
    client.write(Buffer.from('x'));
    server.end();
    for (let turn = 0; turn < 10; turn++) await nextTurn();
    t.deepEqual(counts(), atClose);
    t.deepEqual([atClient.closures, atServer.closures], [[undefined], [undefined]]);
  });

  claim('nothing is handed out after destroy, not even what had come', async (t, { client, server }) => {
    record(client);
    for (let count = 0; count < 40; count++) client.write(patternAt(0, frameBytes));
    for (let turn = 0; turn < 20; turn++) await nextTurn();
    const handlers = new RecordingHandlers();
    handlers.onBytes = piece => {
      RecordingHandlers.prototype.onBytes.call(handlers, piece);
      server.destroy();
    };
    server.start(handlers);
    await handlers.closed;
    t.is(handlers.pieces.length, 1);
  });

  claim('no handler is called from within start, write, end or destroy', async (t, { client, server }) => {
    record(server);
    let depth = 0;
    const nested: string[] = [];
    const note = (what: string) => {
      if (depth > 0) nested.push(what);
    };
    const handlers = new RecordingHandlers();
    const { onClosed } = RecordingHandlers.prototype;
    handlers.onBytes = () => note('onBytes');
    handlers.onDrain = () => note('onDrain');
    handlers.onClosed = cause => {
      note('onClosed');
      onClosed.call(handlers, cause);
    };
    server.write(Buffer.from('x'));
    for (const act of [
      () => client.start(handlers),
      () => client.write(patternAt(0, frameBytes)),
      () => client.end(),
      () => client.destroy(),
    ]) {
      depth++;
      act();
      depth--;
    }
    await handlers.closed;
    t.deepEqual(nested, []);
  });

  claim('a transport that closed before start says so after it', async (t, { client, server }) => {
    const atClient = record(client);
    client.destroy();
    await atClient.closed;
    server.destroy();
    for (let turn = 0; turn < 10; turn++) await nextTurn();
    const atServer = new RecordingHandlers();
    server.start(atServer);
    t.is(atServer.closures.length, 0);
    await atServer.closed;
    t.is(atServer.closures.length, 1);
  });

  claim('a handler that throws closes its own transport only', async (t, { client, server }) => {
    const atClient = record(client);
    const handlers = new RecordingHandlers();
    const fault = new Error('a bug');
    handlers.onBytes = () => {
      throw fault;
    };
    server.start(handlers);
    client.write(Buffer.from('x'));
    t.is(await handlers.closed, fault);
    await atClient.closed;
    t.is(handlers.closures.length, 1);
  });

  claim('keying material is the same at both ends and nowhere else', async (t, { client, server }) => {
    const other = await connectPair(t);
    const exported = (transport: Transport, label: string) =>
      transport.exportKeyingMaterial(label, 32).toString('hex');
    const label = 'EXPORTER-entremise-link-v1';
    t.is(exported(client, label), exported(server, label));
    t.is(client.exportKeyingMaterial(label, 48).length, 48);
    t.is(new Set([client, other.client].flatMap(end => [exported(end, label), exported(end, 'b')])).size, 4);
    const closed = record(client);
    client.destroy();
    await closed.closed;
    t.throws(() => exported(client, label), { code: 'link-closed' });
    for (const end of [other.client, other.server, server]) end.destroy();
  });

  claim('both ends know the same pin, the same protocol, and whom they talk to', async (t, pair) => {
    t.is(pair.client.serverPin.length, 32);
    t.deepEqual(pair.client.serverPin, pair.server.serverPin);
    t.is(pair.client.alpn, pair.server.alpn);
    t.regex(pair.client.remote, /.:./);
    t.regex(pair.server.remote, /.:./);
  });
}
