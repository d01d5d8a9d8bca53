import { EntremiseError, type ErrorCode } from '../base/errors.ts';
import type { Frame } from '../wire/frame.ts';
import { maxLabel } from '../wire/spec.ts';

/** What a label of a link leads to. */
export interface LabelEnd {
  /** A frame has come. A throw closes the link. */
  receive(frame: Frame): void;
  /** The member has ended the label (P1.2). */
  onDetach(code: ErrorCode): void;
  /** The link is over; `code` is what the other end of the attachment is told. */
  onLinkLost(code: ErrorCode): void;
}

/** The labels of one link (P1.2): odd ones by the member, even ones by the server, rising, never used again. */
export class LabelTable {
  private readonly ends = new Map<number, LabelEnd>();
  private highestOfMember = -1;
  private highestOfServer = 0;
  /** Frames for labels that are no more, or not live yet. */
  droppedFrames = 0;

  /** Labels in use. */
  get size(): number {
    return this.ends.size;
  }

  /**
   * Notes a label that the member has made by ATTACH.
   * @throws EntremiseError `protocol-error` when it is not a new one of the member's, `limit` past the last one
   */
  takeFromMember(label: number): void {
    if (label > maxLabel) throw labelsUsedUp();
    if (label % 2 !== 1 || label <= this.highestOfMember) {
      throw new EntremiseError('protocol-error', {
        message: `Label ${label} is not a new one of the member.`,
      });
    }
    this.highestOfMember = label;
  }

  /**
   * A new label of the server's.
   * @throws EntremiseError `limit` past the last one: the link must close, the next one starts anew
   */
  make(): number {
    this.highestOfServer += 2;
    if (this.highestOfServer > maxLabel) throw labelsUsedUp();
    return this.highestOfServer;
  }

  /** From now on the label's frames go to `end`. */
  bind(label: number, end: LabelEnd): void {
    this.ends.set(label, end);
  }

  /** The label is no more. */
  free(label: number): void {
    this.ends.delete(label);
  }

  /** What the label leads to, or undefined when it is not in use. */
  get(label: number): LabelEnd | undefined {
    return this.ends.get(label);
  }

  /**
   * Hands a frame to its label; drops it when the label is no more (P1.2).
   * @throws EntremiseError `protocol-error` for a label that never was, and what the label's end throws
   */
  receive(frame: Frame): void {
    const end = this.ends.get(frame.label);
    if (end !== undefined) return end.receive(frame);
    const highest = frame.label % 2 === 0 ? this.highestOfServer : this.highestOfMember;
    if (frame.label > highest)
      throw new EntremiseError('protocol-error', { message: `Label ${frame.label} does not exist.` });
    this.droppedFrames++;
  }

  /** The link is over: every label is told, and none is left. */
  loseAll(code: ErrorCode): void {
    const ends = [...this.ends.values()];
    this.ends.clear();
    for (const end of ends) end.onLinkLost(code);
  }
}

function labelsUsedUp(): EntremiseError {
  return new EntremiseError('limit', {
    message: 'The labels of this link are used up; a new link has new ones.',
  });
}
