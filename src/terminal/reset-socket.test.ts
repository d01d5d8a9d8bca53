import { once } from 'node:events';
import net, { type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { resetSocket } from './reset-socket.ts';
import { device } from './testing/devices.ts';

/** A connection to a device that says how it ended. */
async function connection(
  t: ExecutionContext,
): Promise<{ readonly socket: Socket; readonly ended: Promise<string> }> {
  let told: (how: string) => void = () => {};
  const ended = new Promise<string>(resolve => {
    told = resolve;
  });
  const { port } = await device(t, peer => {
    peer.resume();
    peer.on('end', () => told('FIN')).on('error', ({ message }) => told(message));
  });
  const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true }).on('error', () => {});
  await once(socket, 'connect');
  return { socket, ended };
}

const closed = (socket: Socket) => new Promise(resolve => socket.once('close', resolve));

test('an open connection ends by RST', async t => {
  const { socket, ended } = await connection(t);
  const over = closed(socket);
  resetSocket(socket);
  await over;
  t.regex(await ended, /ECONNRESET/);
});

test('one whose FIN is on its way is closed all the same', async t => {
  const { socket } = await connection(t);
  const over = closed(socket);
  socket.end('last words');
  // Written at once, so that the FIN alone is under way.
  await new Promise(resolve => process.nextTick(resolve));
  resetSocket(socket);
  await over;
  t.pass();
});
