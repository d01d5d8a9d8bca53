import { once } from 'node:events';
import type { Socket } from 'node:net';
import test from 'ava';
import { device, pattern } from './testing/devices.ts';
import { eventually } from './testing/eventually.ts';
import { heldLab } from './testing/held-lab.ts';

const host = '127.0.0.1';

test('P4.3: a lost label suspends; sockets stay, and every byte comes once over the next', async t => {
  const { attachment, told, goAway, comeBack, server } = await heldLab(t);
  const accepted: Socket[] = [];
  const { port } = await device(t, socket => void accepted.push(socket));
  const socket = attachment.connect({ host, port });
  await once(socket, 'connect');
  await eventually('the device has it', () => accepted.length === 1);
  const [atDevice] = accepted;
  if (atDevice === undefined) return t.fail();
  const [up, down] = [pattern(3_000_000), pattern(2_000_000).reverse()];
  const received: Record<'up' | 'down', Buffer[]> = { up: [], down: [] };
  atDevice.on('data', bytes => void received.up.push(bytes));
  socket.on('data', bytes => void received.down.push(bytes));
  socket.write(up.subarray(0, 1_000_000));
  atDevice.write(down.subarray(0, 1_000_000));
  await goAway();
  t.like(attachment.suspended, { reason: 'link-lost' });
  socket.end(up.subarray(1_000_000));
  atDevice.end(down.subarray(1_000_000));
  await comeBack();
  await Promise.all([once(socket, 'close'), once(atDevice, 'close')]);
  t.true(Buffer.concat(received.up).equals(up));
  t.true(Buffer.concat(received.down).equals(down));
  t.deepEqual(told, ['suspended link-lost', 'resumed']);
  t.is(attachment.suspended, undefined);
  const [first, second, ...more] = server.attaches;
  t.deepEqual(more, []);
  t.deepEqual(second?.attachmentId, first?.attachmentId);
  t.true((second?.attempt ?? 0) > (first?.attempt ?? 0));
});

test('P4.3: the terminal’s own lost link suspends and resumes in the same way', async t => {
  const { attachment, told, server, terminal } = await heldLab(t);
  const { port } = await device(t, socket => socket.pipe(socket));
  const socket = attachment.connect({ host, port });
  await once(socket, 'connect');
  server.breakLink();
  await once(attachment, 'suspended');
  socket.write('over the break');
  const echoed = once(socket, 'data');
  await once(terminal, 'connected');
  t.is(String((await echoed)[0]), 'over the break');
  t.deepEqual(told, ['suspended link-lost', 'resumed']);
});
