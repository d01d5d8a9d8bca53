import { randomBytes } from 'node:crypto';
import { type BulkResult, reasonOf, runBulk, type Terminal } from '../../terminal/index.ts';
import { type JobCommand, workOf } from './job-command.ts';
import type { JobStore } from './job-store.ts';
import type { ApiToken } from './token-store.ts';

/** How a job goes about it. */
export interface JobPace {
  /** Mediators at once. */
  readonly concurrency: number;
  /** How often each is tried at most. */
  readonly attempts: number;
  /** How long one try may take. */
  readonly timeoutMs: number;
}

/** What a job is to do. */
export interface JobWish extends JobPace {
  readonly command: JobCommand;
  /** Names. */
  readonly mediators: readonly string[];
  /** The job whose failed ones these are. */
  readonly retryOf?: string | undefined;
}

/** What came of it at one mediator. */
export interface JobResult {
  readonly mediator: string;
  readonly ok: boolean;
  readonly attempts: number;
  /** What the command gave. */
  readonly value?: object;
  readonly error?: { readonly code: string; readonly message: string };
}

function resultOf(result: BulkResult<object>): JobResult {
  const { mediator, attempts } = result;
  if (result.ok) return { mediator, ok: true, attempts, value: result.value };
  const { message } = result.error;
  return { mediator, ok: false, attempts, error: { code: reasonOf(result.error), message } };
}

/** `interrupted`: the server ended before it did. */
export type JobState = 'running' | 'done' | 'cancelled' | 'interrupted';

/** A job as it is kept. */
export interface JobRecord {
  readonly id: string;
  readonly tokenId: string;
  readonly wish: JobWish;
  readonly createdAtMs: number;
  readonly state: JobState;
  /** In the order in which they came. */
  readonly results: readonly JobResult[];
}

/** Where a job is kept as it goes on. */
export type JobKeeper = Pick<JobStore, 'add' | 'addResult' | 'setState'>;

/** One command at many mediators, under a token's grant. A server that ends, ends it; the next one tells how far it came. */
export class BulkJob implements JobRecord {
  readonly id: string;
  readonly tokenId: string;
  readonly wish: JobWish;
  readonly createdAtMs: number;
  readonly results: JobResult[];
  /** Resolves when nothing more comes. */
  ended: Promise<void> = Promise.resolve();
  state: JobState;
  private readonly keeper: JobKeeper;
  private readonly stop = new AbortController();

  /** One that was there before, and runs no more. */
  constructor(record: JobRecord, keeper: JobKeeper) {
    const { id, tokenId, wish, createdAtMs, state, results } = record;
    this.id = id;
    this.tokenId = tokenId;
    this.wish = wish;
    this.createdAtMs = createdAtMs;
    this.results = [...results];
    this.state = state;
    this.keeper = keeper;
  }

  /** Begins a new one. @throws EntremiseError `state-unreadable` */
  static begin(terminal: Terminal, token: ApiToken, wish: JobWish, keeper: JobKeeper): BulkJob {
    const id = randomBytes(8).toString('hex');
    const createdAtMs = terminal.clock.wallTimeMs();
    const job = new BulkJob(
      { id, tokenId: token.id, wish, createdAtMs, state: 'running', results: [] },
      keeper,
    );
    keeper.add(job);
    job.ended = job.run(terminal, token);
    return job;
  }

  private async run(terminal: Terminal, { grantId: grant }: ApiToken): Promise<void> {
    const { command, mediators, concurrency, attempts, timeoutMs } = this.wish;
    const purpose = terminal.grants().find(({ id }) => id === grant)?.purpose;
    const onResult = (result: BulkResult<object>) => this.keep(resultOf(result));
    const { signal } = this.stop;
    const pace = { concurrency, attempts, timeoutMs };
    await runBulk(terminal, { mediators, work: workOf(command), ...pace, purpose, grant, onResult, signal });
    this.end('done');
  }

  private keep(result: JobResult): void {
    this.results.push(result);
    this.keeper.addResult(this.id, this.results.length, result);
  }

  private end(state: JobState): void {
    if (this.state !== 'running') return;
    this.state = state;
    this.keeper.setState(this.id, state);
    this.stop.abort();
  }

  /** How many have failed so far. */
  get failed(): number {
    return this.results.filter(({ ok }) => !ok).length;
  }

  /** Begins no more, and ends what runs. */
  cancel(): void {
    this.end('cancelled');
  }

  /** The server ends. */
  interrupt(): void {
    this.end('interrupted');
  }
}
