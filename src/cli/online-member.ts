import { systemClock } from '../base/clock.ts';
import { deferred } from '../base/deferred.ts';
import type { EntremiseError, ErrorCode } from '../base/errors.ts';
import { software } from '../base/version.ts';
import { type RunningMember, startMember } from '../member/running-member.ts';
import type { Context } from './context.ts';

/** Failures that trying again does not mend. */
const final: ReadonlySet<ErrorCode> = new Set([
  'not-enrolled',
  'key-revoked',
  'pin-mismatch',
  'proof-invalid',
  'version-mismatch',
  'tls-failed',
]);

/**
 * The profile's own link, up, for verbs that need nothing but the server.
 * @throws EntremiseError what the first try says: `server-unreachable`, `not-enrolled`, `pin-mismatch` ...
 */
export async function onlineMember(context: Context): Promise<RunningMember> {
  const first = deferred<void>();
  const running = await startMember({
    directory: context.profile,
    role: 'terminal',
    software,
    capabilities: [],
    clock: systemClock,
    log: context.log,
    handlers: {
      onOnline: () => first.resolve(),
      onOffline: error => first.reject(error),
      onAttach: () => {},
      onAttached: () => {},
      onPresence: () => {},
      onService: () => {},
    },
  });
  try {
    await first.promise;
    return running;
  } catch (thrown) {
    running.stop();
    throw thrown;
  }
}

/** True when trying again would not help. */
export function isFinal(error: EntremiseError): boolean {
  return final.has(error.code);
}
