import { randomBytes } from 'node:crypto';
import { type BulkResult, reasonOf, runBulk, type Terminal } from '../../terminal/index.ts';
import { type JobCommand, workOf } from './job-command.ts';
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

/** One command at many mediators, under a token's grant, as it goes on. It lives in memory: a server that ends, ends it. */
export class BulkJob {
  readonly id = randomBytes(8).toString('hex');
  readonly tokenId: string;
  readonly wish: JobWish;
  readonly createdAtMs: number;
  /** In the order in which they came. */
  readonly results: JobResult[] = [];
  /** Resolves when nothing more comes. */
  readonly ended: Promise<void>;
  state: 'running' | 'done' | 'cancelled' = 'running';
  private readonly stop = new AbortController();

  constructor(terminal: Terminal, token: ApiToken, wish: JobWish) {
    this.tokenId = token.id;
    this.wish = wish;
    this.createdAtMs = terminal.clock.wallTimeMs();
    this.ended = this.run(terminal, token);
  }

  private async run(terminal: Terminal, { grantId: grant }: ApiToken): Promise<void> {
    const { command, mediators, concurrency, attempts, timeoutMs } = this.wish;
    const purpose = terminal.grants().find(({ id }) => id === grant)?.purpose;
    const onResult = (result: BulkResult<object>) => this.results.push(resultOf(result));
    const { signal } = this.stop;
    const pace = { concurrency, attempts, timeoutMs };
    await runBulk(terminal, { mediators, work: workOf(command), ...pace, purpose, grant, onResult, signal });
    if (this.state === 'running') this.state = 'done';
  }

  /** How many have failed so far. */
  get failed(): number {
    return this.results.filter(({ ok }) => !ok).length;
  }

  /** Begins no more, and ends what runs. */
  cancel(): void {
    if (this.state !== 'running') return;
    this.state = 'cancelled';
    this.stop.abort();
  }
}
