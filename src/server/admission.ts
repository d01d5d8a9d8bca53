import type { Clock } from '../base/clock.ts';
import { EntremiseError } from '../base/errors.ts';
import { keyToText } from '../base/keys.ts';
import { isKeyRevoked, type MemberStatement } from '../policy/documents.ts';
import { TokenBucket } from '../policy/rate.ts';
import type { ProvenMember } from '../session/handshake.ts';
import type { Admission } from '../switch/switch-options.ts';
import type { Documents } from './documents.ts';

/** Enrolments that one source may try at once, and how fast after that. Guessing 128 bits is hopeless anyway. */
const triesAtOnce = 10;
const triesPerSecond = 1 / 6;

/** Sources that are remembered. */
const rememberedSources = 4096;

/** Whether a member that has proved its key may stay, and what it is told (P6.1, P6.2, P6.5). */
export class AdmissionDesk {
  private readonly documents: Documents;
  private readonly clock: Clock;
  private readonly tries = new Map<string, TokenBucket>();

  constructor(documents: Documents, clock: Clock) {
    this.documents = documents;
    this.clock = clock;
  }

  /** `remote` is `address:number`. */
  async admit(member: ProvenMember, remote: string): Promise<Admission> {
    try {
      const statement = await this.statementOf(member, remote);
      const trust = this.documents.trust();
      if (isKeyRevoked(trust, statement.key)) throw new EntremiseError('key-revoked');
      if (statement.role !== member.role) {
        throw new EntremiseError('not-enrolled', {
          message: `${statement.name} is enrolled as a ${statement.role}.`,
        });
      }
      const grants =
        statement.role === 'terminal' ? this.documents.grantsOf(statement.key).map(({ text }) => text) : [];
      const documents = [trust.text, statement.text, ...grants];
      return { admitted: true, name: statement.name, statementSeq: trust.seq, documents };
    } catch (thrown) {
      // What is not of the catalogue is ours to log, and not for a stranger to read.
      if (!(thrown instanceof EntremiseError)) throw thrown;
      const { code, message } = thrown;
      return { admitted: false, code, message };
    }
  }

  private async statementOf(member: ProvenMember, remote: string): Promise<MemberStatement> {
    const key = keyToText(member.key);
    const known = this.documents.member(key);
    if (member.enrolment === undefined) {
      if (known !== undefined) return known;
      throw new EntremiseError('not-enrolled', {
        message: 'This key is not enrolled: enrol with a code of the operator.',
      });
    }
    this.countTry(remote.slice(0, remote.lastIndexOf(':')));
    return this.documents.enrol(member.enrolment, key);
  }

  /** @throws EntremiseError `limit` */
  private countTry(source: string): void {
    const nowMs = this.clock.now();
    const bucket = this.tries.get(source) ?? new TokenBucket(triesPerSecond, triesAtOnce, nowMs);
    this.tries.delete(source);
    this.tries.set(source, bucket);
    const oldest = this.tries.size > rememberedSources ? this.tries.keys().next().value : undefined;
    if (oldest !== undefined) this.tries.delete(oldest);
    if (!bucket.take(1, nowMs))
      throw new EntremiseError('limit', {
        message: 'Too many enrolments from this address; try again in a minute.',
      });
  }
}
