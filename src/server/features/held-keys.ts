import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadSigningKey } from '../../base/keys.ts';
import { type FeatureName, featureDirectory, featureNames } from './feature-terminal.ts';

/** Where the delegate key of the API is, if it was made. */
export function delegateKeyPath(stateDir: string): string {
  return join(featureDirectory(stateDir, 'api'), 'delegate.key');
}

/** Public keys whose private halves are in a server's state. */
export interface HeldKeys {
  readonly features: readonly { readonly name: FeatureName; readonly key: string }[];
  readonly delegateKeys: readonly string[];
}

/**
 * Those of the features that have enrolled, and of the delegate.
 * @throws EntremiseError `state-unreadable`
 */
export function heldKeys(stateDir: string): HeldKeys {
  const textOf = (path: string) => (existsSync(path) ? [loadSigningKey(path).text] : []);
  const features = featureNames.flatMap(name =>
    textOf(join(featureDirectory(stateDir, name), 'member.key')).map(key => ({ name, key })),
  );
  return { features, delegateKeys: textOf(delegateKeyPath(stateDir)) };
}
