import type { Clock } from '../base/clock.ts';
import { deferred } from '../base/deferred.ts';
import type { PathReport } from '../wire/messages/report.ts';
import type { UdpPath } from './udp-path.ts';

/** How long a survey takes at most. */
const surveyMs = 12_000;

/** Looks at a member's UDP path until it is known whether UDP passes and what NATs do to it. Takes up to 12 s. */
export async function surveyUdp(path: UdpPath, clock: Clock): Promise<PathReport> {
  const settled = deferred<void>();
  const look = () => {
    const isKnown = path.state === 'up' ? path.nat.view !== undefined : path.state !== 'trying';
    if (isKnown) settled.resolve();
  };
  const unwatch = [path.watch(look), path.nat.watch(look)];
  const cancel = clock.after(surveyMs, () => settled.resolve());
  look();
  await settled.promise;
  cancel();
  for (const stop of unwatch) stop();
  return path.report(0);
}
