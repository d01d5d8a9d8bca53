import { type ErrorCode, unreachable } from '../base/errors.ts';

/** Exit codes of every verb, as documented in README.md and in `--help`. */
export const exitCode = {
  ok: 0,
  /** Something unexpected; the message says what. */
  failure: 1,
  /** The command line or a configuration file is wrong. */
  usage: 2,
  /** A grant, the owner or a revocation forbids it. */
  denied: 3,
  /** The server or the mediator cannot be reached now. */
  offline: 4,
  /** The device refused, or cannot be reached from the mediator. */
  target: 5,
  /** Not enrolled, a wrong code, a wrong pin, a bad document. */
  trust: 6,
} as const;

/** One of {@link exitCode}. */
export type ExitCode = (typeof exitCode)[keyof typeof exitCode];

/** The end of a command that a verb has run in its own place: the CLI exits as the command did. */
export class CommandEnded extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`the command has ended with exit code ${code}`);
    this.code = code;
  }
}

/** The exit code that tells a script what kind of failure `code` is. */
export function exitCodeFor(code: ErrorCode): ExitCode {
  switch (code) {
    case 'bad-usage':
    case 'bad-config':
    case 'no-such-mediator':
      return exitCode.usage;
    case 'not-permitted':
    case 'consent-required':
    case 'outside-hours':
    case 'grant-missing':
    case 'grant-expired':
    case 'grant-invalid':
    case 'grant-revoked':
      return exitCode.denied;
    case 'mediator-offline':
    case 'server-unreachable':
    case 'link-lost':
    case 'link-closed':
    case 'idle-timeout':
    case 'shutting-down':
    case 'terminal-gone':
    case 'mediator-restarted':
      return exitCode.offline;
    case 'refused':
    case 'unreachable':
    case 'timed-out':
    case 'no-such-name':
    case 'peer-reset':
    case 'port-in-use':
    case 'address-not-available':
    case 'address-in-use':
      return exitCode.target;
    case 'not-enrolled':
    case 'key-revoked':
    case 'pin-mismatch':
    case 'proof-invalid':
    case 'mediator-unverified':
    case 'document-invalid':
    case 'code-invalid':
    case 'code-used':
    case 'code-expired':
    case 'name-taken':
    case 'tls-failed':
    case 'duplicate-identity':
      return exitCode.trust;
    case 'no-such-port':
    case 'wrong-state':
    case 'limit':
    case 'unsupported':
    case 'bad-request':
    case 'internal':
    case 'audit-unavailable':
    case 'terminal-restarted':
    case 'cannot-resume':
    case 'aborted':
    case 'port-closed':
    case 'detached':
    case 'stream-limit':
    case 'protocol-error':
    case 'displaced':
    case 'too-slow':
    case 'frame-too-large':
    case 'unknown-type':
    case 'over-credit':
    case 'version-mismatch':
    case 'unauthenticated':
    case 'in-use':
    case 'addon-missing':
    case 'state-unreadable':
    case 'environment-unfit':
      return exitCode.failure;
    default:
      return unreachable(code);
  }
}
