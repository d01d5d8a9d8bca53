import test from 'ava';
import { until } from 'netns-test-helpers';
import { linkEnds } from './support/link-ends.ts';
import { flawsOfLoad, startLoad } from './support/load.ts';
import { limitProcessor, reasonAgainstShares } from './support/processor-share.ts';
import { setStage } from './support/stage.ts';

/** A mediator that has too little of the processor for what it is to carry: slow, and not taken for dead (P8.1). */

const bytesPerSecond = 2_048;
/** No link survives so long a silence with something unanswered. */
const starvedMs = 12_000;

const title = 'F42: a mediator with a tenth of a processor and a hundred streams is never given up';
const reason = reasonAgainstShares();

if (reason === undefined) {
  const claim = setStage({ name: 'scstarve', site: () => ({ grant: ['--limit', 'ports=200'] }) });
  claim(
    title,
    async (t, stage) => {
      const load = await startLoad(t, stage, { streams: 50, others: [], rate: bytesPerSecond, commands: 1 });
      const before = linkEnds(stage);
      const share = limitProcessor(stage.site.mediator.pid, 0.1);
      const startedAt = performance.now();
      try {
        await until(() => performance.now() - startedAt >= starvedMs, {
          what: 'the starved time to be over',
        });
        t.log(`all moved within ${Math.round(await load.untilMoving(60_000))} ms`);
        t.true(share.heldUp() > 0, 'it wanted more than it had');
      } finally {
        share.end();
      }
      t.deepEqual(flawsOfLoad(await load.stop('together', 60_000)), []);
      t.is(linkEnds(stage), before);
    },
    'root',
  );
} else test.skip(`${title} [skipped: ${reason}]`, () => {});
