import { EntremiseError } from '../base/errors.ts';
import { type Frame, frameBody } from '../wire/frame.ts';
import { decodeCredit } from '../wire/messages/binary.ts';
import { frameType } from '../wire/spec.ts';
import type { Binding } from './attachment.ts';
import { ResumeExchange } from './resume-exchange.ts';

/**
 * A label at the mediator on which the terminal has yet to prove itself (P4.2). The attachment it is for, routed or
 * suspended, hears nothing of it until then, so that an attempt of someone else changes nothing.
 */
export class PendingAttempt {
  readonly binding: Binding;
  readonly exchange: ResumeExchange;

  constructor(binding: Binding) {
    this.binding = binding;
    this.exchange = new ResumeExchange('mediator', binding);
  }

  /**
   * A frame of the label has come. True when it was the last of the terminal's RESUME and all is well: the attachment may
   * {@link Attachment.moveTo} here, and gets the frames that follow.
   * @throws EntremiseError `protocol-error`, `proof-invalid`, `frame-too-large`: the label must end, the attachment lives
   */
  receive(frame: Frame): boolean {
    if (frame.type === frameType.credit) {
      this.binding.credit.onCredit(decodeCredit(frameBody(frame)));
      return false;
    }
    if (frame.type !== frameType.resume) {
      throw new EntremiseError('protocol-error', { message: 'A frame came before RESUME.' });
    }
    return this.exchange.receive(frame) !== undefined;
  }
}
