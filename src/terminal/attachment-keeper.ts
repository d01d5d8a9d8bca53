import { EventEmitter } from 'node:events';
import type { Clock } from '../base/clock.ts';
import { type Deferred, deferred } from '../base/deferred.ts';
import { onAbort, throwIfAborted } from './abort-error.ts';
import type { AttachOptions } from './attach-options.ts';
import type { Suspension } from './attachment-hold.ts';
import { callOut } from './call-out.ts';
import { isFinal } from './final-reasons.ts';
import type { AttachmentEnd, MediatorAttachment } from './mediator-attachment.ts';
import type { Mediator } from './mediator-list.ts';
import { pause } from './pause.ts';
import type { Terminal } from './terminal.ts';
import { failure, reasonOf, type TunnelError, tunnelError } from './tunnel-error.ts';

/** What a keeper is doing, for the user. */
export type KeeperStatus =
  | { readonly state: 'attached'; readonly mediator: string }
  /** The way is lost and everything on it waits, at the longest until `until`. */
  | ({ readonly state: 'suspended'; readonly mediator: string } & Suspension)
  /** The way is back, `afterMs` after it was lost. */
  | { readonly state: 'resumed'; readonly mediator: string; readonly afterMs: number }
  /** The attachment is over, and what was open on it; `error` says why. Another is made. */
  | { readonly state: 'ended'; readonly mediator: string; readonly error: TunnelError }
  /** There is no link to the server; `error` says why the last try failed. */
  | {
      readonly state: 'waiting';
      readonly for: 'server';
      readonly since: Date;
      readonly error: TunnelError | undefined;
    }
  /** The mediator is offline. */
  | { readonly state: 'waiting'; readonly for: 'mediator'; readonly mediator: string; readonly since: Date }
  /** An attempt has failed, and another follows. */
  | { readonly state: 'retrying'; readonly error: Error; readonly inMs: number };

/** The events of an {@link AttachmentKeeper}. */
export interface AttachmentKeeperEvents {
  status: [status: KeeperStatus];
  attached: [attachment: MediatorAttachment];
  /** It has given up: {@link AttachmentKeeper.done} says the same. */
  failed: [error: Error];
}

/** How a keeper attaches, and for how long it tries. `adopt` is for its first attachment only. */
export interface KeeperOptions extends AttachOptions {
  /** Tries on whatever the reason of a refusal: a grant may be renewed, a mediator be enrolled. */
  readonly forever?: boolean | undefined;
  /**
   * The id of all its attachments, so that each adopts what one before has left, in whichever process; where that is in use
   * still, the next has any.
   */
  readonly id?: string | undefined;
  /** Done with each attachment before anybody else has it; what it throws ends the attachment, and another is made. */
  readonly prepare?: ((attachment: MediatorAttachment) => Promise<void>) | undefined;
}

const firstRetryMs = 1_000;
const longestRetryMs = 30_000;

/** After what only another can change the longest pause is made at once. */
const longestFailures = Math.ceil(Math.log2(longestRetryMs / firstRetryMs));

/** Another process has the id: it is no use to wait for it. */
const idTaken: ReadonlySet<string> = new Set(['in-use', 'terminal-restarted']);

/**
 * Keeps one attachment to a mediator for as long as it is wanted. While its way is lost, but held, it is the same one and
 * what is open on it stays so; when it has ended for good a new one is made. What was open on the old one is gone then: who
 * uses a keeper begins anew with each attachment.
 */
export class AttachmentKeeper extends EventEmitter<AttachmentKeeperEvents> {
  readonly mediatorName: string;
  /** Resolves after {@link close}. @throws what made another try useless */
  readonly done: Promise<void>;
  private readonly terminal: Terminal;
  private readonly options: KeeperOptions;
  private readonly stopping = new AbortController();
  private readonly waiters = new Set<Deferred<MediatorAttachment>>();
  private attachment: MediatorAttachment | undefined;
  /** Of the process before; what this one has had is not adopted. */
  private adopt: string | undefined;
  private isIdInUse = false;
  private lastStatus = '';
  private gaveUp: Error | undefined;

  constructor(terminal: Terminal, mediatorName: string, options: KeeperOptions = {}) {
    super();
    // As many forwards as there are use one keeper.
    this.setMaxListeners(0);
    this.terminal = terminal;
    this.mediatorName = mediatorName;
    this.options = options;
    this.adopt = options.adopt;
    onAbort(options.signal, () => this.close());
    this.done = this.run();
    this.done.catch(() => {});
  }

  /** The attachment of now, if there is one. */
  get current(): MediatorAttachment | undefined {
    return this.attachment;
  }

  /** Where its time comes from. */
  get clock(): Clock {
    return this.terminal.clock;
  }

  /** What the server tells of the mediator. */
  get mediator(): Mediator | undefined {
    return this.terminal.mediators().find(({ name }) => name === this.mediatorName);
  }

