import { randomBytes } from 'node:crypto';
import { type FakeClock, fakeClock } from '../../../base/clock.ts';
import { EntremiseError, type ErrorCode } from '../../../base/errors.ts';
import { generateSigningKey } from '../../../base/keys.ts';
import { silentLog } from '../../../base/log.ts';
import { allowed } from '../../../policy/verdict.ts';
import type { ModelEnd } from '../../../session/testing/model-end.ts';
import type { AttachDecision, AttachQuestion } from '../../permit.ts';
import { Switch } from '../../switch.ts';
import type { SwitchLimits } from '../../switch-options.ts';
import type { Association, ModelStream } from './association.ts';
import { ModelMediator } from './mediator.ts';
import type { ModelProcess } from './process.ts';
import { ModelTerminal } from './terminal.ts';
import { ModelWire } from './wire.ts';

/**
 * Terminals, a server and a mediator with the machines of real ones, joined by wires that can be cut behind any byte, under
 * one clock that is moved by hand (P1 to P4). Everything is deterministic: the same history gives the same bytes but nonces.
 */

/** What a world is made of. */
export interface WorldOptions {
  readonly terminals: number;
  /** Receive budget and replay budget of each process. */
  readonly budgetBytes: number;
  /** What a wire holds in each direction. */
  readonly wireBytes: number;
  /** P4.6; 0: a lost label ends everything on it. */
  readonly holdMs: number;
  /** Terminals use one attachment id for all their lives (P4.2). */
  readonly standing: boolean;
  /** How many times faster time goes for attachments than for links: what takes them 10 s need not take 10 s of PINGs. */
  readonly haste: number;
  readonly limits: Partial<SwitchLimits>;
}

const log = silentLog();
const mediatorKey = generateSigningKey();
const terminalKeys = [generateSigningKey(), generateSigningKey()] as const;

/** See the head of this file. */
export class PathWorld {
  readonly clock: FakeClock = fakeClock();
  readonly holdMs: number;
  readonly budgetBytes: number;
  readonly standing: boolean;
  readonly haste: number;
  readonly mediatorKey = mediatorKey.publicKey;
  readonly mediator: ModelMediator;
  readonly terminals: readonly ModelTerminal[];
  /** Every attachment there ever was. */
  readonly associations: Association[] = [];
  /** Wires on which something may still come. */
  wires: ModelWire[] = [];
  server: Switch | undefined;
  private readonly options: WorldOptions;
  private readonly revoked = new Set<string>();
  /** When the server takes a terminal's grant for ended. */
  private readonly grantEnds = new Map<string, number>();
  private fault: Error | undefined;
  private droppedBefore = 0;
  /** Stream bytes that went again because a label was lost. */
  resentBytes = 0;
  /** Times the server had no room and unrouted a label (P2.3). */
  shed = 0;

  constructor(options: WorldOptions) {
    this.options = options;
    this.holdMs = options.holdMs;
    this.budgetBytes = options.budgetBytes;
    this.standing = options.standing;
    this.haste = options.haste;
    this.mediator = new ModelMediator(this, mediatorKey);
    this.terminals = terminalKeys.slice(0, options.terminals).map(key => new ModelTerminal(this, key));
    this.startServer();
    for (const one of this.processes) one.start();
  }

  /** The members, the mediator last. */
  get processes(): readonly ModelProcess[] {
    return [...this.terminals, this.mediator];
  }

  /** Monotonic milliseconds of attachments. */
  attachmentMs(): number {
    return this.clock.now() * this.haste;
  }

  /** The terminal that `pick` stands for. */
  terminal(pick: number): ModelTerminal {
    return this.terminals[pick % this.terminals.length] as ModelTerminal;
  }

  /** Runs what the machines ask for; what a model finds wrong meanwhile is kept, since machines take it for a rule broken. */
  expect<T>(run: () => T): T {
    try {
      return run();
    } catch (thrown) {
      if (!(thrown instanceof EntremiseError)) this.fault ??= thrown as Error;
      throw thrown;
    }
  }

  /** As {@link expect}, where nobody is there to take what is thrown. */
  note(check: () => void): void {
    try {
      this.expect(check);
    } catch {
      // Kept, or a rule broken that the machines have seen to.
    }
  }

