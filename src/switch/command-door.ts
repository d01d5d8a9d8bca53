import { asEntremiseError, EntremiseError, type ErrorCode, errorNumber } from '../base/errors.ts';
import { encodeFrame, type Frame, frameBody } from '../wire/frame.ts';
import { type Command, command, commandIdOf } from '../wire/messages/command.ts';
import { frameFlag, headerBytes, macBytes, maxBodyBytes } from '../wire/spec.ts';
import type { Audit } from './permit.ts';
import type { Route } from './route.ts';

/**
 * The door for COMMANDs (P5.8): the server authorises what the COMMAND itself says and writes the audit line before it
 * passes it on. It cannot answer, since only the two ends make messages of stream 0; what it refuses goes on with the
 * flag DENIED and its reason as the last byte, behind the MAC, and the mediator answers.
 */

const seqBytes = 4;

/** What the door needs. */
export interface CommandDoorOptions {
  readonly audit: Audit;
  /** A COMMAND is refused. */
  onRefused(code: ErrorCode): void;
  /** The audit could not be written; told so that somebody hears of it. */
  onAuditFailed(cause: unknown): void;
}

interface Reading {
  readonly seq: number;
  readonly body: Uint8Array;
}

function split(frame: Frame): Reading {
  const whole = frameBody(frame);
  const macAt = whole.length - macBytes;
  if (macAt <= seqBytes || whole.length >= maxBodyBytes) {
    throw new EntremiseError('bad-request', { message: 'A COMMAND has an impossible length.' });
  }
  return { seq: whole.readUInt32BE(0), body: whole.subarray(seqBytes, macAt) };
}

/** The command, or undefined for one of a later version, which only its mediator may know how to refuse. */
function readCommand(body: Uint8Array): Command | undefined {
  try {
    return command.fromBytes(body);
  } catch (thrown) {
    const { code, message } = asEntremiseError(thrown);
    if (code === 'unsupported' && commandIdOf(body) !== undefined) return undefined;
    throw new EntremiseError('bad-request', { message: `A COMMAND cannot be read: ${message}` });
  }
}

/** The frame with DENIED set and the reason behind the MAC. */
function denied(frame: Frame, code: ErrorCode): Frame {
  const { type, label, stream } = frame;
  const flags = frame.flags | frameFlag.denied;
  const body = Buffer.concat([frame.bytes.subarray(headerBytes), Buffer.of(errorNumber(code))]);
  return { type, flags, label, stream, bytes: encodeFrame({ type, flags, label, stream }, body) };
}

type Outcome =
  | { readonly allowed: true }
  | { readonly allowed: false; readonly code: ErrorCode; readonly by: string; readonly message: string };

function judge(value: Command | undefined, route: Route): Outcome {
  if (value !== undefined) return route.permit.authorise(value);
  const message = 'The server does not know this command.';
  return { allowed: false, code: 'unsupported', by: 'server', message };
}

function auditFields(route: Route, seq: number, value: Command | undefined, outcome: Outcome) {
  const refusal = outcome.allowed ? {} : { code: outcome.code, by: outcome.by, reason: outcome.message };
  const { parties, permit } = route;
  return { ...parties, grant: permit.grantId, seq, command: value, allowed: outcome.allowed, ...refusal };
}

function refused(frame: Frame, code: ErrorCode, { onRefused }: CommandDoorOptions): Frame {
  onRefused(code);
  return denied(frame, code);
}

/**
 * The COMMAND as it is to be passed on.
 * @throws EntremiseError `bad-request` when it cannot be read: the label must end (P1.5)
 */
export function passCommand(frame: Frame, route: Route, options: CommandDoorOptions): Frame {
  const { seq, body } = split(frame);
  const value = readCommand(body);
  const outcome = judge(value, route);
  try {
    options.audit('command', auditFields(route, seq, value, outcome));
  } catch (cause) {
    options.onAuditFailed(cause);
    return refused(frame, outcome.allowed ? 'audit-unavailable' : outcome.code, options);
  }
  return outcome.allowed ? frame : refused(frame, outcome.code, options);
}
