import type { Clock } from '../base/clock.ts';
import type { EntremiseError, ErrorCode } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { AnsweredAttach } from '../session/attach-handshake.ts';
import { Attachment, type AttachmentResources } from '../session/attachment.ts';
import { HopCredit } from '../session/hop-credit.ts';
import type { LabelEndpoint } from '../session/member-link.ts';
import type { LabelSource } from '../session/scheduler.ts';
import type { Frame } from '../wire/frame.ts';
import type { PortListing } from '../wire/messages/command.ts';
import type { PortEvent } from '../wire/messages/event.ts';
import type { AccessDoor } from './access-door.ts';
import { CommandRunner } from './command-runner.ts';
import { PortTable } from './ports/port-table.ts';
import { answerQuery } from './ports/query.ts';
import type { PortSurroundings } from './ports/surroundings.ts';

/**
 * A terminal that is attached, from ATTACHED to the end of its label: the session's attachment, the ports, the door.
 *
 *   proving --RESUME with a good signature over T--> open --> ended
 *
 * While proving nothing of the terminal acts and nothing but ATTACHED is sent (P4.2); a proof that does not come in time
 * ends it. Hold is 0 in this version: when the label goes, every stream ends with a RST and every port closes (P4.6).
 */

/** How long a terminal may take to prove itself (P4.2). */
export const proofTimeoutMs = 10_000;

/** The label and link as a terminal needs them. */
export interface TerminalLink {
  readonly label: number;
  /** First hop credit towards the server (P2.3). */
  readonly credit: number;
  wake(source: LabelSource): void;
  removeSource(source: LabelSource): void;
  /** Ends the label from this side. */
  closeLabel(code: ErrorCode): void;
  /** Smoothed round trip of the link in milliseconds, if known. */
  roundTripMs(): number | undefined;
}

/** What an attached terminal needs of its mediator. */
export interface TerminalSurroundings {
  readonly link: TerminalLink;
  readonly answered: AnsweredAttach;
  readonly door: AccessDoor;
  readonly resources: AttachmentResources;
  readonly clock: Clock;
  readonly log: Log;
  /** All that ports need besides this attachment. */
  readonly ports: Omit<
    PortSurroundings,
    'door' | 'sendEvent' | 'sendDatagram' | 'createStream' | 'controlFull'
  >;
  /** Something has happened on a port; other attachments may watch. */
  onPortEvent(event: PortEvent): void;
  /** The ports of all attachments of this key, by id, from behind `after` on (P5.6). */
  keyPorts(after: number, count: number): PortListing[];
  /** The terminal has proved itself. A throw ends the label. */
  onProven(): void;
  /** It is over, once. */
  onEnded(code: ErrorCode): void;
}

/** The rest of the path is as long as our own link, as far as anybody here knows; processes take some time too. */
const leastRoundTripMs = 5;

/** See the head of this file. */
export class AttachedTerminal implements LabelEndpoint {
  private readonly surroundings: TerminalSurroundings;
  private readonly attachment: Attachment;
  private readonly table: PortTable;
  private readonly runner: CommandRunner;
  private source: LabelSource | undefined;
  private watching = false;
  private lostEvents = 0;
  private phase: 'proving' | 'open' | 'ended' = 'proving';
  private cancelDeadline: () => void;

  constructor(surroundings: TerminalSurroundings) {
    const { resources, clock } = surroundings;
    this.surroundings = surroundings;
    this.attachment = new Attachment('mediator', resources, {
      onCommand: (command, seq, denied) => this.runner.run(command, seq, denied),
      onDatagram: datagram => this.table.onDatagram(datagram),
      onOpen: () => this.onOpen(),
      onControlRoom: () => this.table.onRoom(),
      // The terminal's business; the attachment has refused them as coming the wrong way.
      onResult: () => {},
      onEvent: () => {},
    });
    const ports = this.portSurroundings();
    this.table = new PortTable(ports);
    this.runner = this.makeRunner(ports);
    this.cancelDeadline = clock.after(proofTimeoutMs, () => this.end('too-slow'));
    this.bind();
  }

  private bind(): void {
    const { link, answered, clock } = this.surroundings;
    const { attachment } = this;
    attachment.bind({
      label: link.label,
      credit: new HopCredit(link.credit),
      keys: answered.keys,
      verify: signature => answered.verify(signature),
      wake: source => {
        this.source = source;
        link.wake(source);
      },
      requestTick: atMs => void clock.after(atMs - clock.now(), () => attachment.tick(clock.now())),
      roundTripMs: () => Math.max(leastRoundTripMs, 2 * (link.roundTripMs() ?? 0)),
    });
  }

