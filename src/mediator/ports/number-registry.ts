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

/** Whoever holds numbers: an attachment. */
export interface NumberHolder {
  /** Text of its terminal's key. */
  readonly terminal: string;
  /** True while its terminal is away: another attachment of the key may have its numbers (P4.6). */
  readonly away: boolean;
  /** Closes the port that holds that number. */
  release(protocol: Protocol, address: string, number: number): void;
}

interface Held extends Claim {
  readonly holder: NumberHolder;
}

function mayHave(wanting: NumberHolder, { holder }: Held): boolean {
  return holder !== wanting && holder.away && holder.terminal === wanting.terminal;
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
  private readonly claims = new Set<Held>();

  /** True when no port holds that number of that address, nor of the wildcard. Addresses in canonical text. */
  isFree(protocol: Protocol, address: string, number: number): boolean {
    const wanted = { protocol, address, number };
    for (const held of this.claims) if (conflicts(held, wanted)) return false;
    return true;
  }

  /** True when {@link isFree}, or when all who hold it are away and of the same terminal: {@link takeOver} frees it. */
  mayTakeOver(protocol: Protocol, address: string, number: number, wanting: NumberHolder): boolean {
    return this.inTheWay({ protocol, address, number }).every(held => mayHave(wanting, held));
  }

  /** Closes the ports that {@link mayTakeOver} was about. */
  takeOver(protocol: Protocol, address: string, number: number, wanting: NumberHolder): void {
    for (const held of this.inTheWay({ protocol, address, number }))
      if (mayHave(wanting, held)) held.holder.release(held.protocol, held.address, held.number);
  }

  private inTheWay(wanted: Claim): Held[] {
    return [...this.claims].filter(held => conflicts(held, wanted));
  }

  /** Holds a number; returns how to give it up, which may be called more than once. */
  claim(protocol: Protocol, address: string, number: number, holder: NumberHolder): () => void {
    const claim = { protocol, address, number, holder };
    this.claims.add(claim);
    return () => {
      this.claims.delete(claim);
    };
  }
}
