import type { Clock } from '../base/clock.ts';
import { asEntremiseError, EntremiseError, type ErrorCode } from '../base/errors.ts';
import { keyToText, type SigningKey } from '../base/keys.ts';
import type { Log } from '../base/log.ts';
import type { NativeSockets } from '../native/addon.ts';
import type { AcceptedGrant } from '../policy/grant.ts';
import type { CanonicalAddress } from '../policy/target.ts';
import { Budget } from '../session/budget.ts';
import type { LabelEndpoint, MemberLink } from '../session/member-link.ts';
import { SlabPool } from '../session/slab.ts';
import type { Frame } from '../wire/frame.ts';
import { type Attach, type AttachInner, attached } from '../wire/messages/attach.ts';
import type { PortListing } from '../wire/messages/command.ts';
import type { PortEvent } from '../wire/messages/event.ts';
import { frameType } from '../wire/spec.ts';
import { type AccessBasis, AccessDoor, denialError } from './access-door.ts';
import { answerTo, attachRefusal, checkAttach, type PassedAttach } from './attach-door.ts';
import { AttachedTerminal, type TerminalLink } from './attached-terminal.ts';
import type { Audit } from './audit.ts';
import { CorkRound } from './cork.ts';
import { GrantUsage } from './grant-usage.ts';
import { NumberRegistry } from './ports/number-registry.ts';

/**
 * The mediator's side of all attachments: who may attach, who is attached, and what they share. Knows no sockets; the
 * ports do, and no documents; they come verified.
 */

/** ATTACHes on their way to a proof, a link (P1.6, P4.2). */
const maxProving = 4;

/** ATTACHes whose grant is being verified, beyond which not even that is done. */
const maxUndecided = 16;

/** Attachments of a mediator (P4.6). */
const maxAttached = 16;

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
  readonly native: NativeSockets;
  readonly clock: Clock;
  readonly log: Log;
  /** Bytes that all streams together may have received and not handed on (P3.3). */
  readonly receiveBudgetBytes: number;
  /** Bytes that all streams together may have sent without acknowledgement (P3.3). */
  readonly replayBudgetBytes: number;
  lookup(name: string): Promise<readonly CanonicalAddress[]>;
}

/** An attachment, in whatever phase. */
interface Entry {
  readonly key: string;
  readonly inner: AttachInner;
  readonly grant: AcceptedGrant;
  readonly door: AccessDoor;
  terminal: AttachedTerminal | undefined;
}

/** A label from its ATTACH on: before the answer whatever comes on it is too early, then it is its terminal's. */
class AttachedLabel implements LabelEndpoint {
  terminal: AttachedTerminal | undefined;
  gone = false;

  receive(frame: Frame): void {
    if (this.terminal !== undefined) return this.terminal.receive(frame);
    throw new EntremiseError('protocol-error', { message: 'A frame came before ATTACHED.' });
  }

  onGone(code: ErrorCode): void {
    this.gone = true;
    this.terminal?.onGone(code);
  }
}

function attachmentKey({ terminalKey, attachmentId }: AttachInner): string {
  return `${keyToText(terminalKey)} ${Buffer.from(attachmentId).toString('hex')}`;
}

/** See the head of this file. */
export class MediatorAgent {
  private readonly options: AgentOptions;
  private readonly entries = new Set<Entry>();
  private readonly usages = new Map<string, GrantUsage>();
  private readonly resources;
  private readonly shared;
  private undecided = 0;
  private nextPortId = 1;

  constructor(options: AgentOptions) {
    const { clock, native, log, lookup } = options;
    this.options = options;
    this.resources = {
      pool: new SlabPool(),
      receiveBudget: new Budget(options.receiveBudgetBytes),
      replayBudget: new Budget(options.replayBudgetBytes),
      now: () => clock.now(),
    };
    this.shared = {
      native,
      clock,
      log,
      lookup,
      pool: this.resources.pool,
      cork: new CorkRound(),
      numbers: new NumberRegistry(),
      nextPortId: () => this.nextPortId++,
    };
  }

  /** Terminals that have proved themselves. */
  get attachedCount(): number {
    return [...this.entries].filter(({ terminal }) => terminal?.open).length;
  }

  /** Memory that is promised to streams, for tests and QUERY. */
  get budgets(): { readonly receive: Budget; readonly replay: Budget } {
    return { receive: this.resources.receiveBudget, replay: this.resources.replayBudget };
  }

