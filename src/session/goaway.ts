import {
  EntremiseError,
  type ErrorCode,
  type ErrorDetails,
  errorCodeOf,
  type RefusedBy,
} from '../base/errors.ts';
import { goaway } from '../wire/messages/link.ts';

/** When, and where, a member that is sent away may come back (P1.10). */
export interface GoawayHint {
  /** Not before so many milliseconds. */
  readonly afterMs?: number | undefined;
  /** `host:number` of a server to try instead. */
  readonly server?: string | undefined;
}

/** The peer has ended the link with GOAWAY (P1.10); `code` is its reason. */
export class GoawayError extends EntremiseError {
  /** A member stays away for so many milliseconds. */
  readonly afterMs: number;
  /** `host:number` of a server to try instead, as it was said. */
  readonly server: string | undefined;

  constructor(code: ErrorCode, details: ErrorDetails, { afterMs = 0, server }: GoawayHint = {}) {
    super(code, details);
    this.afterMs = afterMs;
    this.server = server;
  }
}

/**
 * What the body of a GOAWAY says. `by`: who said it, where that is worth telling.
 * @throws EntremiseError `bad-request`, `unsupported`
 */
export function goawayError(body: Uint8Array, by?: RefusedBy): GoawayError {
  const { reason, message, ...hint } = goaway.fromBytes(body);
  const details = { ...(message === undefined ? {} : { message }), ...(by === undefined ? {} : { by }) };
  return new GoawayError(errorCodeOf(reason) ?? 'link-closed', details, hint);
}
