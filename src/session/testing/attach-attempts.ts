import { randomBytes } from 'node:crypto';
import { generateSigningKey } from '../../base/keys.ts';
import { attachInner } from '../../wire/messages/attach.ts';
import {
  type AnsweredAttach,
  type AttachAgreement,
  answerAttach,
  prepareAttach,
} from '../attach-handshake.ts';

/** What both ends hold after ATTACH and ATTACHED of one attempt. */
export interface AgreedAttempt {
  readonly answered: AnsweredAttach;
  readonly agreed: AttachAgreement & { readonly signature: Buffer };
}

const terminalKey = generateSigningKey();
const mediatorKey = generateSigningKey();

/** Attempts of one attachment by the real handshake of P6.4, one a call: keys are fresh each time (P4.2). */
export function attachAttempts(): () => AgreedAttempt {
  const instance = randomBytes(16);
  const attachmentId = randomBytes(16);
  const common = { instance, holdMs: 0, capabilities: [] };
  let attempt = 0;
  return () => {
    attempt++;
    const about = { mediatorKey: mediatorKey.publicKey, attachmentId, attempt, grant: 'grant' };
    const prepared = prepareAttach({ ...common, ...about, purpose: 'assistance' }, terminalKey);
    const theirs = attachInner.fromBytes(prepared.inner);
    const answered = answerAttach(prepared.inner, theirs, { ...common, signer: mediatorKey });
    const answer = { label: 1, inner: answered.inner, signature: answered.signature };
    return { answered, agreed: prepared.complete(answer) };
  };
}
