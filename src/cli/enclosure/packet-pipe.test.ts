import { PassThrough } from 'node:stream';
import test from 'ava';
import { PacketPipe, type PipedPacket } from './packet-pipe.ts';

test('packets come out whole and in order, in whatever pieces their bytes come', async t => {
  const wire = new PassThrough();
  const sender = new PacketPipe(wire, () => {});
  const sent = ['first', '', 'a longer third'].map((text, note) => ({ note, packet: Buffer.from(text) }));
  const chunks: Buffer[] = [];
  wire.removeAllListeners('data');
  wire.on('data', (bytes: Buffer) => chunks.push(bytes));
  for (const packet of sent) sender.send(packet);
  await sender.flushed();
  const bytes = Buffer.concat(chunks);
  for (const pieceBytes of [1, 7, bytes.length]) {
    const taken: PipedPacket[] = [];
    const far = new PassThrough();
    const receiver = new PacketPipe(far, packet => taken.push(packet));
    for (let at = 0; at < bytes.length; at += pieceBytes) far.write(bytes.subarray(at, at + pieceBytes));
    await receiver.flushed();
    t.deepEqual(taken, sent, String(pieceBytes));
  }
});

test('what the other end does not take is dropped once much of it waits', async t => {
  const stuck = new PassThrough({ highWaterMark: 1 });
  const pipe = new PacketPipe(stuck, () => {});
  stuck.pause();
  const packet = Buffer.alloc(60_000);
  for (let count = 0; count < 1_000; count++) pipe.send({ note: 0, packet });
  t.true(stuck.writableLength < 9 * 1024 * 1024, `${stuck.writableLength}`);
});
