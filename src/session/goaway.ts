import {
  EntremiseError,
  type ErrorCode,
  type ErrorDetails,
  errorCodeOf,
  type RefusedBy,
} from '../base/errors.ts';
import { goaway } from '../wire/messages/link.ts';

/** The peer has ended the link with GOAWAY (P1.10); `code` is its reason. */
export class GoawayError extends EntremiseError {
  /** A member stays away for so many milliseconds. */
  readonly afterMs: number;

  constructor(code: ErrorCode, details: ErrorDetails, afterMs: number) {
    super(code, details);
    this.afterMs = afterMs;
  }
}

/**
 * What the body of a GOAWAY says. `by`: who said it, where that is worth telling.
 * @throws EntremiseError `bad-request`, `unsupported`
 */
export function goawayError(body: Uint8Array, by?: RefusedBy): GoawayError {
  const { reason, message, afterMs = 0 } = goaway.fromBytes(body);
  const details = { ...(message === undefined ? {} : { message }), ...(by === undefined ? {} : { by }) };
  return new GoawayError(errorCodeOf(reason) ?? 'link-closed', details, afterMs);
}
