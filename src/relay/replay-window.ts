/** Counters from the newest one back that are told apart; older ones are refused (P7.3: at least 2048). */
export const replayWindow = 4096;

const wordBits = 32;

/** One word more than the window: the one that the newest counter is about to enter is cleared as a whole (RFC 6479). */
const words = replayWindow / wordBits + 1;

/**
 * Which counters of a key have been received (P7.3). Asked before a packet is opened, told only after its tag was good:
 * what is forged moves nothing.
 */
export class ReplayWindow {
  private readonly bits = new Uint32Array(words);
  private newest = -1;

  /** True when a packet with that counter has not been received, as far as is known. */
  isNew(counter: number): boolean {
    if (counter > this.newest) return true;
    if (this.newest - counter >= replayWindow) return false;
    return ((this.bits[this.wordOf(counter)] ?? 0) & this.bitOf(counter)) === 0;
  }

  /** A packet with that counter was received. */
  mark(counter: number): void {
    if (counter > this.newest) this.moveTo(counter);
    const word = this.wordOf(counter);
    this.bits[word] = (this.bits[word] ?? 0) | this.bitOf(counter);
  }

  private moveTo(counter: number): void {
    const from = Math.floor(this.newest / wordBits);
    const to = Math.floor(counter / wordBits);
    if (to - from >= words) this.bits.fill(0);
    else for (let block = from + 1; block <= to; block += 1) this.bits[block % words] = 0;
    this.newest = counter;
  }

  private wordOf(counter: number): number {
    return Math.floor(counter / wordBits) % words;
  }

  private bitOf(counter: number): number {
    return 1 << (counter % wordBits);
  }
}
