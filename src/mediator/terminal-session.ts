import { Attachment, type AttachmentResources } from '../session/attachment.ts';
import type { PortListing } from '../wire/messages/command.ts';
import type { PortEvent } from '../wire/messages/event.ts';
import type { AccessDoor } from './access-door.ts';
import { CommandRunner } from './command-runner.ts';
import type { PortTable } from './ports/port-table.ts';
import { answerQuery } from './ports/query.ts';
import type { PortSurroundings } from './ports/surroundings.ts';

/** What a session needs. */
export interface SessionSurroundings {
  readonly resources: AttachmentResources;
  readonly table: PortTable;
  readonly ports: PortSurroundings;
  readonly door: AccessDoor;
  /** The ports of all attachments of this key, by id, from behind `after` on (P5.6). */
  keyPorts(after: number, count: number): PortListing[];
  /** As {@link Attachment}'s onOpen. */
  onOpen(): void;
}

/**
 * What one process of a terminal has on its attachment (P4.1): stream 0, its streams, and the commands under way. The
 * ports are not its own: a process that comes after it takes them over (P4.6).
 */
export class TerminalSession {
  readonly attachment: Attachment;
  private readonly surroundings: SessionSurroundings;
  private readonly runner: CommandRunner;
  private watching = false;
  private lostEvents = 0;

  constructor(surroundings: SessionSurroundings) {
    const { resources, table } = surroundings;
    this.surroundings = surroundings;
    this.attachment = new Attachment('mediator', resources, {
      onCommand: (command, seq, denied) => this.runner.run(command, seq, denied),
      onDatagram: datagram => table.onDatagram(datagram),
      onMark: port => table.onMark(port),
      onOpen: () => surroundings.onOpen(),
      onControlRoom: () => table.onRoom(),
      // The terminal's business; the attachment has refused them as coming the wrong way.
      onResult: () => {},
      onEvent: () => {},
    });
    this.runner = this.makeRunner();
  }

  private makeRunner(): CommandRunner {
    const { attachment } = this;
    const { table, ports, door, resources, keyPorts } = this.surroundings;
    const { receiveBudget, replayBudget } = resources;
    const watchEvents = () => {
      this.watching = true;
    };
    return new CommandRunner({
      table,
      acceptStream: (id, limit) => attachment.acceptStream(id, limit),
      refuseStream: (id, code) => attachment.refuseStream(id, code),
      query: command =>
        answerQuery(command, { table, ports, receiveBudget, replayBudget, watchEvents, keyPorts }),
      permitClose: ({ streams }, port) => door.permit({ verb: 'close' }, { verb: 'close', port, streams }),
      auditDenied: (command, code) => door.refusedByServer(command, code),
      sendResult: result => attachment.sendResult(result),
    });
  }

  /**
   * Something has happened on a port of another attachment of the same key, whose id `attachment` is (P5.6). Unlike its
   * own events these may be lost when stream 0 is full; how many is told with the next.
   */
  watched(event: PortEvent, attachment: Uint8Array): void {
    if (!this.watching) return;
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
}
