import { asEntremiseError, EntremiseError, type ErrorCode, type RefusedBy } from '../base/errors.ts';
import { AbortError } from './abort-error.ts';

/** What Node calls these failures; the rest keep the catalogue's own word. */
const nodeCodes: Partial<Record<ErrorCode, string>> = {
  refused: 'ECONNREFUSED',
  unreachable: 'EHOSTUNREACH',
  'timed-out': 'ETIMEDOUT',
  'port-in-use': 'EADDRINUSE',
  'address-in-use': 'EADDRINUSE',
  'address-not-available': 'EADDRNOTAVAIL',
  'no-such-name': 'ENOTFOUND',
  'not-permitted': 'EACCES',
  'consent-required': 'EACCES',
  'outside-hours': 'EACCES',
  'frame-too-large': 'EMSGSIZE',
  'link-lost': 'ECONNRESET',
  'terminal-gone': 'ECONNRESET',
  'terminal-restarted': 'ECONNRESET',
  'mediator-restarted': 'ECONNRESET',
  'cannot-resume': 'ECONNRESET',
  'peer-reset': 'ECONNRESET',
  aborted: 'ECONNRESET',
  'port-closed': 'ECONNRESET',
  detached: 'ECONNRESET',
  'stream-limit': 'ECONNRESET',
};

/**
 * How everything of the SDK fails: `code` is Node's where Node has one (ECONNREFUSED, ECONNRESET, EADDRINUSE,
 * EHOSTUNREACH, ETIMEDOUT, EACCES, ...), else the catalogue's; `reason` is always the catalogue's; `cause` is kept.
 */
export class TunnelError extends Error {
  override readonly name = 'TunnelError';
  readonly code: string;
  readonly reason: ErrorCode;
  /** Who refused, where that is known: the grant, the gateway's owner, the server, the mediator, this terminal. */
  readonly by: RefusedBy | undefined;

  constructor(error: EntremiseError) {
    super(error.message, { cause: error.cause ?? error });
    this.reason = error.code;
    this.code = nodeCodes[error.code] ?? error.code;
    this.by = error.by;
  }
}

/** Any thrown value as the SDK gives it out: a {@link TunnelError}, or the {@link AbortError} that it is. */
export function tunnelError(thrown: unknown): Error {
  if (thrown instanceof TunnelError || thrown instanceof AbortError) return thrown;
  return new TunnelError(asEntremiseError(thrown));
}

/** A {@link TunnelError} made here: `message` says what, where and what to do. */
export function failure(reason: ErrorCode, message?: string): TunnelError {
  return new TunnelError(
    new EntremiseError(reason, message === undefined ? {} : { message, by: 'terminal' }),
  );
}

/** The catalogue's code of anything that the SDK threw. */
export function reasonOf(thrown: unknown): ErrorCode {
  return thrown instanceof TunnelError ? thrown.reason : asEntremiseError(thrown).code;
}

/** What Node calls the failure of that reason, if it has a word. */
export function nodeCodeOf(reason: ErrorCode): string | undefined {
  return nodeCodes[reason];
}
