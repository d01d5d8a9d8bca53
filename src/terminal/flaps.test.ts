import { once } from 'node:events';
import net from 'node:net';
import test from 'ava';
import { device } from './testing/devices.ts';
import { eventually } from './testing/eventually.ts';
import { heldLab } from './testing/held-lab.ts';

const flaps = 300;

/** Listeners of everything that lives as long as the terminal, and what keeps this thread's loop busy. */
function held(
  emitters: readonly { eventNames(): (string | symbol)[]; listenerCount(name: never): number }[],
) {
  const listeners = emitters.map(each =>
    each.eventNames().map(name => [String(name), each.listenerCount(name as never)]),
  );
  const resources = process.getActiveResourcesInfo().filter(name => !/Timeout|Immediate/.test(name));
  return { listeners, resources: resources.sort() };
}

test('300 flaps of both links leave no port, no listener and no handle behind, and no byte is lost', async t => {
  const { terminal, server, attachment, told, goAway, comeBack } = await heldLab(t);
  const echo = await device(t, socket => socket.pipe(socket));
  const socket = attachment.connect({ host: '127.0.0.1', port: echo.port, allowHalfOpen: true });
  await once(socket, 'connect');
  let back = '';
  socket.on('data', bytes => {
    back += String(bytes);
  });
  const flap = async (index: number) => {
    const opening = attachment.open({ protocol: 'tcp' });
    socket.write(`${index};`);
    if (index % 10 === 0) {
      await goAway();
      await comeBack();
    } else {
      server.breakLink();
      await eventually('the link is lost', () => attachment.suspended !== undefined);
      await eventually('the attachment is resumed', () => attachment.suspended === undefined);
    }
    await (await opening).close();
  };
  for (let index = 0; index < 20; index++) await flap(index);
  const before = held([terminal, attachment, socket]);
  for (let index = 20; index < flaps; index++) await flap(index);
  t.deepEqual(held([terminal, attachment, socket]), before);
  const expected = Array.from({ length: flaps }, (_, index) => `${index};`).join('');
  await eventually('every byte is back', () => back.length >= expected.length);
  t.is(back, expected);
  t.is((await attachment.ports()).length, 1, 'that of the connection');
  t.false(told.some(each => each.startsWith('closed')));
  t.true(net.isIP(socket.remoteAddress ?? '') > 0);
  socket.destroy();
});
