import type { ErrorCode } from '../base/errors.ts';
import type { Verdict } from '../policy/verdict.ts';
import type { AttachInner } from '../wire/messages/attach.ts';
import type { Command } from '../wire/messages/command.ts';

/** What the switch asks whoever knows the operator's documents. It reads no grant itself. */

/** What a terminal may do on one attachment: its grant, parsed and verified once (P6.2). */
export interface Permit {
  /** The grant's id, for the audit. */
  readonly grantId: string;
  /** When it ends, on the monotonic clock in milliseconds (P6.3). */
  readonly deadlineMs: number;
  /** May this COMMAND be sent on, by what it says itself (P5.8)? Pure and synchronous. */
  authorise(command: Command): Verdict;
  /** Why the attachment must end, after what is known now of keys and grants, or undefined while it may go on. */
  recheck(): ErrorCode | undefined;
}

/** An ATTACH that a terminal asks for (P6.4). */
export interface AttachQuestion {
  /** Text of the key that the link has proved; `inner` says the same. */
  readonly terminal: string;
  /** Text of the mediator's key. */
  readonly mediator: string;
  readonly inner: AttachInner;
}

/** The answer: what it may do, or why not at all. */
export type AttachDecision =
  | { readonly allowed: true; readonly permit: Permit }
  | {
      readonly allowed: false;
      readonly code: ErrorCode;
      readonly by: 'grant' | 'server';
      readonly message: string;
    };

/**
 * Appends one line to the audit before what it tells of is done. `fields` are JSON values.
 * @throws when the line cannot be written: then the thing must not be done
 */
export type Audit = (action: string, fields: Readonly<Record<string, unknown>>) => void;
