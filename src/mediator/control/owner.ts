import type { Clock } from '../../base/clock.ts';
import type { OwnerSide } from '../../policy/access-request.ts';
import type { GatewayFacts } from '../../policy/gateway-facts.ts';
import type { OwnerPolicy } from '../../policy/owner-policy.ts';
import type { Consent } from './consent.ts';
import { weekMinuteOf } from './hours-watch.ts';

/** The owner's side of every question, kept up to date by whoever learns of a change. */
export class Owner {
  policy: OwnerPolicy;
  facts: GatewayFacts;
  private readonly consent: Consent;
  private readonly clock: Clock;

  constructor(policy: OwnerPolicy, facts: GatewayFacts, consent: Consent, clock: Clock) {
    this.policy = policy;
    this.facts = facts;
    this.consent = consent;
    this.clock = clock;
  }

  /** For authorise(), at this moment. */
  get side(): OwnerSide {
    const { policy, facts, consent, clock } = this;
    const { consentUntilMs } = consent;
    return { policy: consent.applied(policy), facts, weekMinute: weekMinuteOf(clock), consentUntilMs };
  }
}