  /** Begins a life of the server: it knows of nothing (P4.3). */
  startServer(): void {
    if (this.server !== undefined) return;
    const record = { statement: 'statement', report: undefined, lastSeenMs: 0 };
    this.server = new Switch({
      clock: this.clock,
      log,
      bootId: randomBytes(16),
      capabilities: [],
      limits: this.options.limits,
      directory: {
        visibleTo: () => [mediatorKey.text],
        isVisible: (_terminal, mediator) => mediator === mediatorKey.text,
        record: () => record,
      },
      audit: () => {},
      authorityKey: () => undefined,
      admit: async ({ role }) => ({ admitted: true, name: role, statementSeq: 1, documents: [] }),
      authoriseAttach: async question => this.authorise(question),
      recheckMember: () => undefined,
      acceptDocuments: async () => [],
      onReport: () => {},
    });
  }

  private authorise({ terminal }: AttachQuestion): AttachDecision {
    const code = this.codeOf(terminal);
    if (code !== undefined) return { allowed: false, code, by: 'grant', message: 'revoked' };
    const recheck = () => this.codeOf(terminal);
    const deadlineMs = this.grantEnds.get(terminal) ?? Number.POSITIVE_INFINITY;
    if (deadlineMs <= this.clock.now())
      return { allowed: false, code: 'grant-expired', by: 'grant', message: 'expired' };
    return { allowed: true, permit: { grantId: 'grant', deadlineMs, authorise: () => allowed, recheck } };
  }

  private codeOf(terminal: string): ErrorCode | undefined {
    return this.revoked.has(terminal) ? 'grant-revoked' : undefined;
  }

  /** Datagrams that the servers so far have dropped and counted. */
  get droppedDatagrams(): number {
    return this.droppedBefore + (this.server?.status().droppedDatagrams ?? 0);
  }

  /** The server dies on the spot, with everything that it knows. */
  killServer(): void {
    this.droppedBefore = this.droppedDatagrams;
    this.server = undefined;
    for (const { server } of this.wires) server.die();
  }

  /** That terminal may attach no more (P6.2). */
  revoke(terminal: ModelTerminal): void {
    this.revoked.add(terminal.key.text);
    this.server?.revalidate();
  }

  /** From its next attempt on that terminal's grant is one that ends so soon (P6.3). */
  shortenGrant(terminal: ModelTerminal, leftMs: number): void {
    this.grantEnds.set(terminal.key.text, this.clock.now() + leftMs);
  }

  /** Takes every revocation back, and gives every terminal a grant without end. */
  forgive(): void {
    this.revoked.clear();
    this.grantEnds.clear();
  }

  /** A wire to the server, whose end is accepted there; undefined while there is none. */
  newWire(name: string): ModelWire | undefined {
    if (this.server === undefined) return undefined;
    const wire = new ModelWire(name, this.options.wireBytes);
    this.wires.push(wire);
    this.server.accept(wire.server);
    return wire;
  }

  /** At most so many times everything under way arrives, the ends of connections too. Says how much that was. */
  async exchange(rounds: number): Promise<number> {
    let moved = 0;
    for (let round = 0; round < rounds; round++) {
      for (const wire of this.wires)
        for (const end of wire.ends) moved += end.arrive(Number.POSITIVE_INFINITY);
      await turn();
      if (this.wires.every(({ atRest }) => atRest)) break;
    }
    this.wires = this.wires.filter(wire => !wire.over);
    return moved;
  }

  /** Time passes, in steps so small that nobody takes another for dead. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 2500) {
      this.clock.advance(Math.min(left, 2500));
      await this.exchange(2);
    }
  }

  /** Every stream there ever was. */
  get streams(): ModelStream[] {
    return this.associations.flatMap(({ streams }) => [...streams.values()]);
  }

  /** The ends of streams whose owners live. */
  get liveEnds(): ModelEnd[] {
    return this.associations
      .flatMap(({ streams, over }) =>
        [...streams.values()].flatMap(stream => [
          ...(over.terminal ? [] : [stream.terminal ?? []]),
          ...(over.mediator ? [] : [stream.mediator ?? []]),
        ]),
      )
      .flat();
  }

  /** @throws Error what was found wrong so far, and when a budget is overdrawn */
  check(): void {
    if (this.fault !== undefined) throw this.fault;
    for (const one of this.processes) one.checkBudgets();
  }
}

/** One turn of the event loop: everything that waits on promises has run. */
export function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}