  /** Calls `use` with the attachment of now and each that follows; returns how to end that. */
  each(use: (attachment: MediatorAttachment) => void): () => void {
    this.on('attached', use);
    if (this.attachment !== undefined) use(this.attachment);
    return () => void this.off('attached', use);
  }

  /**
   * The attachment of now, or the next.
   * @throws AbortError, or what made the keeper give up
   */
  async attached(signal: AbortSignal): Promise<MediatorAttachment> {
    throwIfAborted(signal);
    if (this.attachment !== undefined) return this.attachment;
    if (this.gaveUp !== undefined) throw this.gaveUp;
    const waiter = deferred<MediatorAttachment>();
    const stopListening = onAbort(signal, error => waiter.reject(error));
    this.waiters.add(waiter);
    try {
      return await waiter.promise;
    } finally {
      this.waiters.delete(waiter);
      stopListening();
    }
  }

  /** Detaches and tries no more. */
  close(): void {
    this.stopping.abort();
    this.attachment?.detach();
  }

  private async run(): Promise<void> {
    // Whoever made the keeper listens first.
    await Promise.resolve();
    try {
      for (let failures = 0; ; ) failures = (await this.attachOnce(failures)) ? 0 : failures + 1;
    } catch (thrown) {
      if (this.stopping.signal.aborted) return this.giveUp(failure('detached'));
      const error = tunnelError(thrown);
      this.giveUp(error);
      callOut(() => this.emit('failed', error));
      throw error;
    }
  }

  private giveUp(error: Error): void {
    this.gaveUp = error;
    for (const waiter of this.waiters) waiter.reject(error);
  }

  /** One attachment, to its end. False when there was none. @throws what is final */
  private async attachOnce(failures: number): Promise<boolean> {
    const { signal } = this.stopping;
    try {
      await this.waitOnline();
      const attachment = await this.attachNow();
      await this.use(attachment);
      return true;
    } catch (thrown) {
      this.isIdInUse = idTaken.has(reasonOf(thrown));
      if (signal.aborted || this.isFinal(thrown)) throw thrown;
      await this.waitBeforeRetry(tunnelError(thrown), isFinal(thrown) ? longestFailures : failures);
      return false;
    }
  }

  private async attachNow(): Promise<MediatorAttachment> {
    const { id, prepare, ...options } = this.options;
    const adopt = this.adopt ?? (this.isIdInUse ? undefined : id);
    const { signal } = this.stopping;
    const attachment = await this.terminal.attach(this.mediatorName, { ...options, adopt, signal });
    this.adopt = undefined;
    try {
      await prepare?.(attachment);
    } catch (thrown) {
      attachment.detach();
      throw thrown;
    }
    // The next may have its id again.
    this.isIdInUse = false;
    return attachment;
  }

  private async use(attachment: MediatorAttachment): Promise<void> {
    const end = deferred<AttachmentEnd>();
    const mediator = this.mediatorName;
    attachment.once('closed', closed => end.resolve(closed));
    attachment.on('suspended', suspension => this.tell({ state: 'suspended', mediator, ...suspension }));
    attachment.on('resumed', ({ afterMs }) => this.tell({ state: 'resumed', mediator, afterMs }));
    this.attachment = attachment;
    this.tell({ state: 'attached', mediator });
    for (const waiter of this.waiters) waiter.resolve(attachment);
    callOut(() => this.emit('attached', attachment));
    const { error } = await end.promise;
    this.attachment = undefined;
    throwIfAborted(this.stopping.signal);
    if (this.isFinal(error)) throw error;
    this.tell({ state: 'ended', mediator, error });
  }

  private isFinal(thrown: unknown): boolean {
    return this.options.forever !== true && isFinal(thrown);
  }

  private async waitOnline(): Promise<void> {
    const report = () => this.reportWaiting();
    const names = ['connected', 'disconnected', 'mediator'] as const;
    for (const name of names) this.terminal.on(name, report);
    try {
      report();
      await this.terminal.waitOnline(this.mediatorName, { signal: this.stopping.signal });
    } finally {
      for (const name of names) this.terminal.off(name, report);
    }
  }

  private reportWaiting(): void {
    const { connected, since, error } = this.terminal.state;
    const { mediator } = this;
    if (!connected) this.tell({ state: 'waiting', for: 'server', since, error });
    else if (mediator !== undefined && !mediator.online)
      this.tell({ state: 'waiting', for: 'mediator', mediator: this.mediatorName, since: mediator.since });
  }

  /** The same is not told twice. */
  private tell(status: KeeperStatus): void {
    const key = JSON.stringify(status);
    if (key === this.lastStatus) return;
    this.lastStatus = key;
    callOut(() => this.emit('status', status));
  }

  private async waitBeforeRetry(error: Error, failures: number): Promise<void> {
    const inMs = Math.min(firstRetryMs * 2 ** failures, longestRetryMs);
    this.tell({ state: 'retrying', error, inMs });
    await pause(this.terminal.clock, inMs, this.stopping.signal);
  }
}
