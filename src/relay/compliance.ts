import test from 'ava';
import { claimBundles } from './testing/bundle-claims.ts';
import { claimPlainPeers } from './testing/plain-claims.ts';
import { claimPorts } from './testing/port-claims.ts';
import { RelayLab, type RelaySubject } from './testing/relay-lab.ts';
import { claimRoutes } from './testing/route-claims.ts';
import type { Claim } from './testing/scenes.ts';
import { claimSealing } from './testing/sealing-claims.ts';

/** What every {@link Relay} does, as tests. A new kind of relay is one when it passes them. */

/** Registers the suite under `name`. */
export function relayComplies(name: string, subject: RelaySubject): void {
  const claim: Claim = (title, run) =>
    test(`${name}: ${title}`, async t => {
      t.timeout(60_000);
      await run(t, new RelayLab(t, subject));
    });
  claimSealing(claim);
  claimBundles(claim, subject);
  claimRoutes(claim);
  claimPorts(claim, subject);
  claimPlainPeers(claim, subject);
}
