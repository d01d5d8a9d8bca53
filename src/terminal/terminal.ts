import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type { Clock } from '../base/clock.ts';
import { deferred } from '../base/deferred.ts';
import { EntremiseError } from '../base/errors.ts';
import type { RunningMember, RunningMemberHandlers } from '../member/running-member.ts';
import type { TrustKeeper } from '../member/trust-keeper.ts';
import type { AcceptedGrant } from '../policy/grant.ts';
import type { AttachmentResources } from '../session/attachment.ts';
import { Budget } from '../session/budget.ts';
import type { MemberLink } from '../session/member-link.ts';
import { SlabPool } from '../session/slab.ts';
import type { Purpose } from '../wire/messages/attach.ts';
import { presence } from '../wire/messages/report.ts';
import { frameType } from '../wire/spec.ts';
import { AttachDesk } from './attach-desk.ts';
import { type AttachOptions, readAttachmentId } from './attach-options.ts';
import { callOut } from './call-out.ts';
import { findGrant, type GrantSources, namedMediators } from './grant-finder.ts';
import { MediatorAttachment } from './mediator-attachment.ts';
import { type Mediator, type MediatorChange, MediatorList } from './mediator-list.ts';
import { wayTo } from './mediator-way.ts';
import { type ConnectionState, ServerConnection, type WaitOptions } from './server-connection.ts';
import { type ServiceWish, wishesFor } from './service-directory.ts';
import type { TerminalUdpPath } from './terminal-udp.ts';
import { failure, TunnelError, tunnelError } from './tunnel-error.ts';

/** The events of a {@link Terminal}. */
export interface TerminalEvents {
  /** The link to the server is up and the list of mediators complete. */
  connected: [];
  /** The link is gone, or a try has failed; the next is made in `retryInMs`. */
  disconnected: [loss: { readonly error: TunnelError; readonly retryInMs: number }];
  /** A mediator came, went or changed. */
  mediator: [change: MediatorChange];
}

/** The member that a terminal is: what connectTerminal starts from a directory, or a feature of the server in its process. */
export interface TerminalMember extends GrantSources, Pick<RunningMember, 'instance' | 'member' | 'stop'> {
  readonly trust: Pick<
    TrustKeeper,
    'current' | 'grants' | 'verifyMember' | 'verifyGrant' | 'accept' | 'onChange'
  >;
}

/** What a terminal needs beside its member. */
export interface TerminalOptions {
  readonly clock: Clock;
  /** Makes the UDP channel of this terminal; absent: its datagrams go over the TCP channel. */
  readonly udp?: TerminalUdpPath | undefined;
  /** Bounds what peers may send before it is read (P3.3). */
  readonly receiveBudgetBytes?: number;
  /** Bounds what is kept until peers have it (P3.3). */
  readonly replayBudgetBytes?: number;
}

/** A terminal is no gateway: it has memory for some hundred streams at full windows. */
const defaultReceiveBudgetBytes = 64 * 1024 * 1024;
const defaultReplayBudgetBytes = 32 * 1024 * 1024;

/** What a program that means to go on asks for (P4.6). */
const defaultHoldMs = 15 * 60_000;

/** How long the end of the link may take when the terminal closes. */
const closeTimeoutMs = 2_000;

/** This program as a member of the server: the mediators that it may use, and the way to them. Keeps its link up by itself. */
export class Terminal extends EventEmitter<TerminalEvents> {
  /** Where its time comes from. */
  readonly clock: Clock;
  /** Its own way to the server by UDP; undefined where it makes none. */
  readonly udp: TerminalUdpPath | undefined;
  private readonly resources: AttachmentResources;
  private readonly list: MediatorList;
  private readonly attachments = new Set<MediatorAttachment>();
  private readonly connection: ServerConnection;
  private alive: NodeJS.Timeout | undefined;
  private running: { readonly member: TerminalMember; readonly desk: AttachDesk } | undefined;
  private closing = false;

