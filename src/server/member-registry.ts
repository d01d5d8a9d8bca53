import type { Clock } from '../base/clock.ts';
import { EntremiseError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import {
  invitationStands,
  keptInvitation,
  type MemberStatement,
  memberStands,
  refuseRevokedKey,
  type TrustStatement,
  verifyEnrolment,
  verifyInvitation,
  verifyMemberStatement,
} from '../policy/documents.ts';
import { jwsHeader } from '../policy/jws-parts.ts';
import type { Audit } from '../switch/permit.ts';
import { type Arrival, Roster } from './roster.ts';
import type { Store, StoredInvitation } from './store.ts';

/** What {@link MemberRegistry} needs. */
export interface MemberRegistryOptions {
  readonly store: Pick<
    Store,
    'invitation' | 'saveInvitation' | 'forgetInvitation' | 'saveMember' | 'forgetMembers' | 'enrol'
  >;
  readonly log: Log;
  readonly clock: Clock;
  readonly audit: Audit;
  /** The trust statement in force. @throws EntremiseError `not-enrolled` */
  trust(): TrustStatement;
}

/** A member that has proved its key and brings an enrolment. */
export interface EnrollingMember {
  /** Text of the key. */
  readonly key: string;
  readonly role: 'mediator' | 'terminal';
  readonly enrolment: string;
}

/** What has become of invitations. */
export type Invitations = Pick<
  MemberRegistry,
  'invitationUsedBy' | 'invitationStands' | 'cancelInvitation' | 'forgetInvitation'
>;

/**
 * How keys become members and cease to be (P6.2, P6.5): by the authority's statement, or by an invitation that one key
 * may use, once. Nothing counts before it is audited and stored.
 */
export class MemberRegistry {
  readonly roster = new Roster();
  private readonly options: MemberRegistryOptions;

  constructor(options: MemberRegistryOptions) {
    this.options = options;
  }

  /**
   * Takes in what the store holds.
   * @throws EntremiseError `document-invalid`, `key-revoked`, `name-taken`
   */
  async load(text: string): Promise<void> {
    const statement = await verifyMemberStatement(text, this.options.trust());
    const arrival = this.roster.decide(statement);
    if (arrival !== undefined) this.roster.put(statement, arrival.displaced);
  }

  /**
   * Takes a member statement that anybody brought; undefined when nothing changes.
   * @throws EntremiseError `document-invalid`, `key-revoked`, `name-taken`, `code-invalid`, `code-used`
   */
  async take(text: string): Promise<MemberStatement | undefined> {
    const trust = this.options.trust();
    const statement = await verifyMemberStatement(text, trust);
    // Who has said it may have been taken back while it was verified.
    if (this.options.trust() !== trust) return this.take(text);
    const { key, invited } = statement;
    // Whoever holds a code can sign any number of these: only the enrolment itself makes one count (P6.5).
    if (invited !== undefined && this.invitation(invited.key, key).usedBy === undefined)
      throw new EntremiseError('code-invalid', { message: 'A code enrols by PROOF only.' });
    const arrival = this.decide(statement);
    if (arrival === undefined) return undefined;
    this.audit('member', statement, arrival);
    this.options.store.saveMember(key, text, arrival.displaced?.key);
    this.roster.put(statement, arrival.displaced);
    return statement;
  }

  /**
   * Takes an invitation, so that its code can be used.
   * @throws EntremiseError `document-invalid`, `key-revoked`
   */
  async takeInvitation(text: string): Promise<void> {
    const { store, audit, trust } = this.options;
    const { key, role, name, labels, notAfterMs, signer } = await verifyInvitation(text, trust());
    audit('invitation', { invitation: key, role, name, labels, notAfterMs, signer });
    store.saveInvitation(key, text);
  }

  /**
   * Enrols the key that a PROOF has proved: the code's invitation is known, in time, for that role, and not used by
   * another key. A key that has enrolled may say the same again: its WELCOME was lost.
   * @throws EntremiseError `code-invalid`, `code-used`, `code-expired`, `name-taken`, `document-invalid`, `key-revoked`
   */
  async enrol(member: EnrollingMember): Promise<MemberStatement> {
    const { key, role, enrolment } = member;
    const { store, clock } = this.options;
    const trust = this.options.trust();
    const invitationKey = String(jwsHeader(enrolment).kid);
    const stored = this.invitation(invitationKey, key);
    const known = this.roster.get(key);
    if (stored.usedBy === key && known !== undefined) return known;
    const nowMs = clock.wallTimeMs();
    const invitation = await verifyInvitation(stored.text, trust);
    const statement = await verifyEnrolment(invitation, enrolment, key, trust, nowMs);
    // Who has invited may have been taken back while it was verified.
    if (this.options.trust() !== trust) return this.enrol(member);
    if (statement.role !== role) {
      const message = `The code is for a ${statement.role} (${statement.name}), not for a ${role}; it has not been used up.`;
      throw new EntremiseError('code-invalid', { message });
    }
    // Another key may have used it while this one was verified.
    this.invitation(invitationKey, key);
    const arrival = this.decide(statement);
    if (arrival === undefined) return this.roster.get(key) ?? statement;
    this.audit('enrol', statement, arrival);
    store.enrol(invitationKey, key, statement.text, nowMs, arrival.displaced?.key);
    this.roster.put(statement, arrival.displaced);
    return statement;
  }

  /** The trust statement may have changed while the member's was verified. */
  private decide(statement: MemberStatement): Arrival | undefined {
    refuseRevokedKey(this.options.trust(), statement.key, `The key of ${statement.name}`);
    return this.roster.decide(statement);
  }

  private audit(action: 'member' | 'enrol', statement: MemberStatement, { displaced }: Arrival): void {
    const { key, role, name, labels, seq, invited } = statement;
    const invitation = invited?.key;
    this.options.audit(action, { key, role, name, labels, seq, invitation, displaced: displaced?.key });
  }

  /**
   * An invitation that this key may use, or has used.
   * @throws EntremiseError `code-invalid`, `code-used`
   */
  private invitation(invitationKey: string, key: string): StoredInvitation {
    const stored = this.options.store.invitation(invitationKey);
    if (stored === undefined) throw new EntremiseError('code-invalid');
    if (stored.usedBy !== undefined && stored.usedBy !== key) throw new EntremiseError('code-used');
    return stored;
  }

  /** Text of the key that has used the invitation with that key. */
  invitationUsedBy(key: string): string | undefined {
    return this.options.store.invitation(key)?.usedBy;
  }

  /** True when the invitation with that key is here, and whoever has signed it may still invite so. */
  invitationStands(key: string): boolean {
    const stored = this.options.store.invitation(key);
    return stored !== undefined && invitationStands(keptInvitation(stored.text), this.options.trust());
  }

  /** Forgets an invitation that nobody has used, so that its code is good no more here; false when there is none. */
  cancelInvitation(key: string, fields: Readonly<Record<string, unknown>>): boolean {
    const { store, audit } = this.options;
    const stored = store.invitation(key);
    if (stored === undefined || stored.usedBy !== undefined) return false;
    audit('invitation-cancelled', { invitation: key, ...fields });
    store.forgetInvitation(key);
    return true;
  }

  /** Forgets one that is over for long, unless it was used. */
  forgetInvitation(key: string): void {
    this.options.store.forgetInvitation(key);
  }

  /**
   * Takes out whose key, or the key of whose invitation, has been revoked, and who is a member by the word of a key that speaks
   * for the authority no more, or may not invite so: their names are free.
   */
  removeUnbelieved(): void {
    const { store, log } = this.options;
    const trust = this.options.trust();
    const out = this.roster
      .all()
      .filter(each => !memberStands(each, trust))
      .map(({ key }) => key);
    for (const key of out) this.roster.remove(key);
    try {
      // Were they kept, a later statement could bring them back beside who has their names by then.
      store.forgetMembers(out);
    } catch (thrown) {
      log.error({ err: thrown }, 'who is a member no more could not be taken out of the store');
    }
  }
}
