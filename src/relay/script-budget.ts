import type { PortLimit } from './relay.ts';

/** What the ports of one group may move together ({@link Relay.limitPort}), in a script relay. */

/** What may go at once, as time at the rate. */
const burstMs = 200;

/** What one group may move. */
export class ByteBudget {
  bytesPerSecond = 0;
  private paidUntilMs = Number.NEGATIVE_INFINITY;

  /** False: it is used up. */
  take(bytes: number, nowMs: number): boolean {
    const fromMs = Math.max(this.paidUntilMs, nowMs - burstMs);
    if (fromMs > nowMs) return false;
    this.paidUntilMs = fromMs + (bytes / this.bytesPerSecond) * 1000;
    return true;
  }
}

/** The budgets of a relay, by group. */
export class ByteBudgets {
  private readonly byGroup = new Map<number, ByteBudget>();

  /** That of the limit's group, with its rate from now on; undefined: none. */
  of(limit: PortLimit | undefined): ByteBudget | undefined {
    if (limit === undefined) return undefined;
    const budget = this.byGroup.get(limit.group) ?? new ByteBudget();
    this.byGroup.set(limit.group, budget);
    budget.bytesPerSecond = limit.bytesPerSecond;
    return budget;
  }
}