  /** Use connectTerminal or {@link startTerminal}. */
  constructor(options: TerminalOptions) {
    super();
    const { clock, udp, receiveBudgetBytes, replayBudgetBytes } = options;
    this.clock = clock;
    this.udp = udp;
    this.connection = new ServerConnection(clock);
    this.resources = {
      pool: new SlabPool(),
      receiveBudget: new Budget(receiveBudgetBytes ?? defaultReceiveBudgetBytes),
      replayBudget: new Budget(replayBudgetBytes ?? defaultReplayBudgetBytes),
      now: () => clock.now(),
    };
    this.list = new MediatorList({
      verifyMember: text => this.parts.member.trust.verifyMember(text),
      documentsTaken: () => this.parts.member.trust.accept([]),
      onChange: change => this.onMediator(change),
      onComplete: () => this.onComplete(),
      wallTimeMs: () => clock.wallTimeMs(),
    });
  }

  private get parts(): { readonly member: TerminalMember; readonly desk: AttachDesk } {
    if (this.running !== undefined) return this.running;
    throw new EntremiseError('internal', { message: 'The terminal has not started.' });
  }

  /** The member is there. */
  begin(member: TerminalMember): void {
    const identity = { signer: member.key, instance: member.instance };
    // Between two tries nothing else would keep the process.
    this.alive = setInterval(() => {}, 2 ** 30);
    this.running = { member, desk: new AttachDesk(identity, this.clock) };
    member.trust.onChange(() => {
      this.list.onTrustChanged();
      this.connection.wake();
    });
  }

  /** What the member's link tells. */
  get handlers(): RunningMemberHandlers {
    return {
      onOnline: (link, { serverBootId }) => this.onOnline(link, serverBootId),
      onChannel: message => this.udp?.onMessage(message),
      onOffline: (error, retryInMs) => this.onOffline(error, retryInMs),
      onPresence: message => this.list.onPresence(message),
      onAttached: message => this.parts.desk.onAttached(message),
      onAttach: () => {},
      onService: () => {},
    };
  }

  private onOnline(link: MemberLink, serverBootId: Uint8Array): void {
    this.udp?.onOnline(link, serverBootId);
    this.list.onSubscribed();
    link.driver.send(frameType.presence, presence.toBytes({ subscribe: true }));
  }

  private onComplete(): void {
    this.connection.onComplete();
    callOut(() => this.emit('connected'));
  }

  private onOffline(error: EntremiseError, retryInMs: number): void {
    this.udp?.onOffline();
    this.connection.onOffline(error);
    this.list.onOffline();
    callOut(() => this.emit('disconnected', { error: new TunnelError(error), retryInMs }));
  }

  private onMediator(change: MediatorChange): void {
    this.connection.wake();
    callOut(() => this.emit('mediator', change));
  }

  /** Whether the server can be reached. */
  get state(): ConnectionState {
    return this.connection.state;
  }

  /**
   * The mediators that this terminal's grants name, by name; empty while the first list has not come. With the id of a
   * grant only those that it names.
   */
  mediators(grantId?: string): readonly Mediator[] {
    const { all } = this.list;
    if (grantId === undefined) return all;
    return namedMediators(all, this.parts.member.trust, grantId);
  }

  /** This terminal's grants, verified. */
  grants(): readonly AcceptedGrant[] {
    return this.parts.member.trust.grants;
  }

  /**
   * Resolves when the server has been reached and the list of mediators is complete. Without `signal` it waits 15 s.
   * @throws TunnelError with the reason of the last try; AbortError
   */
  ready(options: WaitOptions = {}): Promise<void> {
    return this.connection.ready(options);
  }

  /**
   * The mediators that want a service (S5), those of now and each that comes; goes on through lost links until `signal`.
   * @throws AbortError
   */
  provide(service: string, { signal }: WaitOptions = {}): AsyncGenerator<ServiceWish, void> {
    return wishesFor(this, service, signal);
  }

  /**
   * Resolves when the mediator is online; waits for the server too.
   * @throws AbortError; TunnelError `grant-missing`, `grant-expired`, `no-such-mediator`
   */
  async waitOnline(name: string, options: WaitOptions = {}): Promise<Mediator> {
    const { signal } = options;
    for (;;) {
      const found = this.list.find(name);
      if (found?.online === true) return found;
      this.connection.throwIfHopeless();
      if (this.state.connected && found === undefined) throw await this.unknownMediator(name);
      await this.connection.nextChange(signal);
    }
  }

