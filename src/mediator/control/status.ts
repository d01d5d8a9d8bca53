import type { Clock } from '../../base/clock.ts';
import type { Hours } from '../../policy/hours.ts';
import type { OwnerPolicy } from '../../policy/owner-policy.ts';
import { type Purpose, purposes } from '../../policy/schema.ts';
import type { PortListing } from '../../wire/messages/command.ts';
import type { PathReport } from '../../wire/messages/report.ts';
import type { Consent } from './consent.ts';
import { isWithinHours } from './hours-watch.ts';
import type { RecentEvent } from './recent-events.ts';

/** What the owner of the gateway is told: who is here, since when, to what, and what the owner has allowed. */

/** The status, as it goes over the control socket. Times are ISO 8601 by this machine's clock. */
export interface MediatorStatus {
  readonly version: string;
  readonly name: string;
  readonly link: LinkStatus;
  /** The way to the server, as REPORT tells it; absent before anything is known. */
  readonly path?: PathReport;
  readonly configuration: { readonly path: string; readonly problem?: string };
  /** Why it works without the native addon, if it does. */
  readonly addonProblem?: string;
  /** Capabilities that the program would use and does not have. */
  readonly missingCapabilities: readonly string[];
  /** True after `stop`, until something is allowed again. */
  readonly stopped: boolean;
  readonly consent: Readonly<Record<Purpose, ConsentStatus>>;
  readonly attached: readonly AttachedStatus[];
  /** What the log has said of late, the newest last. */
  readonly recent: readonly RecentEvent[];
}

/** The link to the server. */
export interface LinkStatus {
  readonly online: boolean;
  readonly since: string;
  /** The address that it goes to, `192.0.2.1:8443`, while there is one. */
  readonly server?: string;
  /** Why there is none. */
  readonly reason?: string;
}

/** How one purpose stands. */
export interface ConsentStatus {
  readonly allowed: boolean;
  readonly consent: 'always' | 'window';
  /** While the window is open. */
  readonly openUntil?: string;
  /** When anybody is let in at all, as the owner wrote it, and whether that is now; absent: at any time. */
  readonly hours?: { readonly allowed: readonly string[]; readonly now: boolean };
}

/** A terminal that is here. */
export interface AttachedStatus {
  /** Text of its key. */
  readonly terminal: string;
  readonly grant: string;
  readonly purpose: Purpose;
  readonly since: string;
  /** True while it is away and waited for. */
  readonly away: boolean;
  readonly ports: readonly PortListing[];
  /** What it has last reached, `tcp 192.168.1.10:80`, the newest last. */
  readonly targets: readonly string[];
}

const textsOf = (hours: readonly Hours[]) => hours.map(({ text }) => text);

/** How consent stands for each purpose. */
export function consentStatus(
  policy: OwnerPolicy,
  consent: Consent,
  clock: Clock,
): MediatorStatus['consent'] {
  const one = (purpose: Purpose): ConsentStatus => {
    const { allowed, consent: how, hours } = consent.applied(policy)[purpose];
    const leftMs = consent.leftMs(purpose);
    const openUntil = isoTime(clock.wallTimeMs() + leftMs);
    return {
      allowed,
      consent: how,
      ...(leftMs === 0 ? {} : { openUntil }),
      ...(hours === undefined
        ? {}
        : { hours: { allowed: textsOf(hours), now: isWithinHours(policy[purpose], clock) } }),
    };
  };
  return Object.fromEntries(purposes.map(purpose => [purpose, one(purpose)])) as MediatorStatus['consent'];
}

/** A moment as the status says it. */
export function isoTime(wallTimeMs: number): string {
  return new Date(wallTimeMs).toISOString();
}

/** Numbers of <linux/capability.h>. */
const used = { CAP_NET_BIND_SERVICE: 10, CAP_NET_RAW: 13 } as const;

/** Of what the mediator uses, what the text of /proc/self/status says it does not have. */
export function missingCapabilities(procStatus: string | undefined): string[] {
  const [, mask] = /^CapEff:\s*([0-9a-f]+)$/m.exec(procStatus ?? '') ?? [];
  if (mask === undefined) return [];
  return Object.entries(used).flatMap(([name, bit]) =>
    (BigInt(`0x${mask}`) >> BigInt(bit)) & 1n ? [] : [name],
  );
}
