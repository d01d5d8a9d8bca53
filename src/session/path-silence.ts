import type { PathFacts } from '../transport/transport.ts';

/** Writes closer together than this are one to the judge, who is late by no more. */
const markEveryMs = 50;

/**
 * Since when a path is silent (P8.1): something is written or asked, and not one byte has come nor has the number of
 * acknowledged bytes risen. Where the machine tells nothing of acknowledgements, the totals in PONG and CREDIT say
 * whether anything is still to be answered; a PONG is not, else two idle ends would ask each other for ever.
 *
 * What the machine knows is asked for rarely and so known late: the times of writes are kept until then, for a silence
 * cannot have begun before the first write after the last acknowledgement. Times are monotonic milliseconds.
 */
export class PathSilence {
  private since: number | undefined;
  private readonly machineTells: boolean;
  private progressMs = 0;
  private acknowledgedByMachine: number;
  private owedBytes = 0;
  private answeredBytes = 0;
  /** When the PING went that is unanswered. */
  private askedAtMs: number | undefined;
  /** Something has moved since {@link since} was set: the next look at the machine sets it anew. */
  private moved = false;
  private marks: number[] = [];
  private markedAtMs = 0;

  /** `facts`: what the machine knows now; undefined: it will not tell. */
  constructor(facts: PathFacts | undefined) {
    this.machineTells = facts !== undefined;
    this.acknowledgedByMachine = facts?.acknowledgedBytes ?? 0;
  }

  /** Since when, or undefined while nothing is due. */
  get sinceMs(): number | undefined {
    return this.since;
  }

  /** Since when something has been due after the last progress. */
  private get firstDueMs(): number {
    const asked = this.askedAtMs !== undefined && this.askedAtMs <= this.progressMs;
    return asked ? this.progressMs : Math.max(this.progressMs, this.marks[0] ?? 0);
  }

  private get owes(): boolean {
    return this.askedAtMs !== undefined || this.answeredBytes < this.owedBytes;
  }

  /** Bytes have come. */
  onReceived(nowMs: number): void {
    this.progressMs = nowMs;
    if (this.since === undefined) return;
    this.since = nowMs;
    this.moved = true;
  }

  /** Bytes have been written, `writtenBytes` in all. `asks`: there is more among them than PONGs. */
  onSent(nowMs: number, writtenBytes: number, asks: boolean): void {
    if (asks) this.owedBytes = writtenBytes;
    if (asks || this.machineTells) this.since ??= nowMs;
    if (this.machineTells) this.mark(nowMs);
  }

  /** Keeps the first and the last write of each while. */
  private mark(nowMs: number): void {
    const { marks } = this;
    const isFirst = marks.length === 0 || nowMs - this.markedAtMs >= markEveryMs;
    if (isFirst) this.markedAtMs = nowMs;
    if (isFirst || marks.at(-1) === this.markedAtMs) marks.push(nowMs);
    else marks[marks.length - 1] = nowMs;
  }

  /** A PING goes. */
  onAsked(nowMs: number): void {
    this.askedAtMs ??= nowMs;
    this.since ??= nowMs;
  }

  /** Its PONG has come. */
  onAnswered(): void {
    this.askedAtMs = undefined;
    this.settle();
  }

  /** The peer has had so many bytes in all. */
  onAcknowledged(totalBytes: number): void {
    this.answeredBytes = Math.max(this.answeredBytes, totalBytes);
    this.settle();
  }

  /** What the machine knows now. */
  learn(nowMs: number, { acknowledgedBytes, sinceAckMs, outstanding }: PathFacts): void {
    if (acknowledgedBytes !== this.acknowledgedByMachine) {
      this.acknowledgedByMachine = acknowledgedBytes;
      const acknowledgedAtMs = nowMs - sinceAckMs;
      this.progressMs = Math.max(this.progressMs, acknowledgedAtMs);
      this.marks = this.marks.filter(atMs => atMs > acknowledgedAtMs);
      this.moved ||= this.since !== undefined && this.since <= this.progressMs;
    }
    if (!outstanding && this.askedAtMs === undefined) this.since = undefined;
    else if (this.moved) this.since = this.firstDueMs;
    this.moved = false;
  }

  private settle(): void {
    if (!this.machineTells && !this.owes) this.since = undefined;
  }
}
