import type { AcceptedGrant } from '../policy/documents.ts';

/** Grants in time, by the terminal that they name (P6.3). Whether they are revoked is not asked here. */
export class GrantShelf {
  private readonly byId = new Map<string, AcceptedGrant>();
  private readonly byTerminal = new Map<string, Set<AcceptedGrant>>();

  /** True when a grant with that id is here. */
  has(id: string): boolean {
    return this.byId.has(id);
  }

  /** Takes a grant in, and out what is over. `nowMs` is the monotonic clock. */
  add(grant: AcceptedGrant, nowMs: number): void {
    for (const each of [...this.byId.values()]) if (each.deadlineMs <= nowMs) this.remove(each);
    this.byId.set(grant.id, grant);
    const { terminalThumbprint } = grant;
    const own = this.byTerminal.get(terminalThumbprint) ?? new Set();
    this.byTerminal.set(terminalThumbprint, own.add(grant));
  }

  private remove(grant: AcceptedGrant): void {
    this.byId.delete(grant.id);
    const own = this.byTerminal.get(grant.terminalThumbprint);
    own?.delete(grant);
    if (own?.size === 0) this.byTerminal.delete(grant.terminalThumbprint);
  }

  /** The grants of the terminal with that thumbprint that are in time. */
  of(thumbprint: string, nowMs: number): AcceptedGrant[] {
    return [...(this.byTerminal.get(thumbprint) ?? [])].filter(({ deadlineMs }) => deadlineMs > nowMs);
  }
}
