import type { Clock } from '../base/clock.ts';
import type { EntremiseError, ErrorCode } from '../base/errors.ts';
import { keyToText } from '../base/keys.ts';
import type { Log } from '../base/log.ts';
import type { AttachmentResources } from '../session/attachment.ts';
import type { PendingAttempt } from '../session/pending-attempt.ts';
import type { Frame } from '../wire/frame.ts';
import type { Portroute } from '../wire/messages/attach.ts';
import type { PortListing, Protocol } from '../wire/messages/command.ts';
import type { PortEvent } from '../wire/messages/event.ts';
import type { AccessDoor } from './access-door.ts';
import type { AttachmentName, Registered } from './attachment-registry.ts';
import { type AttachedStatus, isoTime } from './control/status.ts';
import type { UsageShare } from './grant-usage.ts';
import type { NumberHolder } from './ports/number-registry.ts';
import { PortTable } from './ports/port-table.ts';
import type { PortSurroundings } from './ports/surroundings.ts';
import type { Carried, TerminalLabel } from './terminal-label.ts';
import { TerminalSession } from './terminal-session.ts';

/**
 * An attachment at the mediator, from its first proof to its end: what the session keeps of it, its ports, its door. It
 * outlives labels, links and, where it is adopted, the terminal's process (P4.6).
 *
 *   open --UNROUTED, or the link is lost--> suspended --end of the hold--> ended
 *     ^                                        |
 *     +---- moveTo(), by an attempt that is proven ----+      DETACH, revocation, expiry: at once ended
 *
 * Suspended its streams and their LAN connections stay, as do its ports and what it uses of its grant. Its end resets
 * connections for real and frees the numbers.
 */

/** What an attachment needs of its mediator. */
export interface TerminalSurroundings {
  readonly door: AccessDoor;
  readonly usage: UsageShare;
  readonly resources: AttachmentResources;
  readonly clock: Clock;
  readonly log: Log;
  /** All that ports need besides this attachment. */
  readonly ports: Omit<
    PortSurroundings,
    | 'door'
    | 'usage'
    | 'holder'
    | 'sendEvent'
    | 'sendDatagram'
    | 'sendPortroute'
    | 'createStream'
    | 'controlFull'
    | 'controlBusy'
  >;
  /** Something has happened on a port; other attachments may watch. */
  onPortEvent(terminal: AttachedTerminal, event: PortEvent): void;
  /** The ports of all attachments of this key, by id, from behind `after` on (P5.6). */
  keyPorts(terminal: AttachedTerminal, after: number, count: number): PortListing[];
  /** It waits for its terminal. */
  onSuspended(terminal: AttachedTerminal): void;
  /** It is over, once. */
  onEnded(terminal: AttachedTerminal, code: ErrorCode): void;
}

/** What an attempt that is proven brings. */
export interface ProvenAttempt {
  readonly name: AttachmentName;
  readonly holdMs: number;
  readonly label: TerminalLabel;
  readonly pending: PendingAttempt;
}

/** Ports of one attachment that the owner is told of. */
const maxListedPorts = 64;

/** Processes that an attachment was adopted from and that are known again. */
const keptProcesses = 8;

function doNothing(): void {}

/** See the head of this file. */
export class AttachedTerminal implements Carried, Registered, NumberHolder {
  readonly door: AccessDoor;
  readonly usage: UsageShare;
  /** Of {@link Registered}. */
  adoptedFrom: readonly AttachmentName[] = [];
  private readonly surroundings: TerminalSurroundings;
  private readonly table: PortTable;
  private readonly ports: PortSurroundings;
  private session: TerminalSession;
  private attempt: Pick<ProvenAttempt, 'name' | 'holdMs'>;
  private label: TerminalLabel | undefined;
  private phase: 'fresh' | 'open' | 'suspended' | 'ended' = 'fresh';
  /** True while one process's streams end and the next one's have not begun: nothing is accepted. */
  private isSwitching = false;
  private readonly sinceMs: number;
  private cancelHold = doNothing;
  private cancelExpiry = doNothing;

  /** `name`: of the attempt that makes it, to which {@link moveTo} brings it. */
  constructor(name: AttachmentName, surroundings: TerminalSurroundings) {
    this.attempt = { name, holdMs: 0 };
    this.surroundings = surroundings;
    this.sinceMs = surroundings.clock.now();
    this.door = surroundings.door;
    this.usage = surroundings.usage;
    this.ports = this.portSurroundings();
    this.table = new PortTable(this.ports);
    this.session = this.newSession();
  }

  private portSurroundings(): PortSurroundings {
    const { ports, door, usage } = this.surroundings;
    return {
      ...ports,
      door,
      usage,
      holder: this,
      sendEvent: (event, creates) => {
        if (this.phase === 'ended') return;
        this.session.attachment.sendEvent(event, creates);
        this.surroundings.onPortEvent(this, event);
      },
      sendDatagram: datagram => this.session.attachment.sendDatagram(datagram),
      sendPortroute: message => this.label?.sendPortroute(message) ?? false,
      createStream: limit => this.session.attachment.createStream(limit),
      controlFull: () => this.isSwitching || this.session.attachment.controlFull,
      controlBusy: () => this.isSwitching || this.session.attachment.controlBusy,
    };
  }

  private newSession(): TerminalSession {
    const { table, ports, door } = this;
    return new TerminalSession({
      resources: this.surroundings.resources,
      table,
      ports,
      door,
      keyPorts: (after, count) => this.surroundings.keyPorts(this, after, count),
      onOpen: () => table.onBack(),
    });
  }

