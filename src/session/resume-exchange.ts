import { EntremiseError } from '../base/errors.ts';
import { encodeFrame, type Frame, frameBody } from '../wire/frame.ts';
import { type Resume, resume } from '../wire/messages/resume.ts';
import { frameFlag, frameType, macBytes, maxBodyBytes, maxSpanningBytes } from '../wire/spec.ts';
import type { ControlKeys } from './control-stream.ts';
import { hasMore } from './spanning.ts';
import { controlMac, controlMacMatches } from './transcript.ts';

/**
 * The opening of a label (P4.4): each end's RESUME, in parts when it is long, each part with its number and MAC. The
 * terminal's carries its signature over T, and until that is verified the mediator answers nothing (P4.2).
 */

const partBytes = maxBodyBytes - 4 - macBytes;

/** What an exchange needs of the attachment's binding. */
export interface ExchangeBinding {
  readonly label: number;
  readonly keys: ControlKeys;
  readonly signature?: Buffer;
  verify?(signature: Uint8Array | undefined): boolean;
}

/** See the head of this file. */
export class ResumeExchange {
  private readonly side: 'terminal' | 'mediator';
  private readonly binding: ExchangeBinding;
  private readonly own: Buffer[] = [];
  private ownQueued = false;
  private readonly parts: Buffer[] = [];
  private partsBytes = 0;
  private peer: Resume | undefined;
  /** True when the attachment has never had a label before. */
  readonly fresh: boolean;

  constructor(side: 'terminal' | 'mediator', binding: ExchangeBinding, fresh = true) {
    this.side = side;
    this.binding = binding;
    this.fresh = fresh;
  }

  /** Both ends have said what they have, and ours has been written. */
  get complete(): boolean {
    return this.peer !== undefined && this.ownQueued && this.own.length === 0;
  }

  /** COMMANDs may go: after our own RESUME on a fresh attachment (P4.4). */
  get mayCommand(): boolean {
    const early = this.side === 'terminal' && this.fresh;
    return this.ownQueued && this.own.length === 0 && (early || this.peer !== undefined);
  }

  /** What the peer said. */
  get peerResume(): Resume | undefined {
    return this.peer;
  }

  /** Queues our RESUME. */
  queueOwn(value: Omit<Resume, 'signature'>): void {
    const { signature } = this.binding;
    const body = resume.toBytes(signature === undefined ? value : { ...value, signature });
    for (let at = 0; at < body.length; at += partBytes) {
      const last = at + partBytes >= body.length;
      this.own.push(this.partFrame(this.own.length, body.subarray(at, at + partBytes), last));
    }
    this.ownQueued = true;
  }

  private partFrame(number: number, part: Uint8Array, last: boolean): Buffer {
    const covered = Buffer.allocUnsafe(4 + part.length);
    covered.writeUInt32BE(number, 0);
    covered.set(part, 4);
    const header = {
      type: frameType.resume,
      flags: last ? 0 : frameFlag.more,
      label: this.binding.label,
      stream: 0,
    };
    const mac = controlMac(this.binding.keys.send, header.type, header.flags, header.stream, covered);
    return encodeFrame(header, Buffer.concat([covered, mac]));
  }

  /** Bytes of the frame that {@link takeOwn} would give, 0 when there is none. */
  get nextOwnBytes(): number {
    return this.own[0]?.length ?? 0;
  }

  /** The next of our frames, or undefined. */
  takeOwn(): Buffer | undefined {
    return this.own.shift();
  }

  /**
   * A RESUME frame of the peer has come: what the peer says, when it was the last and all is well.
   * @throws EntremiseError `protocol-error`, `proof-invalid`, `frame-too-large`
   */
  receive(frame: Frame): Resume | undefined {
    if (this.peer !== undefined) throw new EntremiseError('protocol-error', { message: 'A second RESUME.' });
    const body = frameBody(frame);
    this.checkPart(frame, body);
    const part = body.subarray(4, body.length - macBytes);
    this.partsBytes += part.length;
    if (this.partsBytes > maxSpanningBytes) throw new EntremiseError('frame-too-large');
    this.parts.push(Buffer.from(part));
    if (hasMore(frame, part)) return undefined;
    const peer = resume.fromBytes(Buffer.concat(this.parts));
    if (this.side === 'mediator' && this.binding.verify?.(peer.signature) !== true)
      throw new EntremiseError('proof-invalid');
    this.peer = peer;
    return peer;
  }

  private checkPart(frame: Frame, body: Buffer): void {
    const macAt = body.length - macBytes;
    if (macAt < 4 || frame.stream !== 0) throw new EntremiseError('protocol-error');
    const covered = body.subarray(0, macAt);
    const mac = controlMac(this.binding.keys.receive, frame.type, frame.flags, frame.stream, covered);
    if (!controlMacMatches(mac, body.subarray(macAt)) || covered.readUInt32BE(0) !== this.parts.length) {
      throw new EntremiseError('proof-invalid', { message: 'A RESUME is not authentic.' });
    }
  }
}
