import {
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
import { capabilities, refusedBy, suite } from './shared.ts';

/** Why a terminal attaches; the owner decides per purpose (P6.3). */
export const purpose = oneOf({ assistance: 1, service: 2 });

/** Why a terminal attaches. */
export type Purpose = 'assistance' | 'service';

/** The terminal's half of an ATTACH, forwarded byte for byte (P6.4). */
export const attachInner = message('ATTACH.inner', {
  terminalKey: field(1, bytes(32)),
  instance: field(2, bytes(16)),
  attachmentId: field(3, bytes(16)),
  /** Rises with each ATTACH of this attachment (P4.2). */
  attempt: field(4, u32),
  x25519: field(5, bytes(32)),
  grant: field(6, text(4096)),
  /** How long the mediator is asked to hold the attachment without a link (P4.6). */
  holdMs: field(7, u32),
  purpose: field(8, purpose),
  capabilities: field(9, capabilities),
});
export type AttachInner = MessageOf<typeof attachInner>;

/** The mediator's half of an ATTACHED (P6.4). */
export const attachedInner = message('ATTACHED.inner', {
  mediatorKey: field(1, bytes(32)),
  instance: field(2, bytes(16)),
  x25519: field(3, bytes(32)),
  holdMs: field(4, u32),
  capabilities: field(5, capabilities),
});
export type AttachedInner = MessageOf<typeof attachedInner>;

/** ATTACH: from the terminal to the server, and with the server's own label and credit on to the mediator (P6.4). */
export const attach = message('ATTACH', {
  label: field(1, u32),
  mediator: field(2, bytes(32)),
  /** Server to mediator: the first hop credit towards the server (P2.3). */
  credit: optional(3, uint()),
  inner: field(4, bytes(1, 8192)),
});
export type Attach = MessageOf<typeof attach>;

/** ATTACHED: `inner` and its signature over T, or a refusal (P6.4). */
export const attached = message('ATTACHED', {
  label: field(1, u32),
  /** Server to terminal: the first hop credit towards the server (P2.3). */
  credit: optional(2, uint()),
  inner: optional(3, bytes(1, 1024)),
  signature: optional(4, bytes(64)),
  /** A number of the error catalogue. */
  error: optional(5, u8),
  by: optional(6, refusedBy),
  message: optional(7, sentence(512)),
});
export type Attached = MessageOf<typeof attached>;

/** DETACH: either end frees the label for good (P1.2). */
export const detach = message('DETACH', { label: field(1, u32), reason: optional(2, u8) });
export type Detach = MessageOf<typeof detach>;

/** UNROUTED: the far link of the label is gone (P4.3). */
export const unrouted = message('UNROUTED', { label: field(1, u32), reason: field(2, u8) });
export type Unrouted = MessageOf<typeof unrouted>;

/** CHANNEL: offer, accept and upkeep of a UDP channel over the link (P7.1). */
export const channel = message('CHANNEL', {
  step: field(1, oneOf({ offer: 1, accept: 2, refuse: 3, up: 4, rekey: 5, rekeyed: 6, close: 7 })),
  nonce: optional(2, bytes(32)),
  suites: optional(3, list(suite, 8)),
  cid: optional(4, u32),
  epoch: optional(5, u8),
  suite: optional(6, suite),
  /** The address the server sees the channel come from, address:number. */
  observed: optional(7, text(64)),
  reason: optional(8, u8),
  /** Kinds of packets that the sender opens beyond the first eleven (P7.2). */
  opens: optional(128, list(u8, 16)),
});
export type Channel = MessageOf<typeof channel>;

/** PORTROUTE: the route number under which a redirected port's packets travel on a UDP channel (P7.2). */
export const portroute = message('PORTROUTE', {
  label: field(1, u32),
  port: field(2, u32),
  /** With `made`: the number that this side puts in its packets. */
  route: optional(3, u32),
  step: field(4, oneOf({ make: 1, made: 2, withdraw: 3, refuse: 4 })),
  /** With `refuse`, and with `withdraw` where something failed: a number of the error catalogue. */
  reason: optional(5, u8),
  /** With a member's `make` and `made`: which of its channels. */
  cid: optional(6, u32),
});
export type Portroute = MessageOf<typeof portroute>;
