import type { Clock } from '../../base/clock.ts';

/** How long what calls for a look is gathered: a thousand mediators that come back call for one, not for a thousand. */
const gatherMs = 100;

/** Something that is done a little later, once, however often it is called for meanwhile. */
export class Coalesced {
  private readonly clock: Clock;
  private readonly run: () => void;
  private cancel: (() => void) | undefined;
  private closed = false;

  constructor(clock: Clock, run: () => void) {
    this.clock = clock;
    this.run = run;
  }

  /** It is called for. */
  soon(): void {
    if (this.closed) return;
    this.cancel ??= this.clock.after(gatherMs, () => {
      this.cancel = undefined;
      this.run();
    });
  }

  /** It is done no more. */
  close(): void {
    this.closed = true;
    this.cancel?.();
  }
}
