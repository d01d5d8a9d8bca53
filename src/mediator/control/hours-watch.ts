import type { Clock } from '../../base/clock.ts';
import { hoursContain } from '../../policy/hours.ts';
import type { OwnerPolicy, PurposePolicy } from '../../policy/owner-policy.ts';
import { purposes } from '../../policy/schema.ts';

/**
 * The owner's hours by the gateway's local time (TZ or /etc/localtime, summer time included). Hours begin and end with a
 * minute, so it is enough to look when one begins; a clock that is set anew counts from the next one on.
 */

const minuteMs = 60_000;

/** Local time as minutes since Monday, midnight. */
export function weekMinuteOf(clock: Clock): number {
  const now = new Date(clock.wallTimeMs());
  const day = (now.getDay() + 6) % 7;
  return (day * 24 + now.getHours()) * 60 + now.getMinutes();
}

/** True while the owner's hours let a purpose in; without any, always. */
export function isWithinHours({ hours }: PurposePolicy, clock: Clock): boolean {
  return hours === undefined || hoursContain(hours, weekMinuteOf(clock));
}

/** Notices when hours begin and end. */
export class HoursWatch {
  private readonly clock: Clock;
  private readonly policy: () => OwnerPolicy;
  private readonly onChange: () => void;
  private last: string;
  private cancel = () => {};

  /** `onChange`: what is allowed has changed, whoever enforces it is to ask anew. `policy`: the owner's, as it is then. */
  constructor(clock: Clock, policy: () => OwnerPolicy, onChange: () => void) {
    this.clock = clock;
    this.policy = policy;
    this.onChange = onChange;
    this.last = this.state;
  }

  /** Looks from now on, until {@link stop}. */
  start(): void {
    const { clock } = this;
    this.cancel = clock.after(minuteMs - (clock.wallTimeMs() % minuteMs), () => {
      this.start();
      this.look();
    });
  }

  /** Looks no more. */
  stop(): void {
    this.cancel();
  }

  private look(): void {
    const { state } = this;
    const isNews = state !== this.last;
    this.last = state;
    if (isNews) this.onChange();
  }

  private get state(): string {
    const policy = this.policy();
    return purposes.map(purpose => isWithinHours(policy[purpose], this.clock)).join(' ');
  }
}
