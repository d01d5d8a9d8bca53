import type { ControlKeys } from '../../../session/control-stream.ts';
import { attachTranscript } from '../../../session/transcript.ts';
import { type AttachInner, attachedInner, attachInner } from '../../../wire/messages/attach.ts';

/**
 * An attempt of P6.4 without its asymmetric half, which costs more than all the rest of a history: the keys are T, forwards
 * and backwards, and a signature is T twice. What belongs to another attempt is refused as ever.
 */

const nothing32 = Buffer.alloc(32);
const nothing64 = Buffer.alloc(64);

/** What names an attempt. */
export interface AttemptFields {
  readonly terminalKey: Uint8Array;
  readonly instance: Uint8Array;
  readonly attachmentId: Uint8Array;
  readonly attempt: number;
  readonly holdMs: number;
}

/** The terminal's half. */
export function innerOf(fields: AttemptFields): Uint8Array {
  return attachInner.toBytes({
    ...fields,
    x25519: nothing32,
    grant: 'grant',
    purpose: 'assistance',
    capabilities: [],
  });
}

/** The mediator's half. */
export function answerOf(mediatorKey: Uint8Array, instance: Uint8Array, { holdMs }: AttachInner) {
  const inner = attachedInner.toBytes({ mediatorKey, instance, x25519: nothing32, holdMs, capabilities: [] });
  return { inner, signature: nothing64 };
}

/** What both ends have once each has the other's half. */
export function agree(mediatorKey: Uint8Array, attach: Uint8Array, attached: Uint8Array) {
  const transcript = attachTranscript(mediatorKey, attach, attached);
  const backwards = Buffer.from(transcript).reverse();
  const signature = Buffer.concat([transcript, transcript]);
  const terminal: ControlKeys = { send: transcript, receive: backwards };
  const mediator: ControlKeys = { send: backwards, receive: transcript };
  const verify = (given: Uint8Array | undefined) => given !== undefined && signature.equals(given);
  return { terminal, mediator, signature, verify };
}
