import test from 'ava';
import { fakeClock } from '../../base/clock.ts';
import { requireAddon } from '../../native/addon.ts';
import { pair } from '../../native/test-sockets.ts';
import { WatchedSocket } from '../../native/watched-socket.ts';
import { watcherOfMachine } from './this-machine.ts';

test('who stops looking twice does not close what a connection has had in its place since', async t => {
  const native = requireAddon();
  const { near, device } = await pair('connected');
  const closed: (string | undefined)[] = [];
  const closing = {
    watchNetwork: native.watchNetwork,
    closeWatch(watch: number) {
      const answer = native.closeWatch(watch);
      closed.push(answer);
      return answer;
    },
  };
  const watcher = watcherOfMachine(closing, fakeClock(), undefined, () => {});
  watcher.start();
  watcher.stop();
  const fin = new Promise<string>(resolve => {
    const handlers = { onFin: () => resolve('fin'), onReset: resolve, onClose() {} };
    const watched = new WatchedSocket(near, { onData() {}, ...handlers }, { native });
    watcher.stop();
    watched.resume();
  });
  device.end();
  t.is(await fin, 'fin');
  t.deepEqual(closed, [undefined]);
  near.destroy();
  device.destroy();
});
