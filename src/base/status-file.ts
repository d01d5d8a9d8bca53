import type { Clock } from './clock.ts';
import { asEntremiseError } from './errors.ts';
import type { Log } from './log.ts';
import { removeStateFile, writePrivateFile } from './state-file.ts';

/**
 * A status as a file, for whoever has no time to start a client (a router's `ubus call entremise status`), or is on the
 * same machine. Written when something in it is new, and every 20 s, so that the age of one that a killed program has left
 * tells it apart.
 */

/** How old it may be of a program that runs. */
const lookEveryMs = 2000;

const writeEveryMs = 20_000;

/** One that is older than this was left by a program that runs no more. */
export const statusIsOldAfterMs = writeEveryMs + 10_000;

/** See the head of this file. */
export class StatusFile {
  private readonly path: string;
  private readonly read: () => object | undefined;
  private readonly clock: Clock;
  private readonly log: Log;
  private last: string | undefined;
  private writtenAtMs = 0;
  private cancel = () => {};

  /** `read`: undefined while there is none to be told. Takes away what a program before has left. */
  constructor(path: string, read: () => object | undefined, clock: Clock, log: Log) {
    this.path = path;
    this.read = read;
    this.clock = clock;
    this.log = log;
    this.attempt(() => removeStateFile(path));
  }

  /** Looks from now on, until {@link close}. */
  start(): void {
    this.cancel = this.clock.after(lookEveryMs, () => {
      this.start();
      this.look();
    });
  }

  /** Looks now: the owner has just changed something. */
  look(): void {
    const status = this.read();
    if (status === undefined) return;
    const text = `${JSON.stringify(status)}\n`;
    const nowMs = this.clock.now();
    if (text === this.last && nowMs - this.writtenAtMs < writeEveryMs) return;
    this.last = text;
    this.writtenAtMs = nowMs;
    this.attempt(() => writePrivateFile(this.path, text));
  }

  /** Takes it away. */
  close(): void {
    this.cancel();
    this.attempt(() => removeStateFile(this.path));
  }

  /** A program without such a file still does its work. */
  private attempt(act: () => void): void {
    try {
      act();
    } catch (thrown) {
      this.log.debug({ path: this.path, reason: asEntremiseError(thrown).message }, 'no status file');
    }
  }
}
