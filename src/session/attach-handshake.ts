import { EntremiseError, type ErrorCode, errorCodeOf } from '../base/errors.ts';
import { type SigningKey, signBytes, verifyBytes } from '../base/keys.ts';
import {
  type Attached,
  type AttachInner,
  attachedInner,
  attachInner,
  type Purpose,
} from '../wire/messages/attach.ts';
import type { ControlKeys } from './control-stream.ts';
import { attachmentKeys, attachTranscript, newAgreement } from './transcript.ts';

/** The end-to-end proof of an attachment (P6.4), without I/O. Fresh X25519 keys for every attempt. */

/** What a terminal asks for. */
export interface AttachRequest {
  readonly mediatorKey: Uint8Array;
  readonly instance: Uint8Array;
  readonly attachmentId: Uint8Array;
  readonly attempt: number;
  /** The grant, JWS compact. */
  readonly grant: string;
  readonly holdMs: number;
  readonly purpose: Purpose;
  readonly capabilities: readonly string[];
}

/** What both ends know once the proof is made. */
export interface AttachAgreement {
  readonly keys: ControlKeys;
  readonly holdMs: number;
  readonly capabilities: readonly string[];
  /** The peer's process life. */
  readonly peerInstance: Uint8Array;
}

/** The terminal's half: `inner` for the ATTACH, and what to do with the ATTACHED. */
export interface PreparedAttach {
  readonly inner: Uint8Array;
  /**
   * Checks the mediator's answer.
   * @throws EntremiseError with the code of a refusal, or `proof-invalid`
   */
  complete(answer: Attached): AttachAgreement & { readonly signature: Buffer };
}

/** The error that an ATTACHED carries, if it does. */
export function attachedError(answer: Attached): EntremiseError | undefined {
  if (answer.error === undefined) return undefined;
  const code: ErrorCode = errorCodeOf(answer.error) ?? 'internal';
  return new EntremiseError(code, {
    ...(answer.message === undefined ? {} : { message: answer.message }),
    ...(answer.by === undefined ? {} : { by: answer.by }),
  });
}

/** Makes the terminal's half of an attempt. */
export function prepareAttach(request: AttachRequest, signer: SigningKey): PreparedAttach {
  const agreement = newAgreement();
  const { instance, attachmentId, attempt, grant, holdMs, purpose, capabilities } = request;
  const fields = { instance, attachmentId, attempt, grant, holdMs, purpose, capabilities };
  const inner = attachInner.toBytes({
    ...fields,
    terminalKey: signer.publicKey,
    x25519: agreement.publicKey,
  });
  return {
    inner,
    complete(answer) {
      const refusal = attachedError(answer);
      if (refusal !== undefined) throw refusal;
      if (answer.inner === undefined || answer.signature === undefined)
        throw new EntremiseError('proof-invalid');
      const transcript = attachTranscript(request.mediatorKey, inner, answer.inner);
      const theirs = attachedInner.fromBytes(answer.inner);
      const rightKey = Buffer.compare(theirs.mediatorKey, request.mediatorKey) === 0;
      if (!rightKey || !verifyBytes(request.mediatorKey, transcript, answer.signature)) {
        throw new EntremiseError('proof-invalid', {
          message: 'The answer was not signed by the mediator that was asked.',
        });
      }
      const keys = attachmentKeys(agreement.agree(theirs.x25519), transcript);
      return {
        keys: { send: keys.terminalToMediator, receive: keys.mediatorToTerminal },
        signature: signBytes(signer, transcript),
        holdMs: theirs.holdMs,
        capabilities: theirs.capabilities,
        peerInstance: theirs.instance,
      };
    },
  };
}

/** What a mediator brings to an answer. */
export interface AttachAnswerOptions {
  readonly signer: SigningKey;
  readonly instance: Uint8Array;
  readonly holdMs: number;
  readonly capabilities: readonly string[];
}

/** The mediator's half: ATTACHED's `inner` and signature, the keys, and the check of the terminal's RESUME. */
export interface AnsweredAttach {
  readonly inner: Uint8Array;
  readonly signature: Buffer;
  readonly keys: ControlKeys;
  /** Whether the terminal's signature over T is good; until then nothing of it counts (P4.2). */
  verify(signature: Uint8Array | undefined): boolean;
}

/**
 * Answers an ATTACH whose `inner` is `innerBytes`, decoded as `theirs`.
 * @throws EntremiseError `proof-invalid` when the terminal's X25519 key is of low order
 */
export function answerAttach(
  innerBytes: Uint8Array,
  theirs: AttachInner,
  options: AttachAnswerOptions,
): AnsweredAttach {
  const { signer, instance, holdMs, capabilities } = options;
  const agreement = newAgreement();
  const shared = agreement.agree(theirs.x25519);
  const mediatorKey = signer.publicKey;
  const inner = attachedInner.toBytes({
    mediatorKey,
    instance,
    x25519: agreement.publicKey,
    holdMs,
    capabilities,
  });
  const transcript = attachTranscript(mediatorKey, innerBytes, inner);
  const keys = attachmentKeys(shared, transcript);
  return {
    inner,
    signature: signBytes(signer, transcript),
    keys: { send: keys.mediatorToTerminal, receive: keys.terminalToMediator },
    verify: signature => signature !== undefined && verifyBytes(theirs.terminalKey, transcript, signature),
  };
}
