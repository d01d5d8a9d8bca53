import type { Purpose } from '../wire/messages/attach.ts';
import { failure } from './tunnel-error.ts';

/** How Terminal.attach attaches. */
export interface AttachOptions {
  /** Why: grant and owner decide by it. `assistance` when absent. */
  readonly purpose?: Purpose;
  /**
   * How long the attachment is to outlive the loss of its way, in milliseconds; 15 min when absent. The mediator may give
   * less: MediatorAttachment.holdMs. 0: what is open ends with the way.
   */
  readonly holdMs?: number;
  /** A grant as text, or the id of one that this terminal has; else one that fits is chosen. */
  readonly grant?: string;
  /**
   * The id of an attachment that another process with this terminal's key has left behind, killed or
   * crashed: while the mediator holds it, its ports are this one's (MediatorAttachment.adoptedPorts); its streams are
   * reset (P4.6). Where nothing is held any more, this is a new attachment with that id.
   */
  readonly adopt?: string | undefined;
  readonly signal?: AbortSignal;
}

/**
 * The bytes of an attachment's id, 32 hexadecimal digits.
 * @throws TunnelError `bad-request`
 */
export function readAttachmentId(text: string): Buffer {
  if (/^[0-9a-f]{32}$/.test(text)) return Buffer.from(text, 'hex');
  throw failure(
    'bad-request',
    `${JSON.stringify(text)} is not the id of an attachment: 32 hexadecimal digits.`,
  );
}
