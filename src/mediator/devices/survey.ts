import type { Clock } from '../../base/clock.ts';
import type { NativeSockets } from '../../native/addon.ts';
import type { GatewayFacts } from '../../policy/gateway-facts.ts';
import type { Environment } from '../environment/environment.ts';
import type { ReadText } from '../environment/machine.ts';
import type { Device } from './device.ts';
import { devicesOf } from './devices.ts';
import { parseLeases } from './leases.ts';

/** What was looked at this lately is told again: a question costs a few files and a dump of the kernel's table. */
const freshMs = 1000;

/** What a survey looks at. */
export interface SurveySources {
  /** Without it there are the leases alone. */
  readonly native: Pick<NativeSockets, 'neighbours'> | undefined;
  readonly clock: Clock;
  readonly read: ReadText;
  readonly leaseFiles: readonly string[];
  environment(): Environment;
  facts(): GatewayFacts;
}

/** Who is in the LAN, looked at when somebody asks. */
export class DeviceSurvey {
  private readonly sources: SurveySources;
  private last: readonly Device[] = [];
  private lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(sources: SurveySources) {
    this.sources = sources;
  }

  /** The devices, by their first address. */
  get devices(): readonly Device[] {
    const nowMs = this.sources.clock.now();
    if (nowMs - this.lookedAtMs >= freshMs) {
      this.lookedAtMs = nowMs;
      this.last = this.look();
    }
    return this.last;
  }

  private look(): readonly Device[] {
    const { native, clock, read, leaseFiles, environment, facts } = this.sources;
    const neighbours = native?.neighbours() ?? [];
    return devicesOf({
      leases: leaseFiles.flatMap(path => parseLeases(read(path) ?? '')),
      // Without them there are still the leases.
      neighbours: typeof neighbours === 'string' ? [] : neighbours,
      facts: facts(),
      interfaces: environment().interfaces,
      nowMs: clock.wallTimeMs(),
    });
  }
}