  private portSurroundings(): PortSurroundings {
    const { ports, door } = this.surroundings;
    const { attachment } = this;
    return {
      ...ports,
      door,
      sendEvent: (event, creates) => {
        if (this.phase !== 'open') return;
        attachment.sendEvent(event, creates);
        this.surroundings.onPortEvent(event);
      },
      sendDatagram: datagram => attachment.sendDatagram(datagram),
      createStream: limit => attachment.createStream(limit),
      controlFull: () => attachment.controlFull,
    };
  }

  private makeRunner(ports: PortSurroundings): CommandRunner {
    const { attachment, table } = this;
    const { door, resources } = this.surroundings;
    const { receiveBudget, replayBudget } = resources;
    return new CommandRunner({
      table,
      acceptStream: (id, limit) => attachment.acceptStream(id, limit),
      refuseStream: (id, code) => attachment.refuseStream(id, code),
      query: command =>
        answerQuery(command, {
          table,
          ports,
          receiveBudget,
          replayBudget,
          watchEvents: () => {
            this.watching = true;
          },
          keyPorts: (after, count) => this.surroundings.keyPorts(after, count),
        }),
      permitClose: ({ streams }, port) => door.permit({ verb: 'close' }, { verb: 'close', port, streams }),
      auditDenied: (command, code) => door.refusedByServer(command, code),
      sendResult: result => {
        if (this.phase === 'open') attachment.sendResult(result);
      },
    });
  }

  /** True once the terminal has proved itself and until the end. */
  get open(): boolean {
    return this.phase === 'open';
  }

  /**
   * Something has happened on a port of another attachment of the same key, whose id `attachment` is (P5.6). Unlike its
   * own events these may be lost when stream 0 is full; how many is told with the next.
   */
  watched(event: PortEvent, attachment: Uint8Array): void {
    if (!this.watching || this.phase !== 'open') return;
    if (this.attachment.controlFull) {
      this.lostEvents++;
      return;
    }
    if (this.lostEvents > 0) {
      const { port, timeMs } = event;
      this.attachment.sendEvent({ kind: 'lost', port, timeMs, attachment, count: this.lostEvents });
      this.lostEvents = 0;
    }
    this.attachment.sendEvent({ ...event, attachment });
  }

  /** Its ports by id, from behind `after` on. */
  listings(after: number, count: number): PortListing[] {
    return this.table.listings(after, count);
  }

  /** Live streams and ports, for logs. */
  get counts(): { readonly ports: number; readonly streams: number } {
    return { ports: this.table.count, streams: this.attachment.streamCount };
  }

  /** Of {@link LabelEndpoint}. */
  receive(frame: Frame): void {
    if (this.phase !== 'ended') this.attachment.receive(frame);
  }

  private onOpen(): void {
    this.surroundings.onProven();
    this.phase = 'open';
    this.cancelDeadline();
    const { clock, door } = this.surroundings;
    const leftMs = door.grant.deadlineMs - clock.now();
    this.cancelDeadline = clock.after(leftMs, () => this.end('grant-expired'));
  }

  /**
   * What was believed, allowed or known has changed: closes what is not allowed any more (P6.2). `refused` is why the
   * attachment as a whole is not, if so.
   */
  reauthorise(refused: EntremiseError | undefined): void {
    if (this.phase === 'ended') return;
    if (refused !== undefined) return this.end(refused.code);
    const closed = this.table.reauthorise();
    if (closed > 0) this.surroundings.log.info({ closed }, 'ports closed that are not allowed any more');
  }

  /** Of {@link LabelEndpoint}: the label is gone. */
  onGone(code: ErrorCode): void {
    if (this.phase === 'ended') return;
    this.phase = 'ended';
    this.cancelDeadline();
    this.attachment.unbind(code);
    if (this.source !== undefined) this.surroundings.link.removeSource(this.source);
    this.table.closeAll();
    this.surroundings.onEnded(code);
  }

  /** Ends it from this side: DETACH says why. */
  end(code: ErrorCode): void {
    if (this.phase === 'ended') return;
    this.surroundings.link.closeLabel(code);
    this.onGone(code);
  }
}
