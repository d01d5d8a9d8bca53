import {
  AUTHENTIC_DATA,
  decode,
  encode,
  type Question,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
} from 'dns-packet';
import type { ErrorCode } from '../../base/errors.ts';
import { type IpText, ipToBytes } from '../../wire/ip.ts';
import type { MediatorAttachment } from '../mediator-attachment.ts';
import { reasonOf } from '../tunnel-error.ts';

/** RFC 1035 §4.1.1. */
const rcode = { formatError: 1, serverFailure: 2, nameError: 3, notImplemented: 4, refused: 5 } as const;

const codes: Partial<Record<ErrorCode, number>> = {
  'no-such-name': rcode.nameError,
  // No host can have such a name.
  'bad-request': rcode.nameError,
  'not-permitted': rcode.refused,
  'consent-required': rcode.refused,
  'outside-hours': rcode.refused,
};

/** How long an answer may be believed, in seconds: as long as this program believes one. */
const lifeS = 30;

/** With these an answer fits into 512 bytes, which every client takes (RFC 1035 §4.2.1), whatever the name. */
const maxAddresses = 8;

/**
 * The answer to a DNS query: addresses (A, AAAA) as the mediator resolves the name, with its hosts file and whatever its
 * resolver knows. It is asked for nothing else, which NOTIMP says. Undefined for what is no query.
 */
export async function answerQuery(
  query: Buffer,
  attachment: () => Promise<MediatorAttachment>,
): Promise<Buffer | undefined> {
  const asked = readQuery(query);
  if (asked === undefined) return undefined;
  const { id, flags, question } = asked;
  const { code, addresses } = await lookUp(question, attachment);
  const answer = encode({
    type: 'response',
    id,
    flags: (flags & RECURSION_DESIRED) | RECURSION_AVAILABLE | code,
    questions: question === undefined ? [] : [question],
  });
  answer.writeUInt16BE(addresses.length, answerCountAt);
  return Buffer.concat([answer, ...addresses.map(addressRecord)]);
}

/** RFC 1035 §4.1.1. */
const answerCountAt = 6;

/** The question's own name, by a pointer to it (RFC 1035 §4.1.4), which the library does not write. */
const sameName = 0xc00c;

const recordTypes = { 4: 1, 16: 28 } as const;

/** A resource record of type A or AAAA (RFC 1035 §4.1.3, RFC 3596 §2). */
function addressRecord(address: IpText): Buffer {
  const bytes = ipToBytes(address);
  const head = Buffer.alloc(12);
  head.writeUInt16BE(sameName, 0);
  head.writeUInt16BE(recordTypes[bytes.length === 4 ? 4 : 16], 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(lifeS, 6);
  head.writeUInt16BE(bytes.length, 10);
  return Buffer.concat([head, bytes]);
}

interface Asked {
  readonly id: number;
  readonly flags: number;
  /** Undefined when there is none that can be answered. */
  readonly question: Question | undefined;
}

function readQuery(query: Buffer): Asked | undefined {
  try {
    const { type, id = 0, flags = 0, questions = [] } = decode(query);
    if (type !== 'query') return undefined;
    return {
      id,
      flags: flags & ~AUTHENTIC_DATA,
      question: questions.length === 1 ? questions[0] : undefined,
    };
  } catch {
    return undefined;
  }
}

interface Found {
  readonly code: number;
  readonly addresses: readonly IpText[];
}

const failed = (code: number): Found => ({ code, addresses: [] });

async function lookUp(
  question: Question | undefined,
  attachment: () => Promise<MediatorAttachment>,
): Promise<Found> {
  if (question === undefined) return failed(rcode.formatError);
  if (question.type !== 'A' && question.type !== 'AAAA') return failed(rcode.notImplemented);
  const isIpv6 = question.type === 'AAAA';
  try {
    const found = await (await attachment()).resolve(question.name);
    const addresses = found.filter(address => address.includes(':') === isIpv6);
    return { code: 0, addresses: addresses.slice(0, maxAddresses) };
  } catch (thrown) {
    return failed(codes[reasonOf(thrown)] ?? rcode.serverFailure);
  }
}
