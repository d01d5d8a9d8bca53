/**
 * How many connections may be on their way to being somebody, in all and from one source. A connection is counted from
 * accept until its peer has authenticated or is gone; refusing it costs no TLS. IPv4 sources are single addresses,
 * IPv6 sources /56 networks, the usual size of what one customer holds.
 */

/** The most connections that have not authenticated. */
export interface AcceptLimits {
  readonly maxUnauthenticated: number;
  /** From one IPv4 address or IPv6 /56. Behind a carrier's NAT many members share one. */
  readonly maxUnauthenticatedPerSource: number;
}

/** The limits of a server that says nothing else; a TLS socket costs some 50 KB. */
export const defaultAcceptLimits: AcceptLimits = {
  maxUnauthenticated: 1024,
  maxUnauthenticatedPerSource: 64,
};

/** What keeps a connection out before TLS. */
export type OverLimit = 'over-limit' | 'over-source-limit';

/** The 16-bit groups of an IPv6 address as Node writes it. */
function groupsOf(address: string): number[] {
  const [head = '', tail] = (address.split('%')[0] ?? '').split('::');
  const parse = (text: string) =>
    text === '' ? [] : text.split(':').map(group => Number.parseInt(group, 16));
  const [left, right] = [parse(head), parse(tail ?? '')];
  return [...left, ...new Array<number>(Math.max(0, 8 - left.length - right.length)).fill(0), ...right];
}

/** The text under which a peer's address is counted. */
export function sourceOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  if (!plain.includes(':')) return plain;
  const groups = groupsOf(plain)
    .slice(0, 4)
    .map((group, index) => (index === 3 ? group & 0xff00 : group).toString(16));
  return `${groups.join(':')}::/56`;
}

/** See the head of this file. */
export class AcceptLimiter {
  private readonly limits: AcceptLimits;
  private readonly perSource = new Map<string, number>();
  private total = 0;

  constructor(limits: AcceptLimits) {
    this.limits = limits;
  }

  /** Connections counted now. */
  get unauthenticated(): number {
    return this.total;
  }

  /** Counts a connection from that address. The function that is returned ends that, once; a word says why not. */
  admit(address: string): (() => void) | OverLimit {
    if (this.total >= this.limits.maxUnauthenticated) return 'over-limit';
    const source = sourceOf(address);
    const count = this.perSource.get(source) ?? 0;
    if (count >= this.limits.maxUnauthenticatedPerSource) return 'over-source-limit';
    this.total++;
    this.perSource.set(source, count + 1);
    let counted = true;
    return () => {
      if (counted) this.release(source);
      counted = false;
    };
  }

  private release(source: string): void {
    this.total--;
    const count = (this.perSource.get(source) ?? 1) - 1;
    if (count === 0) this.perSource.delete(source);
    else this.perSource.set(source, count);
  }
}
