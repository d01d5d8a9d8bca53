import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { fakeClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { DeniedGrants, type DeniedGrantsOptions } from './denied-grants.ts';
import { Store } from './store.ts';

test('a denied grant is denied at once, after a restart, and though the audit cannot be written; for a day beyond its end', async t => {
  const stateDir = mkdtempSync(join(tmpdir(), 'entremise-denied-'));
  t.teardown(() => rmSync(stateDir, { recursive: true }));
  const clock = fakeClock();
  let told = 0;
  const open = async (more: Partial<DeniedGrantsOptions> = {}) => {
    const store = await Store.open(stateDir);
    t.teardown(() => store.close());
    const onChange = () => told++;
    return new DeniedGrants({ store, clock, log: silentLog(), audit: () => {}, onChange, ...more });
  };
  const denied = await open({
    audit: () => {
      throw new Error('no space left on device');
    },
  });
  denied.add('grant-0001', clock.wallTimeMs() + 1000, {});
  t.deepEqual([denied.has('grant-0001'), denied.has('grant-0002'), told], [true, false, 1]);
  t.true((await open()).has('grant-0001'));
  clock.advance(24 * 3_600_000);
  t.true((await open()).has('grant-0001'));
  clock.advance(2_000);
  t.false((await open()).has('grant-0001'));
});
