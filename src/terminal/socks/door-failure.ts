import type { ErrorCode } from '../../base/errors.ts';
import { reasonOf } from '../tunnel-error.ts';
import { socksReply } from './socks-messages.ts';

interface Answers {
  /** RFC 1928 §6. */
  readonly socks: number;
  readonly http: number;
}

const general: Answers = { socks: socksReply.failure, http: 502 };
const forbidden: Answers = { socks: socksReply.notAllowed, http: 403 };
const offline: Answers = { socks: socksReply.networkUnreachable, http: 503 };
const unreachable: Answers = { socks: socksReply.hostUnreachable, http: 502 };

const answers: Partial<Record<ErrorCode, Answers>> = {
  'not-permitted': forbidden,
  'consent-required': forbidden,
  'outside-hours': forbidden,
  'grant-missing': forbidden,
  'grant-expired': forbidden,
  'grant-revoked': forbidden,
  'mediator-offline': offline,
  'server-unreachable': offline,
  'link-lost': offline,
  unreachable,
  'no-such-name': unreachable,
  'timed-out': { socks: socksReply.hostUnreachable, http: 504 },
  refused: { socks: socksReply.refused, http: 502 },
  'bad-request': { socks: socksReply.failure, http: 400 },
};

/** What a client of the door is answered when the mediator, or the way to it, has refused. */
export function answersFor(thrown: unknown): Answers {
  return answers[reasonOf(thrown)] ?? general;
}
