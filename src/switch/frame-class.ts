import { EntremiseError } from '../base/errors.ts';
import type { Frame } from '../wire/frame.ts';
import { frameFlag, frameNameOf, frameType, isLabelType } from '../wire/spec.ts';

/** The two ends of an attachment, seen from the server. */
export type RouteSide = 'terminal' | 'mediator';

/**
 * What is done with a frame of a label (P2.1): `urgent` may overtake, `control` is stream 0, `stream` and `reset` wait in
 * their stream's order, `datagram` has a queue of its own.
 */
export type FrameClass = 'urgent' | 'control' | 'stream' | 'reset' | 'datagram';

/** True when a member may send this type on a label. CREDIT goes from the server to members only (P2.3). */
export function isMemberLabelType(type: number): boolean {
  return isLabelType(type) && type !== frameType.credit;
}

/** True when hop credit counts frames of this type (P2.3). */
export function isCounted(type: number): boolean {
  return type !== frameType.reset && type !== frameType.datagram;
}

function brokenFrame({ type, stream, flags }: Frame): EntremiseError {
  const name = frameNameOf(type)?.toUpperCase() ?? `type ${type}`;
  const where = `stream ${stream}, flags 0x${flags.toString(16)}`;
  return new EntremiseError('protocol-error', { message: `${name} may not stand there (${where}).` });
}

const flagsNotOfCommands = frameFlag.more | frameFlag.denied;

/** Whether a message of stream 0 comes from the right end and in one piece; only the server sets DENIED (P1.6, P5.8). */
function isProperMessage(frame: Frame, from: RouteSide): boolean {
  const sender = frame.type === frameType.command ? 'terminal' : 'mediator';
  return from === sender && frame.stream === 0 && (frame.flags & flagsNotOfCommands) === 0;
}

/**
 * The class of a frame that came from that end; its type must be one that {@link isMemberLabelType} allows.
 * @throws EntremiseError `protocol-error`: the label must end (P3.8)
 */
export function classify(frame: Frame, from: RouteSide): FrameClass {
  const onControlStream = frame.stream === 0;
  switch (frame.type) {
    case frameType.data:
    case frameType.fin:
    case frameType.yield:
      if (onControlStream) break;
      return 'stream';
    case frameType.reset:
      if (onControlStream) break;
      return 'reset';
    case frameType.window:
      return 'urgent';
    case frameType.resume:
      if (!onControlStream) break;
      return 'urgent';
    case frameType.datagram:
      if (!onControlStream) break;
      return 'datagram';
    case frameType.command:
    case frameType.result:
    case frameType.event:
      if (!isProperMessage(frame, from)) break;
      return 'control';
    default:
      // 0x40-0x7f: room for later, forwarded unread (P1.4).
      return onControlStream ? 'control' : 'stream';
  }
  throw brokenFrame(frame);
}
