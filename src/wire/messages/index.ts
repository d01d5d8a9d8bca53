import type { MessageCodec } from '../fields.ts';
import type { FrameName } from '../spec.ts';
import { attach, attached, channel, detach, portroute, unrouted } from './attach.ts';
import { command, result } from './command.ts';
import { event } from './event.ts';
import { audithead, challenge, goaway, hello, ping, pong, proof, statement, welcome } from './link.ts';
import { presence, report, service } from './report.ts';
import { resume } from './resume.ts';

/** The frames whose body has a fixed layout (binary.ts); every other body is a CBOR map. */
export const binaryFrames = ['data', 'fin', 'reset', 'window', 'credit', 'yield', 'datagram'] as const;

/** Name of a frame whose body is a CBOR map. */
export type ControlName = Exclude<FrameName, (typeof binaryFrames)[number]>;

/** The codec of every control body by the name of its frame: the one table, which does not compile with a row missing. */
export const controlMessages = {
  command,
  result,
  event,
  resume,
  hello,
  challenge,
  proof,
  welcome,
  ping,
  pong,
  goaway,
  report,
  statement,
  attach,
  attached,
  detach,
  unrouted,
  presence,
  service,
  channel,
  portroute,
  audithead,
} as const satisfies Record<ControlName, MessageCodec<unknown>>;
