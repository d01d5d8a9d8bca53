import { systemClock } from '../base/clock.ts';
import { deferred } from '../base/deferred.ts';
import { software } from '../base/version.ts';
import { type RunningMember, startMember } from '../member/running-member.ts';
import type { Welcomed } from '../session/handshake.ts';
import type { Context } from './context.ts';

/**
 * The profile's own link, up, for verbs that need nothing but the server.
 * @throws EntremiseError what the first try says: `server-unreachable`, `not-enrolled`, `pin-mismatch` ...
 */
export async function onlineMember(
  context: Context,
  onWelcome: (welcomed: Welcomed) => void = () => {},
): Promise<RunningMember> {
  const first = deferred<void>();
  const running = await startMember({
    directory: context.profile,
    role: 'terminal',
    software,
    capabilities: [],
    clock: systemClock,
    log: context.log,
    handlers: {
      onOnline: (_link, welcomed) => {
        onWelcome(welcomed);
        first.resolve();
      },
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
