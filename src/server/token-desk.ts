import type { Clock } from '../base/clock.ts';
import type { TokenStore } from './api/token-store.ts';
import { TokenBounds } from './declared/token-bounds.ts';
import type { DeniedGrants } from './denied-grants.ts';
import type { Documents } from './documents.ts';
import { heldKeys } from './features/held-keys.ts';
import { decideOnBehalf } from './permit.ts';
import type { Reports } from './reports.ts';

/** Whom tokens' declarations are asked of. */
export interface TokenDesks {
  readonly documents: Documents;
  readonly denied: DeniedGrants;
  readonly reports: Reports;
  readonly tokens: TokenStore;
  readonly stateDir: string;
  readonly clock: Clock;
}

/** What tokens may declare, by the grants of the API's terminal, whether or not that runs. */
export function boundsOfTokens({ tokens, stateDir, ...desks }: TokenDesks): TokenBounds {
  const { documents, denied, reports, clock } = desks;
  let known: string | undefined;
  const apiKey = () => {
    known ??= heldKeys(stateDir).features.find(({ name }) => name === 'api')?.key;
    return known;
  };
  return new TokenBounds({
    tokens,
    grant: id => {
      const key = apiKey();
      return key === undefined ? undefined : documents.grantsOf(key).find(grant => grant.id === id);
    },
    mediators: () => documents.allMembers().filter(({ role }) => role === 'mediator'),
    report: key => reports.last(key).report,
    revision: () => documents.revision + denied.count,
    ask: (grant, mediator, commands, facts) =>
      decideOnBehalf(desks, { grant, terminal: apiKey() ?? '', mediator: mediator.key }, commands, facts),
    clock,
  });
}
