import { EntremiseError } from '../../base/errors.ts';
import type { Terminal } from '../../terminal/index.ts';
import { BulkJob, type JobWish } from './bulk-job.ts';
import type { JobStore } from './job-store.ts';
import { ApiFailure } from './problem.ts';
import type { ApiToken } from './token-store.ts';

/** Jobs of one token that run, and those that are kept; the oldest that is over is forgotten first. */
const maxRunning = 4;
const maxKept = 100;

/** The jobs that requests have made, each its token's alone. */
export class BulkJobs {
  private readonly terminal: Terminal;
  private readonly all = new Map<string, BulkJob>();

  private readonly store: JobStore;

  /** With those that are in the store. @throws EntremiseError `state-unreadable` */
  constructor(terminal: Terminal, store: JobStore) {
    this.terminal = terminal;
    this.store = store;
    for (const record of store.load()) this.all.set(record.id, new BulkJob(record, store));
  }

  /** Those of a token, the oldest first. */
  of(token: ApiToken): BulkJob[] {
    return [...this.all.values()].filter(({ tokenId }) => tokenId === token.id);
  }

  /** How many run. */
  get size(): number {
    return [...this.all.values()].filter(({ state }) => state === 'running').length;
  }

  /** Begins one. @throws EntremiseError `grant-missing`, `limit` */
  begin(token: ApiToken, wish: JobWish): BulkJob {
    if (token.grantId === undefined)
      throw new EntremiseError('grant-missing', { message: 'This token names no grant.', by: 'terminal' });
    const own = this.of(token);
    if (own.filter(({ state }) => state === 'running').length >= maxRunning)
      throw new EntremiseError('limit', {
        message: `A token runs at most ${maxRunning} jobs at once.`,
        by: 'terminal',
      });
    const over = own.find(({ state }) => state !== 'running');
    if (own.length >= maxKept && over !== undefined) this.forget(over);
    const job = BulkJob.begin(this.terminal, token, wish, this.store);
    this.all.set(job.id, job);
    return job;
  }

  /** The one with that id, if this token has made it. @throws ApiFailure 404 */
  get(token: ApiToken, id: string): BulkJob {
    const found = this.all.get(id);
    if (found !== undefined && found.tokenId === token.id) return found;
    throw new ApiFailure(404, `This token has no job ${JSON.stringify(id)}.`);
  }

  /** Cancels it, and forgets it. @throws ApiFailure 404 */
  remove(token: ApiToken, id: string): void {
    const job = this.get(token, id);
    job.cancel();
    this.forget(job);
  }

  private forget({ id }: BulkJob): void {
    this.store.remove(id);
    this.all.delete(id);
  }

  /** Cancels those whose token `isGood` no more. */
  endOthers(isGood: (tokenId: string) => boolean): void {
    for (const job of this.all.values()) if (!isGood(job.tokenId)) job.cancel();
  }

  /** Interrupts all; resolves when nothing of them runs. */
  async close(): Promise<void> {
    for (const job of this.all.values()) job.interrupt();
    await Promise.all([...this.all.values()].map(({ ended }) => ended));
    this.store.close();
  }
}
