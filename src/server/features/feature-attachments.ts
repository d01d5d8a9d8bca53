import { createHash } from 'node:crypto';
import type { ErrorCode } from '../../base/errors.ts';
import { AttachmentKeeper, type KeeperStatus, reasonOf, type Terminal } from '../../terminal/index.ts';

/**
 * The attachments of a feature: one for each mediator that something of it uses. What is open outlives a lost way as that
 * of any terminal does, and a server that is started again ends what the one before has left (P4.6).
 */

/** How long streams and ports of a feature wait for the way to their mediator: the longest that a mediator gives by default. */
const holdMs = 15 * 60_000;

/** How things stand with something that is declared, and why. */
export type DeclaredState =
  | { readonly state: 'applied' }
  /** It will be, by itself: who it waits for is away. */
  | { readonly state: 'pending'; readonly code: ErrorCode; readonly reason: string }
  /** Somebody has to do something; it is tried again all the same. */
  | { readonly state: 'refused'; readonly code: ErrorCode; readonly reason: string };

/** Reasons that pass by themselves: somebody is away, or has just been. Everything else is a refusal. */
const passing: ReadonlySet<ErrorCode> = new Set([
  'mediator-offline',
  'server-unreachable',
  'shutting-down',
  'link-lost',
  'link-closed',
  'idle-timeout',
  'timed-out',
  'displaced',
  'in-use',
  'terminal-gone',
  'terminal-restarted',
  'mediator-restarted',
  'cannot-resume',
  'detached',
  'port-closed',
  'aborted',
]);

/** What a failure means for what is declared. */
export function stateOf(thrown: unknown): DeclaredState {
  const code = reasonOf(thrown);
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return { state: passing.has(code) ? 'pending' : 'refused', code, reason };
}

/** The use of a mediator by one thing that is declared. */
export interface AttachmentLease {
  readonly keeper: AttachmentKeeper;
  /** `applied` while there is an attachment that has its way. */
  readonly state: DeclaredState;
  release(): void;
}

const beginning: DeclaredState = { state: 'pending', code: 'server-unreachable', reason: 'It begins.' };

interface Kept {
  readonly keeper: AttachmentKeeper;
  users: number;
  state: DeclaredState;
}

function stateFrom(status: KeeperStatus): DeclaredState | undefined {
  switch (status.state) {
    case 'attached':
    case 'resumed':
      return { state: 'applied' };
    case 'suspended': {
      const reason = `The way to ${status.mediator} is lost; what is open waits for it.`;
      return { state: 'pending', code: status.reason, reason };
    }
    case 'ended':
    case 'retrying':
      return stateOf(status.error);
    case 'waiting': {
      if (status.for === 'server') return beginning;
      const reason = `The mediator ${status.mediator} is offline since ${status.since.toISOString()}.`;
      return { state: 'pending', code: 'mediator-offline', reason };
    }
  }
}

/** See the head of this file. */
export class FeatureAttachments {
  private readonly terminal: Terminal;
  private readonly name: string;
  private readonly onChange: () => void;
  private readonly kept = new Map<string, Kept>();

  /** `name`: the feature's. `onChange`: something in a lease's state is new. */
  constructor(terminal: Terminal, name: string, onChange: () => void) {
    this.terminal = terminal;
    this.name = name;
    this.onChange = onChange;
  }

  /** Attaches to a mediator, for as long as somebody uses it. */
  use(mediator: string): AttachmentLease {
    const kept = this.kept.get(mediator) ?? this.keep(mediator);
    kept.users++;
    let isReleased = false;
    return {
      keeper: kept.keeper,
      get state() {
        return kept.state;
      },
      release: () => {
        if (isReleased) return;
        isReleased = true;
        kept.users--;
        this.closeUnused(mediator, kept);
      },
    };
  }

  private keep(mediator: string): Kept {
    const id = createHash('sha256').update(`${this.name} ${mediator}`).digest('hex').slice(0, 32);
    let isFirst = true;
    const keeper = new AttachmentKeeper(this.terminal, mediator, {
      purpose: 'service',
      holdMs,
      forever: true,
      id,
      async prepare(attachment) {
        if (!isFirst) return;
        isFirst = false;
        for (const port of await attachment.adoptedPorts()) await port.close();
      },
    });
    const kept: Kept = { keeper, users: 0, state: beginning };
    keeper.on('status', status => this.onStatus(mediator, kept, status));
    this.kept.set(mediator, kept);
    return kept;
  }

  private onStatus(mediator: string, kept: Kept, status: KeeperStatus): void {
    kept.state = stateFrom(status) ?? kept.state;
    if (status.state === 'resumed' || status.state === 'ended') this.closeUnused(mediator, kept);
    this.onChange();
  }

  /** Who detaches without a way has nobody to tell (P4.6): then the mediator would keep what another is to have. */
  private closeUnused(mediator: string, { keeper, users }: Kept): void {
    if (users > 0 || keeper.current?.suspended !== undefined) return;
    this.kept.delete(mediator);
    keeper.close();
  }

  /** Ends all of them. */
  close(): void {
    for (const { keeper } of this.kept.values()) keeper.close();
    this.kept.clear();
  }
}
