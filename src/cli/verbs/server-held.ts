import { listGrants, openAuthority, requireTrustStatement } from '../../authority/index.ts';
import { systemClock } from '../../base/clock.ts';
import { keyFromText, keyThumbprint } from '../../base/keys.ts';
import { heldKeys } from '../../server/features/held-keys.ts';
import type { Context } from '../context.ts';
import { requireServer } from '../delivery.ts';
import { describedGrant, grantSentences } from '../grant-text.ts';
import { badUsage } from '../output.ts';
import { delegateTable, describedDelegate } from './authority-delegate.ts';
import { describedInviter, inviterTable } from './authority-inviter.ts';

/**
 * `entremise grant list --server-held`: what the keys that a server has could do, were it stolen.
 * @throws EntremiseError `bad-usage` without --server-state
 */
export async function listServerHeld({ output, authorityPath, serverState }: Context): Promise<void> {
  if (serverState === undefined) throw badUsage('Say which server: --server-state <directory>.');
  requireServer(serverState);
  const held = heldKeys(serverState);
  const authority = openAuthority(authorityPath);
  const nowMs = systemClock.wallTimeMs();
  const featureOf = (thumbprint: string) =>
    held.features.find(({ key }) => keyThumbprint(keyFromText(key)) === thumbprint)?.name;
  const grants = listGrants(authority, nowMs).flatMap(({ grant, status }) => {
    const feature = featureOf(grant.terminalThumbprint);
    return status === 'valid' && feature !== undefined ? [{ feature, grant }] : [];
  });
  const { delegates, inviters } = await requireTrustStatement(authority);
  const own = delegates.filter(
    ({ key, notAfterMs }) => held.delegateKeys.includes(key) && notAfterMs > nowMs,
  );
  // Also one that is over: a thief writes what time it likes into an invitation.
  const inviting = inviters.filter(({ key }) => held.delegateKeys.includes(key));
  output.result(
    {
      grants: grants.map(({ feature, grant }) => ({ feature, ...describedGrant(grant) })),
      delegates: own.map(describedDelegate),
      inviters: inviting.map(describedInviter),
    },
    [
      ...grants.flatMap(({ feature, grant }) => [
        `grant ${grant.id}, of ${feature}`,
        ...grantSentences(grant),
      ]),
      ...(own.length === 0 ? [] : delegateTable(own)),
      ...(inviting.length === 0
        ? []
        : [
            ...inviterTable(inviting),
            'Until they are removed it can make mediators of such names and labels.',
          ]),
      ...(grants.length + own.length + inviting.length === 0
        ? ['nothing: it has no grant of this authority, and is neither delegate nor inviter']
        : []),
    ],
  );
}
