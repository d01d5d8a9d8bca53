import type { Clock } from '../base/clock.ts';
import { codeForPeers, EntremiseError, type ErrorCode } from '../base/errors.ts';
import { keyToText } from '../base/keys.ts';
import type { MemberStatement } from '../policy/documents.ts';
import { TokenBucket } from '../policy/rate.ts';
import type { ProvenMember } from '../session/handshake.ts';
import type { Admission } from '../switch/switch-options.ts';
import { sourceOf } from '../transport/accept-limiter.ts';
import type { Documents } from './documents.ts';

/** Enrolments that one source may try at once, and how fast after that. Guessing 128 bits is hopeless anyway. */
const triesAtOnce = 10;
const triesPerSecond = 1 / 6;

/** Sources that are remembered. */
const rememberedSources = 4096;

/** The address in `address:number` or `[address]:number`. */
function addressOf(remote: string): string {
  return remote.slice(0, remote.lastIndexOf(':')).replace(/^\[(.*)\]$/, '$1');
}

/** Sentences of these name files of the server. */
function notForStrangers(code: ErrorCode): boolean {
  return code === 'audit-unavailable' || codeForPeers(code) !== code;
}

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
      const key = keyToText(member.key);
      // First: what a revoked key brings is not looked at.
      this.refuseRevoked(key, member.role);
      const statement = await this.statementOf(member, remote);
      if (statement.role !== member.role) {
        throw new EntremiseError('not-enrolled', {
          message: `${statement.name} is enrolled as a ${statement.role}.`,
        });
      }
      // It may have been revoked while it was enrolled.
      this.refuseRevoked(key, member.role);
      const trust = this.documents.trust();
      const grants =
        statement.role === 'terminal' ? this.documents.grantsOf(key).map(({ text }) => text) : [];
      const documents = [...this.documents.trustWay(), statement.text, ...grants];
      return { admitted: true, name: statement.name, statementSeq: trust.seq, documents };
    } catch (thrown) {
      // What is not of the catalogue, or is about this machine, is ours to log, and not for a stranger to read.
      if (!(thrown instanceof EntremiseError) || notForStrangers(thrown.code)) throw thrown;
      const { code, message } = thrown;
      return { admitted: false, code, message };
    }
  }

  /** @throws EntremiseError `key-revoked`; `not-enrolled` while there is no trust statement */
  private refuseRevoked(key: string, role: 'mediator' | 'terminal'): void {
    this.documents.trust();
    if (this.documents.refusalOf(key, role) === 'key-revoked') throw new EntremiseError('key-revoked');
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
    this.countTry(sourceOf(addressOf(remote)));
    const { role, enrolment } = member;
    return this.documents.enrol({ key, role, enrolment });
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
