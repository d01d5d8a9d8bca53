import { type Deferred, deferred } from '../base/deferred.ts';
import { EntremiseError, errorCodeOf } from '../base/errors.ts';
import type { Stream } from '../session/stream.ts';
import type { Command, Result, Verb } from '../wire/messages/command.ts';
import { onAbort } from './abort-error.ts';
import type { Timers } from './path-clock.ts';
import { tunnelError } from './tunnel-error.ts';

type WithoutId<C> = C extends Command ? Omit<C, 'id'> : never;

/** A COMMAND before it has its id. */
export type CommandBody = WithoutId<Command>;

/** Where commands go. */
export interface CommandChannel {
  /** True while stream 0 takes no more (P3.7). */
  readonly controlFull: boolean;
  /** Returns the seq, by which later commands may name an OPEN (P3.4). */
  sendCommand(command: Command, creates?: Stream): number;
}

/** A command at the moment when it goes. */
export interface Outgoing {
  readonly command: CommandBody;
  /** The stream that it creates. */
  readonly creates?: Stream;
}

/** How a command is run. */
export interface RunOptions {
  /** Undefined: as long as it takes. Time without a way to the mediator does not count. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** It was done. Called before anything that follows the answer on the link is looked at. */
  onAnswer?(result: Result): void;
  /** It was done after all, but the caller has been told otherwise: undo it. */
  onLate?(result: Result): void;
}

/** A command on its way. */
export interface RunningCommand {
  /** @throws TunnelError with what the mediator answered, or why there is no answer; AbortError */
  readonly result: Promise<Result>;
  /** Its seq, once sent; undefined before. */
  readonly seq: number | undefined;
}

interface Entry {
  readonly make: () => Outgoing;
  readonly options: RunOptions;
  readonly answer: Deferred<Result>;
  /** Undoes timer and signal. */
  readonly cleanUp: (() => void)[];
  verb: Verb | undefined;
  seq: number | undefined;
  settled: boolean;
}

/** How long a command that needs nothing but the mediator itself may take. */
export const commandTimeoutMs = 30_000;

/** The commands of one attachment: sent in order while stream 0 has room, answered by id. */
export class CommandQueue {
  private readonly channel: CommandChannel;
  private readonly timers: Timers;
  private readonly waiting: Entry[] = [];
  private readonly sent = new Map<number, Entry>();
  private nextId = 1;
  private closedBy: EntremiseError | undefined;

  /** `timers`: those of the path, so that a command has all its time with a way to the mediator. */
  constructor(channel: CommandChannel, timers: Timers) {
    this.channel = channel;
    this.timers = timers;
  }

  /** Runs a command. `make` is called when it goes, which is at once while there is room. */
  run(make: () => Outgoing, options: RunOptions = {}): RunningCommand {
    const entry: Entry = {
      make,
      options,
      answer: deferred(),
      cleanUp: [],
      verb: undefined,
      seq: undefined,
      settled: false,
    };
    if (this.closedBy !== undefined) this.settle(entry, this.closedBy);
    else this.enqueue(entry);
    return {
      result: entry.answer.promise,
      get seq() {
        return entry.seq;
      },
    };
  }

  private enqueue(entry: Entry): void {
    const { signal, timeoutMs } = entry.options;
    entry.cleanUp.push(onAbort(signal, error => this.settle(entry, error)));
    if (entry.settled) return;
    if (timeoutMs !== undefined) {
      entry.cleanUp.push(this.timers.after(timeoutMs, () => this.settle(entry, tooLate(entry, timeoutMs))));
    }
    this.waiting.push(entry);
    this.onRoom();
  }

  /** Stream 0 may have room again. */
  onRoom(): void {
    while (!this.channel.controlFull) {
      const entry = this.waiting.shift();
      if (entry === undefined) return;
      if (!entry.settled) this.send(entry);
    }
  }

  private send(entry: Entry): void {
    const id = this.nextId++;
    this.sent.set(id, entry);
    try {
      const { command, creates } = entry.make();
      entry.verb = command.verb;
      entry.seq = this.channel.sendCommand({ id, ...command }, creates);
    } catch (thrown) {
      this.sent.delete(id);
      this.settle(entry, thrown);
    }
  }

  /** The mediator's answer. One to nothing that was asked is not worth an error. */
  onResult(result: Result): void {
    const entry = this.sent.get(result.id);
    if (entry === undefined) return;
    this.sent.delete(result.id);
    if (result.code !== 0) return this.settle(entry, resultError(result));
    if (entry.settled) return entry.options.onLate?.(result);
    this.finish(entry);
    entry.options.onAnswer?.(result);
    entry.answer.resolve(result);
  }

  private settle(entry: Entry, thrown: unknown): void {
    if (entry.settled) return;
    this.finish(entry);
    entry.answer.reject(tunnelError(thrown));
  }

  private finish(entry: Entry): void {
    entry.settled = true;
    for (const undo of entry.cleanUp) undo();
  }

  /** The attachment is over: everything fails with `error`, now and from now on. */
  close(error: EntremiseError): void {
    this.closedBy = error;
    for (const entry of [...this.sent.values(), ...this.waiting]) this.settle(entry, error);
    this.sent.clear();
    this.waiting.length = 0;
  }
}

function tooLate(entry: Entry, timeoutMs: number): EntremiseError {
  const verb = entry.verb?.toUpperCase() ?? 'a command';
  return new EntremiseError('timed-out', {
    message: `The mediator did not answer ${verb} within ${timeoutMs / 1000} s.`,
    by: 'terminal',
  });
}

function resultError({ code, message, by }: Result): EntremiseError {
  return new EntremiseError(errorCodeOf(code) ?? 'internal', {
    ...(message === undefined ? {} : { message }),
    ...(by === undefined ? {} : { by }),
  });
}