  /** Of {@link Registered}. */
  get name(): AttachmentName {
    return this.attempt.name;
  }

  /** True while it has a label. */
  get open(): boolean {
    return this.phase === 'open';
  }

  /** Of {@link Registered}. */
  get suspended(): boolean {
    return this.phase === 'suspended';
  }

  /** True when it waits for its terminal, or would. */
  get held(): boolean {
    return this.attempt.holdMs > 0 && this.phase !== 'ended';
  }

  /** Of {@link NumberHolder}. */
  get away(): boolean {
    return this.suspended;
  }

  /** Of {@link NumberHolder}. */
  get terminal(): string {
    return keyToText(this.name.terminalKey);
  }

  /** Of {@link NumberHolder}. */
  release(protocol: Protocol, address: string, number: number): void {
    this.surroundings.log.info({ protocol, address, number }, 'number taken over by another attachment');
    this.table.release(protocol, address, number);
  }

  /** What the gateway's owner is told of it. */
  get status(): AttachedStatus {
    const { door, terminal, suspended } = this;
    const { clock } = this.surroundings;
    const { id: grant, purpose } = door.grant;
    const since = isoTime(clock.wallTimeMs() - (clock.now() - this.sinceMs));
    const ports = this.table.listings(0, maxListedPorts);
    return { terminal, grant, purpose, since, away: suspended, ports, targets: door.targets };
  }

  /** As {@link TerminalSession.watched}. */
  watched(event: PortEvent, attachment: Uint8Array): void {
    this.session.watched(event, attachment);
  }

  /** Its ports by id, from behind `after` on. */
  listings(after: number, count: number): PortListing[] {
    return this.table.listings(after, count);
  }

  /**
   * Goes on where the terminal has proved itself, under the grant that its door now has; the label before is ended. What
   * that grant does not allow is closed first (P4.2).
   * @throws EntremiseError as {@link Attachment.moveTo}: the label must end, and this with it
   */
  moveTo({ name, holdMs, label, pending }: ProvenAttempt): void {
    this.label?.end('displaced');
    this.label = label;
    const before = this.name;
    const isNewProcess = Buffer.compare(name.instance, before.instance) !== 0;
    this.attempt = { name, holdMs };
    if (isNewProcess) this.beginAnew(before);
    else this.session.attachment.suspend();
    this.phase = 'open';
    this.cancelHold();
    this.watchExpiry();
    label.carry(this);
    this.closeForbidden();
    this.session.attachment.moveTo(pending);
  }

  /** Another process of the terminal adopts the ports; nothing else of the one before is of use to it (P4.6). */
  private beginAnew(left: AttachmentName): void {
    const before = this.session;
    const streams = before.attachment.streamCount;
    this.adoptedFrom = [...this.adoptedFrom, left].slice(-keptProcesses);
    this.surroundings.log.info({ code: 'terminal-restarted', streams }, 'adopted by another process');
    this.session = this.newSession();
    this.isSwitching = true;
    before.attachment.unbind('terminal-restarted');
    this.table.onAdopted();
    this.isSwitching = false;
  }

  private watchExpiry(): void {
    const { clock } = this.surroundings;
    this.cancelExpiry();
    const leftMs = this.door.grant.deadlineMs - clock.now();
    this.cancelExpiry = clock.after(leftMs, () => this.end('grant-expired'));
  }

  /** Of {@link Carried}. */
  receive(frame: Frame): void {
    this.session.attachment.receive(frame);
  }

  /** Of {@link Carried}. */
  onPortroute(message: Portroute): void {
    this.table.onPortroute(message);
  }

  /** Of {@link Carried}. */
  tick(nowMs: number): void {
    this.session.attachment.tick(nowMs);
  }

  /** Of {@link Carried}. */
  onLabelGone(label: TerminalLabel, code: ErrorCode, mayResume: boolean): void {
    if (label !== this.label) return;
    this.label = undefined;
    if (mayResume && this.held) this.suspend(code);
    else this.end(code);
  }

  /** The hold counts from here (P4.6). */
  private suspend(code: ErrorCode): void {
    const { clock, log } = this.surroundings;
    const { holdMs } = this.attempt;
    this.phase = 'suspended';
    this.session.attachment.suspend();
    this.table.onAway();
    this.cancelHold = clock.after(holdMs, () => this.end('terminal-gone'));
    log.info({ code, holdMs }, 'terminal away, attachment held');
    this.surroundings.onSuspended(this);
  }

  /**
   * What was believed, allowed or known has changed: closes what is not allowed any more (P6.2). `refused` is why the
   * attachment as a whole is not, if so.
   */
  reauthorise(refused: EntremiseError | undefined): void {
    if (refused !== undefined) this.end(refused.code);
    else this.closeForbidden();
  }

  private closeForbidden(): void {
    const closed = this.table.reauthorise();
    if (closed > 0) this.surroundings.log.info({ closed }, 'ports closed that are not allowed any more');
  }

  /** Ends it from this side: DETACH says why, if there is a label to say it on. */
  end(code: ErrorCode): void {
    if (this.phase === 'ended') return;
    this.phase = 'ended';
    this.cancelHold();
    this.cancelExpiry();
    this.label?.end(code);
    this.session.attachment.unbind(code);
    this.table.closeAll();
    this.surroundings.onEnded(this, code);
  }
}
