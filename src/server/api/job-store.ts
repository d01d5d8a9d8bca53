import type { Clock } from '../../base/clock.ts';
import { asEntremiseError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { guarded } from '../sqlite.ts';
import type { ApiDatabase } from './api-database.ts';
import type { JobRecord, JobResult, JobState, JobWish } from './bulk-job.ts';

/**
 * Jobs on disk, so that a server that begins again can tell what the one before has done. Results are written together, half a
 * second late at most: what a crash loses of them counts as not done.
 */

const writeAfterMs = 500;

/** How long jobs are kept. */
const keptMs = 30 * 24 * 3_600_000;

/** What it is made of. */
export interface JobStoreOptions extends ApiDatabase {
  readonly clock: Clock;
  readonly log: Log;
}

interface Row {
  readonly id: string;
  readonly tokenId: string;
  readonly wish: string;
  readonly createdAtMs: number;
  readonly state: JobState;
}

/** See the head of this file. */
export class JobStore {
  private readonly options: JobStoreOptions;
  /** Not on disk yet, in order. */
  private unwritten: { readonly job: string; readonly number: number; readonly result: string }[] = [];
  private cancelWrite: (() => void) | undefined;

  constructor(options: JobStoreOptions) {
    this.options = options;
  }

  private run(sql: string, ...values: (string | number)[]): void {
    guarded(this.options.path, () => this.options.database.prepare(sql).run(...values));
  }

  private rows(sql: string, ...values: (string | number)[]): unknown[] {
    return guarded(this.options.path, () => this.options.database.prepare(sql).all(...values));
  }

  /**
   * All jobs, the oldest first, those that are too old left out and forgotten. What is said to run was interrupted.
   * @throws EntremiseError `state-unreadable`
   */
  load(): JobRecord[] {
    const oldest = this.options.clock.wallTimeMs() - keptMs;
    this.run('DELETE FROM jobResults WHERE job IN (SELECT id FROM jobs WHERE createdAtMs < ?)', oldest);
    this.run('DELETE FROM jobs WHERE createdAtMs < ?', oldest);
    this.run(`UPDATE jobs SET state = 'interrupted' WHERE state = 'running'`);
    const jobs = this.rows('SELECT * FROM jobs ORDER BY createdAtMs, rowid') as Row[];
    return jobs.map(({ wish, ...row }) => ({
      ...row,
      wish: JSON.parse(wish) as JobWish,
      results: this.resultsOf(row.id),
    }));
  }

  private resultsOf(job: string): JobResult[] {
    const rows = this.rows('SELECT result FROM jobResults WHERE job = ? ORDER BY number', job);
    return (rows as { readonly result: string }[]).map(({ result }) => JSON.parse(result) as JobResult);
  }

  /** A job is about to run. @throws EntremiseError `state-unreadable`: then it must not */
  add({ id, tokenId, wish, createdAtMs, state }: JobRecord): void {
    const sql = 'INSERT INTO jobs (id, tokenId, wish, createdAtMs, state) VALUES (?, ?, ?, ?, ?)';
    this.run(sql, id, tokenId, JSON.stringify(wish), createdAtMs, state);
  }

  /** One more has come. */
  addResult(job: string, number: number, result: JobResult): void {
    this.unwritten.push({ job, number, result: JSON.stringify(result) });
    this.cancelWrite ??= this.options.clock.after(writeAfterMs, () => this.write());
  }

  /** It runs no more. A full disk keeps nobody from being told by this process. */
  setState(id: string, state: JobState): void {
    this.write();
    try {
      this.run('UPDATE jobs SET state = ? WHERE id = ?', state, id);
    } catch (thrown) {
      this.options.log.error({ err: asEntremiseError(thrown), job: id }, 'the end of a job cannot be kept');
    }
  }

  /** Forgets it. @throws EntremiseError `state-unreadable` */
  remove(id: string): void {
    this.unwritten = this.unwritten.filter(({ job }) => job !== id);
    this.run('DELETE FROM jobResults WHERE job = ?', id);
    this.run('DELETE FROM jobs WHERE id = ?', id);
  }

  /** Writes what is not on disk; what a full disk does not take is tried again. */
  private write(): void {
    this.cancelWrite?.();
    this.cancelWrite = undefined;
    if (this.unwritten.length === 0) return;
    const { path, database, clock, log } = this.options;
    try {
      guarded(path, () => {
        database.exec('BEGIN IMMEDIATE');
        const insert = database.prepare('INSERT OR IGNORE INTO jobResults VALUES (?, ?, ?)');
        for (const { job, number, result } of this.unwritten) insert.run(job, number, result);
        database.exec('COMMIT');
      });
      this.unwritten = [];
    } catch (thrown) {
      if (database.isTransaction) database.exec('ROLLBACK');
      log.error({ err: asEntremiseError(thrown) }, 'results of jobs cannot be kept');
      this.cancelWrite = clock.after(writeAfterMs, () => this.write());
    }
  }

  /** Writes no more, after a last time. */
  close(): void {
    this.write();
    this.cancelWrite?.();
    this.options.database.close();
  }
}
