/**
 * The closed catalogue of everything that can go wrong, with the number each entry has on the wire
 * (docs/protocol.md §9). The code is the API and never changes; the sentence is for people and may.
 */
const catalogue = {
  // Answers to commands (P5).
  'address-not-available': [1, 'The mediator does not have that address.'],
  'port-in-use': [2, 'That number is taken on the mediator.'],
  'not-permitted': [3, 'The grant or the owner of the gateway does not allow this.'],
  refused: [4, 'The target refused the connection.'],
  unreachable: [5, 'The target cannot be reached from the mediator.'],
  'timed-out': [6, 'The target did not answer in time.'],
  'no-such-port': [7, 'This attachment has no port with that id.'],
  'wrong-state': [8, 'The port is not in a state in which this command makes sense.'],
  limit: [9, 'A limit on number, rate or memory has been reached.'],
  'consent-required': [10, 'The owner of the gateway has not given consent.'],
  unsupported: [11, 'The other side does not know how to do this.'],
  'bad-request': [12, 'The message is malformed.'],
  'no-such-name': [13, 'The name has no address as seen from the mediator.'],
  internal: [14, 'An unexpected failure; the log of the side named in `by` has the cause.'],
  'audit-unavailable': [15, 'The audit line could not be written, so the command was not run.'],
  'address-in-use': [16, 'The connection from that address and number to that target still exists.'],
  'outside-hours': [17, 'The owner of the gateway allows this at other hours only.'],
  // How streams and attachments end (P3, P4).
  'link-lost': [20, 'The link was lost and nothing was held.'],
  'terminal-gone': [21, 'The terminal did not come back in time.'],
  'terminal-restarted': [22, 'The terminal was restarted.'],
  'mediator-restarted': [23, 'The mediator was restarted.'],
  'cannot-resume': [24, 'The two ends do not agree on what was delivered.'],
  'peer-reset': [25, 'The other end of the TCP connection sent RST.'],
  aborted: [26, 'The stream was aborted by the application.'],
  'port-closed': [27, 'The port was closed.'],
  detached: [28, 'The attachment was ended.'],
  'stream-limit': [29, 'The stream broke the window it was given.'],
  // How links end (P1, P6, P8).
  'not-enrolled': [40, 'This key is not enrolled at the server.'],
  'protocol-error': [41, 'The peer broke the protocol.'],
  'proof-invalid': [42, 'The peer did not prove that it holds its key.'],
  displaced: [43, 'A newer link of the same member took over.'],
  'duplicate-identity': [44, 'Two machines use the same key.'],
  'shutting-down': [45, 'The other side is shutting down.'],
  'idle-timeout': [46, 'Nothing was heard from the peer in time.'],
  'too-slow': [47, 'Authentication was not finished in time.'],
  'frame-too-large': [48, 'A frame or message is longer than allowed.'],
  'unknown-type': [49, 'A frame has a type that may not stand there.'],
  'over-credit': [50, 'More was sent on a label than the credit allows.'],
  'version-mismatch': [52, 'The two sides share no protocol version.'],
  'pin-mismatch': [53, 'The server does not have the pinned key.'],
  unauthenticated: [54, 'A frame that needs authentication came before it.'],
  'link-closed': [55, 'The link was closed.'],
  // Attachments and trust (P6).
  'mediator-offline': [60, 'The mediator is not connected to the server.'],
  'mediator-unverified': [61, 'There is no valid member statement for that mediator.'],
  'grant-missing': [62, 'No grant for that mediator is known.'],
  'grant-expired': [63, 'The grant has expired.'],
  'grant-invalid': [64, 'The grant is malformed, or not signed by the operator, or not for this key.'],
  'grant-revoked': [65, 'The grant, or the key it was made for, has been revoked.'],
  'in-use': [66, 'The attachment is in use by a live process.'],
  'no-such-mediator': [67, 'No mediator has that name.'],
  'key-revoked': [68, 'This key has been revoked.'],
  'document-invalid': [69, 'A signed document is malformed or its signature does not verify.'],
  'code-invalid': [70, 'The enrolment code is not valid.'],
  'code-used': [71, 'The enrolment code has been used.'],
  'code-expired': [72, 'The enrolment code has expired.'],
  'name-taken': [73, 'Another member has that name.'],
  // Local only: never on the wire, numbered all the same so that the catalogue stays one table.
  'bad-config': [80, 'The configuration is not valid.'],
  'bad-usage': [81, 'The command line is not valid.'],
  'addon-missing': [82, 'The native addon is not there.'],
  'state-unreadable': [83, 'A state file cannot be read or written.'],
  'server-unreachable': [84, 'The server cannot be reached.'],
  'tls-failed': [85, 'The TLS handshake failed.'],
  'environment-unfit': [86, 'This machine lacks something that is needed.'],
} as const satisfies Record<string, readonly [number, string]>;

/** A stable code of the catalogue. */
export type ErrorCode = keyof typeof catalogue;

const byNumber = new Map<number, ErrorCode>(
  (Object.keys(catalogue) as ErrorCode[]).map(code => [catalogue[code][0], code]),
);

/** Every code of the catalogue, in the order of the table. */
export const errorCodes = Object.keys(catalogue) as readonly ErrorCode[];

/** The number of `code` on the wire (u8, docs/protocol.md §9). */
export function errorNumber(code: ErrorCode): number {
  return catalogue[code][0];
}

/** The code with that wire number, or undefined when the catalogue has none. */
export function errorCodeOf(number: number): ErrorCode | undefined {
  return byNumber.get(number);
}

/** The first number of the codes that are never on the wire. */
const firstLocalNumber = 80;

/** What a peer is told of a failure with that code: what concerns this machine alone is `internal` to others. */
export function codeForPeers(code: ErrorCode): ErrorCode {
  return catalogue[code][0] < firstLocalNumber ? code : 'internal';
}

/** The catalogue's sentence for `code`. */
export function errorSentence(code: ErrorCode): string {
  return catalogue[code][1];
}

/** True when `text` is a code of the catalogue. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(catalogue, text);
}

/** Who refused: the grant's text, the gateway's owner, the server's door, the mediator or the terminal itself. */
export type RefusedBy = 'grant' | 'owner' | 'server' | 'mediator' | 'terminal';

/** What may accompany an {@link EntremiseError}. */
export interface ErrorDetails {
  /** One sentence that says what, where and what to do; the catalogue's sentence when absent. */
  readonly message?: string;
  readonly cause?: unknown;
  readonly by?: RefusedBy;
}

/** The one error class of the product: a code of the catalogue, a sentence that helps, and the cause. */
export class EntremiseError extends Error {
  /** What logs call it, also where a bundle has shortened names. */
  static override readonly name = 'EntremiseError';
  override readonly name = 'EntremiseError';
  readonly code: ErrorCode;
  readonly by: RefusedBy | undefined;

  constructor(code: ErrorCode, details: ErrorDetails = {}) {
    super(
      details.message ?? catalogue[code][1],
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    this.code = code;
    this.by = details.by;
  }
}

/** Any thrown value as an {@link EntremiseError}; what is none becomes `internal` with the value as cause. */
export function asEntremiseError(thrown: unknown): EntremiseError {
  if (thrown instanceof EntremiseError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new EntremiseError('internal', { message, cause: thrown });
}

/** For the end of an exhaustive switch: does not compile while a case is missing. */
export function unreachable(value: never): never {
  throw new EntremiseError('internal', { message: `unhandled case: ${JSON.stringify(value)}` });
}
