import type { Clock } from '../base/clock.ts';
import { asEntremiseError, EntremiseError, type ErrorCode } from '../base/errors.ts';
import { keyToText, type SigningKey } from '../base/keys.ts';
import type { Log } from '../base/log.ts';
import type { MemberChannels } from '../member/channel-source.ts';
import type { NativeSockets } from '../native/addon.ts';
import type { AcceptedGrant } from '../policy/grant.ts';
import type { CanonicalAddress } from '../policy/target.ts';
import type { RelayHub } from '../relay/relay-hub.ts';
import { Budget } from '../session/budget.ts';
import type { MemberLink } from '../session/member-link.ts';
import { SlabPool } from '../session/slab.ts';
import { type Attach, type AttachInner, attached } from '../wire/messages/attach.ts';
import type { PortListing } from '../wire/messages/command.ts';
import type { PortEvent } from '../wire/messages/event.ts';
import { frameType } from '../wire/spec.ts';
import { type AccessBasis, AccessDoor, denialError } from './access-door.ts';
import { answerTo, attachRefusal, checkAttach, type PassedAttach } from './attach-door.ts';
import { AttachedTerminal, type ProvenAttempt } from './attached-terminal.ts';
import { AttachmentRegistry } from './attachment-registry.ts';
import type { Audit } from './audit.ts';
import type { WireView } from './capture/wire-view.ts';
import type { AttachedStatus } from './control/status.ts';
import { CorkRound } from './cork.ts';
import type { Device } from './devices/device.ts';
import { GrantUsage, UsageShare } from './grant-usage.ts';
import { NumberRegistry } from './ports/number-registry.ts';
import { TerminalLabel } from './terminal-label.ts';

/**
 * The mediator's side of all attachments: who may attach, who is attached, and what they share. Knows no sockets; the
 * ports do, and no documents; they come verified.
 */

/** ATTACHes on their way to a proof, a link (P1.6, P4.2). */
const maxProving = 4;

/** ATTACHes whose grant is being verified, beyond which not even that is done. */
const maxUndecided = 16;

/** What a mediator is made of. */
export interface AgentOptions {
  readonly signer: SigningKey;
  /** 16 bytes: this process life. */
  readonly instance: Uint8Array;
  readonly capabilities: readonly string[];
  /** @throws EntremiseError `grant-invalid`, `grant-expired`, `grant-revoked` */
  verifyGrant(text: string): Promise<AcceptedGrant>;
  readonly basis: AccessBasis;
  readonly audit: Audit;
  readonly native: NativeSockets | undefined;
  /** The relay of UDP ports, and the channels that redirected ones go over. */
  readonly hub: RelayHub;
  readonly channels: MemberChannels;
  readonly clock: Clock;
  readonly log: Log;
  /** The longest that a terminal is waited for (P4.6). */
  readonly maxHoldMs: number;
  /** Bytes that all streams together may have received and not handed on (P3.3). */
  readonly receiveBudgetBytes: number;
  /** Bytes that all streams together may have sent without acknowledgement (P3.3). */
  readonly replayBudgetBytes: number;
  lookup(name: string): Promise<readonly CanonicalAddress[]>;
  /** The devices of the LAN, by their first address. */
  devices(): readonly Device[];
  /** What is seen on the wire, where that may be looked at. */
  readonly wire?: Pick<WireView, 'tap'>;
}

/** See the head of this file. */
export class MediatorAgent {
  private readonly options: AgentOptions;
  private readonly registry = new AttachmentRegistry<AttachedTerminal>();
  private readonly proving = new Set<TerminalLabel>();
  private readonly usages = new Map<string, GrantUsage>();
  private readonly resources;
  private readonly shared;
  private undecided = 0;
  private nextPortId = 1;

