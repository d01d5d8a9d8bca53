import { until } from 'netns-test-helpers';
import { namedMishap, type World } from '../soak/mishaps.ts';
import { namedFault } from '../topologies/faults.ts';
import { goesOn, type Loaded } from './support/goes-on.ts';
import { linkEnds } from './support/link-ends.ts';
import { flawsOfLoad, startLoad } from './support/load.ts';
import { type Stage, setStage } from './support/stage.ts';

/**
 * What must not break anything, and what breaks a link that is then made anew: one load for all of this file, of which in
 * the end every byte has come once and in order and every command has run once. What must break links: resume.test.ts; how
 * soon a dead one is found: dead-paths.test.ts.
 */

const claim = setStage<Loaded>({
  name: 'scfault',
  home: { line: {} },
  share: async stage => ({ now: { load: await startLoad({ teardown() {} }, stage) } }),
});

/** Bytes that each stream of the usual load carries each way in a second. */
const perSecond = 65_536;

function worldOf({ home, site, now }: Stage & Loaded): World {
  return { home, site, server: site.server, load: now.load };
}

for (const name of ['carrier forgets its NAT', 'gateway forgets its NAT'])
  claim(`F1, F8: ${name} while the home sends, and nobody notices`, async (t, stage) => {
    const before = linkEnds(stage);
    await namedFault(name)(stage.home);
    t.log(`all moved within ${Math.round(await stage.now.load.untilMoving(30_000, perSecond))} ms`);
    t.is(linkEnds(stage), before);
  });

claim('F9: the WAN address is replaced, and the server drops the old path', async (t, stage) => {
  const ended = () =>
    stage.site.server.stderr.split('\n').filter(line => /"home-1".*"link ended"/.test(line));
  const before = ended().length;
  await goesOn(t, stage, () => namedFault('WAN address replaced')(stage.home));
  await until(() => ended().length > before, { what: 'the server to drop it', deadlineMs: 5_000 });
  t.is(ended().length, before + 1);
});

claim('F12: while new flows are refused the links go on, and nobody calls for others', async (t, stage) => {
  const before = linkEnds(stage);
  const heal = await namedFault('new flows dropped')(stage.home);
  await stage.now.load.untilMoving(30_000, 3 * perSecond);
  await heal();
  t.is(linkEnds(stage), before);
});

claim(
  'F25: long packets vanish, both kernels look for a smaller size, and streams pass',
  async (t, stage) => {
    const world = worldOf(stage);
    const heal = await namedMishap('long packets vanish, and kernels probe').begin(world);
    t.teardown(heal);
    await goesOn(t, stage, async () => {});
    const tooLong = (await stage.home.line?.counters())?.there.tooLong ?? 0;
    t.true(tooLong > 0, 'this line is what it says');
  },
);

claim('F30: the WAN link is down for three seconds, and all goes on', async (t, stage) => {
  await goesOn(t, stage, async () => {
    const until3s = performance.now() + 3_000;
    const heal = await namedFault('WAN cable pulled')(stage.home);
    await until(() => performance.now() >= until3s, { what: 'three seconds to pass' });
    await heal();
  });
});

claim(
  'after all this every byte has come once and in order, and every command has run once',
  async (t, stage) => {
    t.deepEqual(flawsOfLoad(await stage.now.load.stop()), []);
  },
);
