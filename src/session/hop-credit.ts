import type { Credit } from '../wire/messages/binary.ts';

/** The last bytes of a label's credit are for frames other than DATA (P2.3). */
const reservedBytes = 16 * 1024;

/** {@link HopCredit.dataRoom} from which on a FIN may go: it is no DATA, so the reserve is for it too. */
export const finDataRoom = 64 - reservedBytes;

/** What a member may still send on one label towards the server (P2.3). Counts header and body; totals, so a CREDIT that was overtaken changes nothing. */
export class HopCredit {
  private allowed: number;
  private used = 0;

  /** `allowed`: the first credit, from ATTACH or ATTACHED. */
  constructor(allowed: number) {
    this.allowed = allowed;
  }

  /** Bytes of DATA frames that may go now. */
  get dataRoom(): number {
    return this.allowed - this.used - reservedBytes;
  }

  /** Bytes of other counted frames that may go now. */
  get room(): number {
    return this.allowed - this.used;
  }

  /** A counted frame has been taken for the link. */
  spend(frameBytes: number): void {
    this.used += frameBytes;
  }

  /** The server's CREDIT. */
  onCredit(credit: Credit): void {
    this.allowed = Math.max(this.allowed, credit.allowed);
  }
}