  /**
   * Attaches to the mediator with that name.
   * @throws TunnelError `in-use` while the server has not noticed that the process to adopt from is gone; `mediator-offline`, `no-such-mediator`, `grant-missing`, `grant-expired`, `server-unreachable`,
   * and what server or mediator refuse for; AbortError
   */
  async attach(name: string, options: AttachOptions = {}): Promise<MediatorAttachment> {
    try {
      return await this.tryAttach(name, options);
    } catch (thrown) {
      throw tunnelError(thrown);
    }
  }

  private async tryAttach(name: string, options: AttachOptions): Promise<MediatorAttachment> {
    const { purpose = 'assistance', holdMs = defaultHoldMs, signal } = options;
    const attachmentId = options.adopt === undefined ? randomBytes(16) : readAttachmentId(options.adopt);
    await this.ready({ signal });
    const mediator = this.list.find(name);
    if (mediator === undefined) throw await this.unknownMediator(name, purpose);
    const { list, connection, clock } = this;
    const { member, desk } = this.parts;
    const wish = { mediator, name, purpose, wanted: options.grant };
    const way = wayTo({ member, list, connection, clock }, wish);
    const grant = await way.grant();
    const link = way.link();
    if (link === undefined) throw this.state.connected ? offline(mediator) : new EntremiseError('link-lost');
    const parts = {
      desk,
      way,
      attachmentId,
      resources: this.resources,
      clock,
      udp: this.udp && { hub: this.udp.hub, channels: this.udp },
      wantedHoldMs: holdMs,
    };
    const id = attachmentId.toString('hex');
    const attachment = new MediatorAttachment({ mediator: name, purpose, id }, parts);
    await attachment.begin(link, grant, signal);
    this.attachments.add(attachment);
    attachment.once('closed', () => this.attachments.delete(attachment));
    return attachment;
  }

  /** Why there is no mediator of that name in the list: no grant names it, or the server does not know it. */
  private async unknownMediator(name: string, purpose: Purpose = 'assistance'): Promise<Error> {
    try {
      const mediator = { key: '', name, labels: [] };
      await findGrant(this.parts.member, { mediator, purpose, nowMs: this.clock.now() });
    } catch (thrown) {
      return tunnelError(thrown);
    }
    const known = this.list.all.flatMap(mediator => mediator.name ?? []).join(', ');
    const others = known === '' ? '' : ` It knows: ${known}.`;
    return failure('no-such-mediator', `The server knows no mediator with the name ${name}.${others}`);
  }

  /** Detaches everything and ends the link. Close sockets first: their 'close' says that nothing is lost. */
  async close(): Promise<void> {
    if (this.closing) return;
    this.closing = true;
    for (const attachment of [...this.attachments]) attachment.detach();
    clearInterval(this.alive);
    this.connection.close();
    this.udp?.stop();
    // DETACH is on its way first: what is queued is written within this turn.
    await new Promise(resolve => setImmediate(resolve));
    const { member } = this.parts;
    const ended = deferred<void>();
    const cancel = this.clock.after(closeTimeoutMs, () => ended.resolve());
    if (member.member.link === undefined) ended.resolve();
    else this.once('disconnected', () => ended.resolve());
    member.stop();
    await ended.promise;
    cancel();
  }
}

function offline({ name, since }: Mediator): EntremiseError {
  const message = `The mediator ${name} is offline since ${since.toISOString()}.`;
  return new EntremiseError('mediator-offline', { message, by: 'terminal' });
}

/**
 * A terminal on a member that `start` starts with the handlers it is given.
 * @throws what `start` throws
 */
export async function startTerminal(
  start: (handlers: RunningMemberHandlers) => Promise<TerminalMember>,
  options: TerminalOptions,
): Promise<Terminal> {
  const terminal = new Terminal(options);
  terminal.begin(await start(terminal.handlers));
  return terminal;
}
