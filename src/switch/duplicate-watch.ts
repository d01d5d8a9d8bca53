/** An instance comes back at most that often within {@link withinMs}. */
const returnsAllowed = 3;

const withinMs = 10 * 60_000;

/** How long everybody with the key stays away then. */
const holdOffMs = 60_000;

interface Rivalry {
  /** Instances that another one displaced, and when. */
  readonly displaced: Map<string, number>;
  /** When one of them came back. */
  returns: number[];
  heldUntilMs: number;
}

/**
 * Notices a mediator's key that two machines have: each displaces the other and is displaced in turn (P4.1). A mediator
 * that was restarted displaces its own past once, and that never comes back. Times are monotonic milliseconds.
 */
export class DuplicateWatch {
  private readonly rivalries = new Map<string, Rivalry>();

  /** How long nobody with that key may come, in whole ms as GOAWAY says it; 0 when there is no reason to wait. */
  heldOffMs(key: string, nowMs: number): number {
    return Math.max(0, Math.ceil((this.rivalries.get(key)?.heldUntilMs ?? 0) - nowMs));
  }

  /** Another instance has taken the place of this one. */
  onDisplaced(key: string, instance: string, nowMs: number): void {
    this.forget(nowMs);
    const rivalry = this.rivalries.get(key) ?? { displaced: new Map(), returns: [], heldUntilMs: 0 };
    rivalry.displaced.set(instance, nowMs);
    this.rivalries.set(key, rivalry);
  }

  /** An instance comes. True when that is one return too many: from now on the key is held off. */
  onArrival(key: string, instance: string, nowMs: number): boolean {
    const rivalry = this.rivalries.get(key);
    if (rivalry?.displaced.has(instance) !== true) return false;
    rivalry.returns = [...rivalry.returns.filter(atMs => atMs > nowMs - withinMs), nowMs];
    if (rivalry.returns.length <= returnsAllowed) return false;
    rivalry.returns = [];
    rivalry.heldUntilMs = nowMs + holdOffMs;
    return true;
  }

  /** What is older than the time that counts. */
  private forget(nowMs: number): void {
    for (const [key, { displaced }] of this.rivalries) {
      for (const [instance, atMs] of displaced) if (atMs <= nowMs - withinMs) displaced.delete(instance);
      if (displaced.size === 0) this.rivalries.delete(key);
    }
  }
}
