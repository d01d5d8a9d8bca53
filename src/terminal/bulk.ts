import type { Purpose } from '../wire/messages/attach.ts';
import { isFinal } from './final-reasons.ts';
import type { MediatorAttachment } from './mediator-attachment.ts';
import type { Mediator } from './mediator-list.ts';
import type { Terminal } from './terminal.ts';
import { failure, tunnelError } from './tunnel-error.ts';

/** Which mediators; what is absent does not matter. */
export interface MediatorSelection {
  /** All of these labels. */
  readonly labels?: readonly string[] | undefined;
  /** Names, whole. */
  readonly names?: readonly string[] | undefined;
  /** A service that it wants (S5). */
  readonly service?: string | undefined;
  readonly online?: boolean | undefined;
}

/** The mediators of `all` that are meant: those whose name and labels are the operator's word (P1.8). */
export function selectMediators(all: readonly Mediator[], selection: MediatorSelection): Mediator[] {
  const { labels = [], names, service, online } = selection;
  return all.filter(
    mediator =>
      mediator.verified &&
      mediator.name !== undefined &&
      (names === undefined || names.includes(mediator.name)) &&
      labels.every(label => mediator.labels.includes(label)) &&
      (online === undefined || mediator.online === online) &&
      (service === undefined || (mediator.report?.services ?? []).some(({ name }) => name === service)),
  );
}

/** What came of it at one mediator. */
export type BulkResult<T> = {
  readonly mediator: string;
  /** How often it was tried. */
  readonly attempts: number;
} & ({ readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: Error });

/** How {@link runBulk} goes about it. */
export interface BulkOptions<T> {
  readonly mediators: readonly string[];
  /** At each of them, attached for as long as it runs. */
  readonly work: (attachment: MediatorAttachment, signal: AbortSignal) => Promise<T>;
  /** How many at once. */
  readonly concurrency: number;
  /** How often at most; what another try would only hear again is tried once. */
  readonly attempts: number;
  /** How long one try may take. */
  readonly timeoutMs: number;
  readonly purpose?: Purpose | undefined;
  /** As AttachOptions.grant. */
  readonly grant?: string | undefined;
  /** Told of each that is done with. */
  readonly onResult: (result: BulkResult<T>) => void;
  /** Begins no more; what runs is ended. */
  readonly signal: AbortSignal;
}

/**
 * Does one thing at many mediators. Those that fail and may be tried again come after the others. Resolves when all are
 * done with, or the signal is raised: then those that are left are not told of.
 */
export async function runBulk<T>(terminal: Terminal, options: BulkOptions<T>): Promise<void> {
  const waiting = options.mediators.map(mediator => ({ mediator, attempts: 0 }));
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (options.signal.aborted) return;
      const attempts = next.attempts + 1;
      const result = await tryOne(terminal, options, { mediator: next.mediator, attempts });
      if (options.signal.aborted) return;
      const again = !result.ok && attempts < options.attempts && !isFinal(result.error);
      if (again) waiting.push({ mediator: next.mediator, attempts });
      else options.onResult(result);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, options.concurrency) }, worker));
}

async function tryOne<T>(
  terminal: Terminal,
  { work, timeoutMs, purpose, grant, signal }: BulkOptions<T>,
  who: { readonly mediator: string; readonly attempts: number },
): Promise<BulkResult<T>> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  let attachment: MediatorAttachment | undefined;
  try {
    const how = {
      holdMs: 0,
      signal: limited,
      ...(purpose === undefined ? {} : { purpose }),
      ...(grant === undefined ? {} : { grant }),
    };
    attachment = await terminal.attach(who.mediator, how);
    return { ...who, ok: true, value: await work(attachment, limited) };
  } catch (thrown) {
    const late = limited.aborted && !signal.aborted;
    return { ...who, ok: false, error: late ? failure('timed-out') : tunnelError(thrown) };
  } finally {
    attachment?.detach();
  }
}
