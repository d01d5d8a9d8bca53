import type { ErrorCode } from '../base/errors.ts';
import type { Frame } from '../wire/frame.ts';
import { frameFlag, frameType } from '../wire/spec.ts';
import type { RouteSide } from './frame-class.ts';

/** The highest stream ids of an attachment, of the mediator's (even) and the terminal's (odd): they rise (P1.3). */
export type HighestStreams = [even: number, odd: number];

const streamTypes: ReadonlySet<number> = new Set([
  frameType.data,
  frameType.fin,
  frameType.reset,
  frameType.window,
]);

/** What the switch has passed on and refused since it began, for operations. Counts only rise. */
export class SwitchFigures {
  /** Of frames of attachments, headers included, by who sent them. */
  readonly bytes: Record<RouteSide, number> = { terminal: 0, mediator: 0 };
  /** Datagrams on TCP channels, by who sent them. */
  readonly datagrams: Record<RouteSide, number> = { terminal: 0, mediator: 0 };
  /** Streams of which something was passed on. */
  streams = 0;
  /** Attachments that came again after the loss of their way (P4.4). */
  resumes = 0;
  /** How often a member had used up its credit on a label, and had to wait (P2.3). */
  creditWaits = 0;
  /** COMMANDs that were refused here, by reason. */
  readonly refusedCommands = new Map<ErrorCode, number>();
  /** ATTACHes that were refused here, by reason. */
  readonly refusedAttaches = new Map<ErrorCode, number>();

  /** A frame of an attachment is passed on. */
  onFrame(side: RouteSide, { type, flags, stream, bytes }: Frame, highest: HighestStreams): void {
    this.bytes[side] += bytes.length;
    if (type === frameType.datagram) {
      if ((flags & frameFlag.more) === 0) this.datagrams[side]++;
      return;
    }
    const parity = stream % 2 === 0 ? 0 : 1;
    if (stream <= highest[parity] || !streamTypes.has(type)) return;
    highest[parity] = stream;
    this.streams++;
  }

  /** A COMMAND or an ATTACH is refused. */
  onRefused(what: 'refusedCommands' | 'refusedAttaches', code: ErrorCode): void {
    this[what].set(code, (this[what].get(code) ?? 0) + 1);
  }
}
