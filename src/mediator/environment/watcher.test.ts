import test from 'ava';
import { fakeClock } from '../../base/clock.ts';
import type { Environment } from './environment.ts';
import { EnvironmentWatcher } from './watcher.ts';

const environment: Environment = {
  interfaces: [],
  strayAddresses: [],
  hostname: 'gw',
  model: undefined,
  release: undefined,
  routes: [],
  bootId: undefined,
  board: undefined,
  networks: [],
  prefixes: [],
};

/** `told`: there is somebody who tells of changes, as the kernel does where the addon is. */
function scene(told: boolean) {
  const clock = fakeClock();
  const now = { environment, wayOut: 'wan', reads: 0 };
  const changes: [number, string][] = [];
  let onNews: (() => void) | undefined;
  const watcher = new EnvironmentWatcher(
    {
      read() {
        now.reads++;
        return now.environment;
      },
      wayOut: () => now.wayOut,
      watchNetwork(tell) {
        if (!told) return undefined;
        onNews = tell;
        return () => {
          onNews = undefined;
        };
      },
    },
    clock,
    () => changes.push([clock.now(), watcher.current.hostname]),
  );
  watcher.start();
  const rename = (hostname: string) => {
    now.environment = { ...environment, hostname };
  };
  return {
    clock,
    now,
    changes,
    watcher,
    rename,
    news: () => onNews?.(),
    isWatched: () => onNews !== undefined,
  };
}

test('S5: another way out is seen within a second where nobody tells, however lately everything was read', t => {
  const { clock, now, changes, rename, watcher } = scene(false);
  clock.advance(3_000);
  t.is(now.reads, 2);
  rename('renamed');
  now.wayOut = 'wwan';
  clock.advance(1_000);
  t.deepEqual(changes, [[4_000, 'renamed']]);
  clock.advance(60_000);
  t.is(changes.length, 1);
  t.true(now.reads <= 24);
  watcher.stop();
});

for (const told of [false, true])
  test(`S5: a change is told within 5 s, no change never, and nothing is read more than every 2 s${told ? ', the kernel telling nothing' : ''}`, t => {
    const { clock, now, changes, rename, watcher } = scene(told);
    clock.advance(60_000);
    t.deepEqual(changes, []);
    t.is(now.reads, 21);
    rename('renamed');
    clock.advance(5_000);
    t.is(changes.length, 1);
    for (let signs = 0; signs < 100; signs++) watcher.look();
    t.true(now.reads <= 24);
    watcher.stop();
    rename('later');
    clock.advance(60_000);
    t.is(changes.length, 1);
  });

test('S5: what the kernel tells is followed at once, and a burst of it twice', t => {
  const { clock, now, changes, rename, news, watcher, isWatched } = scene(true);
  clock.advance(1_000);
  rename('another');
  news();
  t.deepEqual(changes, [[1_000, 'another']]);
  rename('one more');
  for (let messages = 0; messages < 100; messages++) news();
  t.is(now.reads, 2);
  clock.advance(250);
  t.deepEqual(changes.slice(1), [[1_250, 'one more']]);
  clock.advance(1_000);
  t.is(now.reads, 3);
  watcher.stop();
  t.false(isWatched());
});

test('a sign that comes just after a look is followed up later, unless the kernel tells before', t => {
  const { clock, changes, rename, news, watcher } = scene(true);
  clock.advance(3_500);
  rename('first');
  watcher.look();
  clock.advance(1_400);
  t.deepEqual(changes, []);
  clock.advance(100);
  t.deepEqual(changes, [[5_000, 'first']]);
  rename('second');
  watcher.look();
  news();
  watcher.look();
  clock.advance(250);
  t.deepEqual(changes.slice(1), [[5_250, 'second']]);
  watcher.stop();
});
