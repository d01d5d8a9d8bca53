import {
  bool,
  bytes,
  field,
  list,
  type MessageOf,
  message,
  oneOf,
  optional,
  sentence,
  text,
  u8,
  u32,
  uint,
} from '../fields.ts';
import { capabilities } from './shared.ts';

export { capabilities } from './shared.ts';

/** The two kinds of member. */
export const role = oneOf({ mediator: 1, terminal: 2 });

/** What a member is to the server. */
export type Role = 'mediator' | 'terminal';

/** HELLO: the member's first frame (P6.1). */
export const hello = message('HELLO', {
  versions: field(1, list(u8, 16)),
  role: field(2, role),
  /** Ed25519 public key. */
  key: field(3, bytes(32)),
  /** Random, one process life (P4.1). */
  instance: field(4, bytes(16)),
  /** Rises with each link of the instance (P4.1). */
  linkNo: field(5, u32),
  capabilities: field(6, capabilities),
  /** Present when the member has no member statement yet. */
  enrolling: optional(7, bool),
  /** Name and version of the program, for lists and logs. */
  software: field(8, text(64)),
});
export type Hello = MessageOf<typeof hello>;

/** CHALLENGE: the server's answer to HELLO (P6.1). */
export const challenge = message('CHALLENGE', {
  version: field(1, u8),
  nonce: field(2, bytes(32)),
  /** Random, one life of the server process. */
  bootId: field(3, bytes(16)),
  capabilities: field(4, capabilities),
  /** The operator's authority, shown to a member that enrols so that it can compare it with its code. */
  authorityKey: optional(5, bytes(32)),
});
export type Challenge = MessageOf<typeof challenge>;

/** PROOF: the signature of P6.1, and when enrolling the member statement made with the invitation key (P6.5). */
export const proof = message('PROOF', {
  signature: field(1, bytes(64)),
  enrolment: optional(2, text(8192)),
});
export type Proof = MessageOf<typeof proof>;

/** WELCOME: the member is authenticated (P6.1). */
export const welcome = message('WELCOME', {
  /** seq of the newest trust statement that the server has. */
  statementSeq: field(1, uint()),
  /** Milliseconds since 1970. */
  serverTimeMs: field(2, uint()),
  /** The server will speak at the latest after this long (P8.1). */
  nextWithinMs: field(3, u32),
});
export type Welcome = MessageOf<typeof welcome>;

/** PING (P8.1). */
export const ping = message('PING', {
  id: field(1, u32),
  /** The sender will send something again at the latest after this long. */
  nextWithinMs: field(2, u32),
});
export type Ping = MessageOf<typeof ping>;

/** PONG: answers the PING with the same id; tells all bytes received on the link so far (P8.2). */
export const pong = message('PONG', { id: field(1, u32), received: field(2, uint()) });
export type Pong = MessageOf<typeof pong>;

/** GOAWAY: the sender ends the link; nothing but this makes the end of a link a clean one (P3.6). */
export const goaway = message('GOAWAY', {
  /** A number of the error catalogue. */
  reason: field(1, u8),
  message: optional(2, sentence(512)),
  /** Do not come back before this long. */
  afterMs: optional(3, u32),
  /** host:port of a server to try instead. */
  server: optional(4, text(280)),
});
export type Goaway = MessageOf<typeof goaway>;

/** AUDITHEAD: the last line of the server's audit (P6.10). */
export const audithead = message('AUDITHEAD', {
  /** Number of the line. */
  seq: field(1, uint()),
  /** SHA-256 over all lines up to it. */
  hash: field(2, bytes(32)),
  /** Milliseconds since 1970, on the server. */
  timeMs: field(3, uint()),
});
export type Audithead = MessageOf<typeof audithead>;

/** STATEMENT: signed documents (P6.2). With `id` the sender asks for one result per document, which come back under the same id. */
export const statement = message('STATEMENT', {
  documents: optional(1, list(text(16_384), 512)),
  id: optional(2, u32),
  /** 0 for accepted, else a number of the error catalogue. */
  results: optional(3, list(u8, 512)),
});
export type Statement = MessageOf<typeof statement>;