  constructor(options: AgentOptions) {
    const { clock, native, hub, channels, log, lookup, devices, wire } = options;
    this.options = options;
    this.resources = {
      pool: new SlabPool(),
      receiveBudget: new Budget(options.receiveBudgetBytes),
      replayBudget: new Budget(options.replayBudgetBytes),
      now: () => clock.now(),
    };
    this.shared = {
      native,
      hub,
      channels,
      clock,
      log,
      lookup,
      devices,
      wire,
      facts: () => options.basis.owner().facts,
      pool: this.resources.pool,
      cork: new CorkRound(),
      numbers: new NumberRegistry(),
      nextPortId: () => this.nextPortId++,
    };
  }

  /** Terminals that are attached: proven, and routed. */
  get attachedCount(): number {
    return this.registry.all.filter(({ open }) => open).length;
  }

  /** Attachments that wait for their terminal (P4.6). */
  get heldCount(): number {
    return this.registry.suspended.length;
  }

  /** The terminals that are here or waited for, as the gateway's owner is told. */
  get status(): readonly AttachedStatus[] {
    return this.registry.all.map(({ status }) => status);
  }

  /** Memory that is promised to streams, for tests and QUERY. */
  get budgets(): { readonly receive: Budget; readonly replay: Budget } {
    return { receive: this.resources.receiveBudget, replay: this.resources.replayBudget };
  }

  /** An ATTACH has come on `link`. Answers, now or later. */
  onAttach(link: MemberLink, message: Attach): void {
    const { signer, verifyGrant, clock } = this.options;
    const label = new TerminalLabel(link, message.label, clock);
    const refuse = (thrown: unknown) => this.refuse(link, message.label, label.gone, thrown);
    if (this.undecided >= maxUndecided) return refuse(new EntremiseError('limit'));
    this.undecided++;
    const checks = {
      verifyGrant,
      permit: (grant: AcceptedGrant, inner: AttachInner) => this.permitAttach(grant, inner),
      checkLimits: (inner: AttachInner) => this.checkLimits(link, inner),
    };
    void checkAttach(message, signer.publicKey, checks)
      .then(passed => {
        if (!label.gone) this.answer(label, message.label, passed);
      })
      .catch(refuse)
      .finally(() => {
        this.undecided--;
      });
  }

  private refuse(link: MemberLink, label: number, gone: boolean, thrown: unknown): void {
    const { code, message } = asEntremiseError(thrown);
    this.options.log.info({ label, code, reason: message }, 'attach refused');
    if (gone) return;
    link.forgetLabel(label);
    link.driver.send(frameType.attached, attached.toBytes(attachRefusal(label, thrown)));
  }

  private doorFor(grant: AcceptedGrant, inner: AttachInner): AccessDoor {
    const { basis, audit } = this.options;
    const who = {
      terminal: keyToText(inner.terminalKey),
      attachment: Buffer.from(inner.attachmentId).toString('hex'),
    };
    return new AccessDoor(grant, who, basis, audit);
  }

  private permitAttach(grant: AcceptedGrant, inner: AttachInner): void {
    const { terminalKey, purpose } = inner;
    this.doorFor(grant, inner).permit({ verb: 'attach', terminalKey, purpose }, { verb: 'attach' });
  }

  private checkLimits(link: MemberLink, inner: AttachInner): void {
    const proving = [...this.proving].filter(label => label.link === link).length;
    if (proving + this.undecided > maxProving)
      throw new EntremiseError('limit', { message: 'Too many terminals are attaching; try again.' });
    this.registry.admit(inner);
  }

  private answer(label: TerminalLabel, labelNumber: number, passed: PassedAttach): void {
    const { signer, instance, capabilities, maxHoldMs } = this.options;
    const answered = answerTo(passed, { signer, instance, capabilities, maxHoldMs });
    const { signature, holdMs } = answered;
    const answer = { label: labelNumber, inner: answered.inner, signature };
    label.link.driver.send(frameType.attached, attached.toBytes(answer));
    this.proving.add(label);
    label.prove(answered, passed.credit, {
      onSettled: () => this.proving.delete(label),
      onProven: pending => this.onProven(passed, { name: passed.inner, holdMs, label, pending }),
    });
  }

