import { join } from 'node:path';
import {
  generateSigningKey,
  keyFromText,
  keyThumbprint,
  loadSigningKey,
  saveSigningKey,
} from '../base/keys.ts';
import type { GrantTerms } from '../policy/grant-wish.ts';
import type { MediatorSelector } from '../policy/permissions.ts';
import type { Purpose } from '../policy/schema.ts';
import type { TrustStatement } from '../policy/trust-statement.ts';
import type { GrantSigner } from './grants.ts';
import type { Authority } from './state.ts';
import { issueTrustStatement } from './trust.ts';

/**
 * Delegates (P6.2): keys that may sign grants, and only grants, within bounds that stand in the trust statement. A delegate
 * is made where its key stays, a desk or a server; the authority is told the public key.
 */

/** What a delegate may do. What is absent is not bounded. */
export interface DelegateWish extends Pick<GrantTerms, 'commands' | 'targets' | 'ports' | 'limits'> {
  readonly key: string;
  readonly name: string;
  readonly purposes: readonly Purpose[];
  readonly mediators?: readonly MediatorSelector[] | undefined;
  /** Texts of the keys of the only terminals that it may grant to. */
  readonly terminalKeys?: readonly string[] | undefined;
  /** No grant of it is good for longer. */
  readonly lifeMs: number;
}

/**
 * Names a delegate, or gives one of that name other bounds, by a new trust statement.
 * @throws EntremiseError `bad-request` when a key is none, and as {@link issueTrustStatement}
 */
export function addDelegate(
  authority: Authority,
  { terminalKeys, lifeMs, ...wish }: DelegateWish,
  nowMs: number,
): Promise<TrustStatement> {
  const terminals = terminalKeys?.map(text => keyThumbprint(keyFromText(text)));
  const claims = { ...wish, terminals, notAfter: Math.floor((nowMs + lifeMs) / 1000) };
  // As it is signed: without what is undefined.
  const said = Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
  const delegate = { ...said, key: claims.key, name: claims.name, notAfter: claims.notAfter };
  return issueTrustStatement(authority, { addedDelegates: [delegate] }, nowMs);
}

/**
 * Takes a delegate out of the trust statement: its grants are good no more.
 * @throws EntremiseError `bad-usage` when there is none of that name, and as {@link issueTrustStatement}
 */
export function removeDelegate(authority: Authority, name: string, nowMs: number): Promise<TrustStatement> {
  return issueTrustStatement(authority, { removedDelegates: [name] }, nowMs);
}

const keyPath = (directory: string) => join(directory, 'delegate.key');

/**
 * Makes a delegate's key in a directory of its own, where copies of its grants will be kept too.
 * @throws EntremiseError `state-unreadable` when there is one already, or the directory cannot be written
 */
export function makeDesk(directory: string): GrantSigner {
  const key = generateSigningKey();
  saveSigningKey(keyPath(directory), key);
  return { directory, key };
}

/**
 * The delegate of a directory.
 * @throws EntremiseError `state-unreadable`
 */
export function openDesk(directory: string): GrantSigner {
  return { directory, key: loadSigningKey(keyPath(directory)) };
}
