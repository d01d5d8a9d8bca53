/**
 * The numbers that this mediator's ports hold, besides what the kernel knows. The kernel alone would let a number be
 * had twice while a connection on it is ending (the recipe against TIME_WAIT makes it reusable then).
 */

type Protocol = 'tcp' | 'udp';

interface Claim {
  readonly protocol: Protocol;
  readonly address: string;
  readonly number: number;
}

const wildcards: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

const isV6 = (address: string) => address.includes(':');

function conflicts(held: Claim, wanted: Claim): boolean {
  if (held.protocol !== wanted.protocol || held.number !== wanted.number) return false;
  if (isV6(held.address) !== isV6(wanted.address)) return false;
  return held.address === wanted.address || wildcards.has(held.address) || wildcards.has(wanted.address);
}

/** See the head of this file. One for all attachments of a mediator. */
export class NumberRegistry {
  private readonly claims = new Set<Claim>();

  /** True when no port holds that number of that address, nor of the wildcard. Addresses in canonical text. */
  isFree(protocol: Protocol, address: string, number: number): boolean {
    const wanted = { protocol, address, number };
    for (const held of this.claims) if (conflicts(held, wanted)) return false;
    return true;
  }

  /** Holds a number; returns how to give it up, which may be called more than once. */
  claim(protocol: Protocol, address: string, number: number): () => void {
    const claim = { protocol, address, number };
    this.claims.add(claim);
    return () => {
      this.claims.delete(claim);
    };
  }
}
