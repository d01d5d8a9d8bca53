import * as v from 'valibot';
import { asEntremiseError, type EntremiseError } from '../base/errors.ts';
import { keyThumbprint, type SigningKey } from '../base/keys.ts';
import type { TrustKeeper } from '../member/trust-keeper.ts';
import { type AcceptedGrant, grantClaimsSchema, grantRules } from '../policy/grant.ts';
import { grantNamesMediator } from '../policy/grant-verify.ts';
import { peekPayload } from '../policy/jws.ts';
import { selectorsFit } from '../policy/permissions.ts';
import type { Purpose } from '../wire/messages/attach.ts';
import { chooseGrant, type NamedMediator } from './grant-choice.ts';
import type { Mediator } from './mediator-list.ts';

/** Where grants are found. */
export interface GrantSources {
  readonly key: SigningKey;
  readonly trust: Pick<TrustKeeper, 'current' | 'grants' | 'verifyGrant'>;
  /** Every grant at hand as text, also those that do not count any more. */
  storedGrants(): readonly string[];
}

/** What a grant is needed for. */
export interface GrantWish {
  readonly mediator: NamedMediator;
  readonly purpose: Purpose;
  /** A grant as text, or the id of one at hand; else one that fits is chosen. */
  readonly wanted?: string | undefined;
  /** Monotonic milliseconds. */
  readonly nowMs: number;
}

/**
 * The grant to attach with.
 * @throws EntremiseError `grant-missing`, `grant-expired`, `grant-revoked`, `grant-invalid`, saying what is needed
 */
export async function findGrant(sources: GrantSources, wish: GrantWish): Promise<AcceptedGrant> {
  const { trust, key } = sources;
  const { wanted, mediator } = wish;
  const asText = wanted?.includes('.') === true;
  const grants = asText ? [await trust.verifyGrant(wanted)] : trust.grants;
  const terminalThumbprint = keyThumbprint(key.publicKey);
  const id = asText ? undefined : wanted;
  try {
    return chooseGrant({ ...wish, grants, trust: trust.current, terminalThumbprint, id });
  } catch (thrown) {
    throw (await refusedGrantFor(mediator, sources.storedGrants(), trust)) ?? thrown;
  }
}

/** What a grant that does not count says of its mediators; only to choose the sentence for the user. */
function seemsToName(text: string, mediator: NamedMediator): boolean {
  try {
    const parsed = v.safeParse(grantClaimsSchema, peekPayload(text, grantRules));
    return parsed.success && selectorsFit(parsed.output.mediators, mediator);
  } catch {
    return false;
  }
}

/**
 * Among the grants at hand, one that would have fitted and is expired or revoked: the error that says so. A user who is
 * told that there is none would look in the wrong place.
 */
async function refusedGrantFor(
  mediator: NamedMediator,
  texts: readonly string[],
  trust: Pick<TrustKeeper, 'verifyGrant'>,
): Promise<EntremiseError | undefined> {
  for (const text of texts.filter(each => seemsToName(each, mediator))) {
    try {
      await trust.verifyGrant(text);
    } catch (thrown) {
      const error = asEntremiseError(thrown);
      if (error.code === 'grant-expired' || error.code === 'grant-revoked') return error;
    }
  }
  return undefined;
}

/** Of `mediators` those that the grant with that id names; none when there is no such grant. */
export function namedMediators(
  mediators: readonly Mediator[],
  { current, grants }: GrantSources['trust'],
  grantId: string,
): readonly Mediator[] {
  const grant = grants.find(({ id }) => id === grantId);
  if (grant === undefined) return [];
  return mediators.filter(
    ({ verified, name, key, labels }) =>
      verified && name !== undefined && grantNamesMediator(grant, current, { name, key, labels }),
  );
}