  /** The proof is there: only now the attempt counts (P4.2). What was true when it was asked for may not be any more. */
  private onProven({ inner, grant }: PassedAttach, attempt: ProvenAttempt): void {
    const before = this.registry.admit(inner);
    const { terminalKey, purpose } = inner;
    const denial = this.doorFor(grant, inner).ask({ verb: 'attach', terminalKey, purpose });
    if (denial !== undefined) throw denialError(denial);
    const held = before?.held === true ? before : undefined;
    if (held === undefined) before?.end('displaced');
    else this.bringUnder(held, grant);
    const terminal = held ?? this.newTerminal(inner, grant);
    this.registry.onResumed(terminal);
    const { log } = this.options;
    log.info(
      { grant: grant.id, attempt: inner.attempt, purpose },
      held ? 'terminal back' : 'terminal attached',
    );
    terminal.moveTo(attempt);
  }

  private bringUnder(terminal: AttachedTerminal, grant: AcceptedGrant): void {
    const { id } = terminal.door.grant;
    terminal.door.goUnder(grant);
    if (id === grant.id) return;
    terminal.usage.moveTo(this.usageOf(grant));
    this.forgetUsage(id);
  }

  private newTerminal(inner: AttachInner, grant: AcceptedGrant): AttachedTerminal {
    const { clock, log } = this.options;
    const attachment = Buffer.from(inner.attachmentId).toString('hex');
    const terminal = new AttachedTerminal(inner, {
      clock,
      door: this.doorFor(grant, inner),
      usage: new UsageShare(this.usageOf(grant)),
      log: log.child({ attachment }),
      resources: this.resources,
      ports: this.shared,
      onPortEvent: (from, event) => this.tellWatchers(from, event),
      keyPorts: (asking, after, count) => this.keyPorts(asking, after, count),
      onSuspended: suspended => this.registry.onSuspended(suspended),
      onEnded: (ended, code) => this.onEnded(ended, code),
    });
    this.registry.add(terminal);
    return terminal;
  }

  private usageOf(grant: AcceptedGrant): GrantUsage {
    const usage = this.usages.get(grant.id) ?? new GrantUsage(grant.limits, this.options.clock.now());
    this.usages.set(grant.id, usage);
    return usage;
  }

  private forgetUsage(grantId: string): void {
    if (!this.registry.all.some(({ door }) => door.grant.id === grantId)) this.usages.delete(grantId);
  }

  private tellWatchers(from: AttachedTerminal, event: PortEvent): void {
    const { terminalKey, attachmentId } = from.name;
    for (const other of this.registry.ofKey(terminalKey))
      if (other !== from) other.watched(event, attachmentId);
  }

  private keyPorts(asking: AttachedTerminal, after: number, count: number): PortListing[] {
    const all = this.registry.ofKey(asking.name.terminalKey).flatMap(other => {
      const listings = other.listings(after, count);
      const { attachmentId: attachment } = other.name;
      return other === asking ? listings : listings.map(each => ({ ...each, attachment }));
    });
    return all.sort((a, b) => a.port - b.port).slice(0, count);
  }

  private onEnded(terminal: AttachedTerminal, code: ErrorCode): void {
    this.registry.delete(terminal);
    const { id } = terminal.door.grant;
    this.forgetUsage(id);
    this.options.log.info({ grant: id, code }, 'terminal detached');
  }

  /** What is believed, what the owner allows or the gateway itself has changed: what is not allowed any more ends. */
  reauthorise(): void {
    for (const terminal of this.registry.all) {
      const { terminalKey } = terminal.name;
      const { purpose } = terminal.door.grant;
      const denial = terminal.door.ask({ verb: 'attach', terminalKey, purpose });
      terminal.reauthorise(denial === undefined ? undefined : denialError(denial));
    }
  }

  /** Detaches everybody. */
  stop(): void {
    for (const label of [...this.proving]) label.end('shutting-down');
    for (const terminal of this.registry.all) terminal.end('shutting-down');
  }
}