  /** An ATTACH has come on `link`. Answers, now or later. */
  onAttach(link: MemberLink, message: Attach): void {
    const label = new AttachedLabel();
    link.takeLabel(message.label, label);
    if (this.undecided >= maxUndecided) {
      return this.refuse(link, message.label, false, new EntremiseError('limit'));
    }
    this.undecided++;
    const { signer, verifyGrant } = this.options;
    const checks = {
      verifyGrant,
      permit: (grant: AcceptedGrant, inner: AttachInner) => this.permitAttach(grant, inner),
      checkLimits: (inner: AttachInner) => this.checkLimits(inner),
    };
    void checkAttach(message, signer.publicKey, checks)
      .then(passed => {
        if (!label.gone) label.terminal = this.answer(link, message.label, passed);
      })
      .catch(thrown => this.refuse(link, message.label, label.gone, thrown))
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
      grant: grant.id,
      attachment: Buffer.from(inner.attachmentId).toString('hex'),
    };
    return new AccessDoor(grant, who, basis, audit);
  }

  private permitAttach(grant: AcceptedGrant, inner: AttachInner): void {
    const { terminalKey, purpose } = inner;
    this.doorFor(grant, inner).permit({ verb: 'attach', terminalKey, purpose }, { verb: 'attach' });
  }

  private checkLimits(inner: AttachInner): void {
    const proving = [...this.entries].filter(({ terminal }) => !terminal?.open).length;
    if (proving + this.undecided > maxProving) {
      throw new EntremiseError('limit', { message: 'Too many terminals are attaching; try again.' });
    }
    const before = this.liveEntry(attachmentKey(inner));
    if (before !== undefined) return refuseOther(before, inner);
    if (this.entries.size < maxAttached) return;
    throw new EntremiseError('limit', {
      message: `${maxAttached} terminals are attached already; one has to detach first.`,
    });
  }

  private liveEntry(key: string): Entry | undefined {
    return [...this.entries].find(entry => entry.key === key && entry.terminal?.open);
  }

  private answer(link: MemberLink, label: number, passed: PassedAttach): AttachedTerminal {
    const { signer, instance, capabilities, clock, log } = this.options;
    const answered = answerTo(passed, { signer, instance, capabilities });
    const { inner, grant, credit } = passed;
    const door = this.doorFor(grant, inner);
    const entry: Entry = { key: attachmentKey(inner), inner, grant, door, terminal: undefined };
    this.entries.add(entry);
    const { signature } = answered;
    link.driver.send(frameType.attached, attached.toBytes({ label, inner: answered.inner, signature }));
    entry.terminal = new AttachedTerminal({
      clock,
      link: terminalLink(link, label, credit),
      answered,
      door,
      log: log.child({ label, grant: grant.id }),
      resources: this.resources,
      ports: { ...this.shared, usage: this.usageOf(grant) },
      onPortEvent: event => this.tellWatchers(entry, event),
      keyPorts: (after, count) => this.keyPorts(entry, after, count),
      onProven: () => this.onProven(entry),
      onEnded: code => this.onEnded(entry, code),
    });
    return entry.terminal;
  }

  private usageOf(grant: AcceptedGrant): GrantUsage {
    const usage = this.usages.get(grant.id) ?? new GrantUsage(grant.limits, this.options.clock.now());
    this.usages.set(grant.id, usage);
    return usage;
  }

  /** The proof is there: only now an older attempt of the same attachment gives way (P4.2). */
  private onProven(entry: Entry): void {
    const before = this.liveEntry(entry.key);
    if (before !== undefined) {
      refuseOther(before, entry.inner);
      before.terminal?.end('displaced');
    }
    const { attempt, purpose } = entry.inner;
    this.options.log.info({ grant: entry.grant.id, attempt, purpose }, 'terminal attached');
  }

  /** The attachments of the same terminal key, this one included. */
  private ofSameKey({ inner }: Entry): Entry[] {
    return [...this.entries].filter(
      other => Buffer.compare(other.inner.terminalKey, inner.terminalKey) === 0,
    );
  }

  private tellWatchers(entry: Entry, event: PortEvent): void {
    for (const other of this.ofSameKey(entry))
      if (other !== entry) other.terminal?.watched(event, entry.inner.attachmentId);
  }

  private keyPorts(entry: Entry, after: number, count: number): PortListing[] {
    const all = this.ofSameKey(entry).flatMap(other => {
      const listings = other.terminal?.listings(after, count) ?? [];
      const { attachmentId: attachment } = other.inner;
      return other === entry ? listings : listings.map(each => ({ ...each, attachment }));
    });
    return all.sort((a, b) => a.port - b.port).slice(0, count);
  }

  private onEnded(entry: Entry, code: ErrorCode): void {
    this.entries.delete(entry);
    const inUse = [...this.entries].some(other => other.grant.id === entry.grant.id);
    if (!inUse) this.usages.delete(entry.grant.id);
    this.options.log.info({ grant: entry.grant.id, code }, 'terminal detached');
  }

  /** What is believed, what the owner allows or the gateway itself has changed: what is not allowed any more ends. */
  reauthorise(): void {
    for (const { door, inner, terminal } of [...this.entries]) {
      const { terminalKey, purpose } = inner;
      const denial = door.ask({ verb: 'attach', terminalKey, purpose });
      terminal?.reauthorise(denial === undefined ? undefined : denialError(denial));
    }
  }

  /** Detaches everybody. */
  stop(): void {
    for (const { terminal } of [...this.entries]) terminal?.end('shutting-down');
  }
}

/** Another process of that terminal has it, or this is an attempt from before: the one that is there stays. */
function refuseOther(before: Entry, inner: AttachInner): void {
  const sameProcess = Buffer.compare(before.inner.instance, inner.instance) === 0;
  if (sameProcess && inner.attempt > before.inner.attempt) return;
  throw new EntremiseError('in-use', {
    message: 'The attachment is in use by a live process of this terminal.',
  });
}

function terminalLink(link: MemberLink, label: number, credit: number): TerminalLink {
  const { driver } = link;
  return {
    label,
    credit,
    wake: source => driver.scheduler.wake(source),
    removeSource: source => driver.scheduler.remove(source),
    closeLabel: code => link.closeLabel(label, code),
    roundTripMs: () => driver.roundTripMs,
  };
}
