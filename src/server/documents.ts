import type { Clock } from '../base/clock.ts';
import { asEntremiseError, EntremiseError, type ErrorCode } from '../base/errors.ts';
import { keyFromText, keyThumbprint } from '../base/keys.ts';
import type { Log } from '../base/log.ts';
import {
  type AcceptedGrant,
  acceptGrant,
  acceptTrust,
  decideMember,
  grantNamesMediator,
  isKeyRevoked,
  type MemberStatement,
  revocationOf,
  type TrustStatement,
  verifyEnrolment,
  verifyGrant,
  verifyInvitation,
  verifyMemberStatement,
  verifyTrustStatement,
} from '../policy/documents.ts';
import type { Audit } from '../switch/permit.ts';
import type { Store } from './store.ts';

/**
 * The operator's documents at the server (P6.2): verified once, kept parsed, and stored as texts. Whoever brings one is
 * of no account; the signature and the seq are.
 */

/** What changed, so that those it concerns are told. */
export type DocumentChange =
  | { readonly kind: 'trust'; readonly text: string }
  | { readonly kind: 'member'; readonly key: string; readonly text: string }
  | { readonly kind: 'grant'; readonly terminal: string | undefined; readonly text: string }
  | { readonly kind: 'invitation' };

/** What {@link Documents} needs. */
export interface DocumentsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** Text of the authority's key, as the server was told when it was made. */
  readonly authorityKey: string;
  onChange(change: DocumentChange): void;
  /** Called before a document counts; when it throws, the document does not. */
  readonly audit: Audit;
}

function headerOf(text: string): { readonly typ?: unknown; readonly kid?: unknown } {
  try {
    const value: unknown = JSON.parse(Buffer.from(text.split('.')[0] ?? '', 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** See the head of this file. */
export class Documents {
  private readonly options: DocumentsOptions;
  private trusted: TrustStatement | undefined;
  private readonly members = new Map<string, MemberStatement>();
  private readonly grants = new Map<string, AcceptedGrant>();

  private constructor(options: DocumentsOptions) {
    this.options = options;
  }

  /** Reads and verifies what the store holds; what no longer verifies is left out. */
  static async load(options: DocumentsOptions): Promise<Documents> {
    const documents = new Documents(options);
    const { store, clock, authorityKey } = options;
    const trust = store.trust();
    // The store is as private as the server's key, so the statement kept there vouches for its own keys.
    if (trust !== undefined)
      documents.trusted = await verifyTrustStatement(trust, [authorityKey, ...claimedKeys(trust)]);
    for (const text of store.members()) await documents.loadOne(text, each => documents.loadMember(each));
    for (const text of store.grants(clock.wallTimeMs()))
      await documents.loadOne(text, each => documents.loadGrant(each));
    return documents;
  }

  private async loadOne(text: string, load: (text: string) => Promise<void>): Promise<void> {
    await load(text).catch(thrown => {
      this.options.log.info({ reason: asEntremiseError(thrown).message }, 'a stored document counts no more');
    });
  }

  private async loadMember(text: string): Promise<void> {
    const statement = await verifyMemberStatement(text, this.trust());
    this.members.set(statement.key, statement);
  }

  private async loadGrant(text: string): Promise<void> {
    const grant = await this.verifyGrant(text);
    this.grants.set(grant.id, grant);
  }

  /**
   * The trust statement in force.
   * @throws EntremiseError `not-enrolled` while the authority has sent none
   */
  trust(): TrustStatement {
    if (this.trusted !== undefined) return this.trusted;
    throw new EntremiseError('not-enrolled', {
      message:
        'The server has no trust statement yet: run "entremise authority trust --pin ... --address ...".',
      by: 'server',
    });
  }

  /** seq of the trust statement in force, 0 when there is none. */
  get trustSeq(): number {
    return this.trusted?.seq ?? 0;
  }

  /** All members, by the operator's word. */
  allMembers(): readonly MemberStatement[] {
    return [...this.members.values()];
  }

  /** The member with that key. */
  member(key: string): MemberStatement | undefined {
    return this.members.get(key);
  }

  /** Why links of that key must end, or undefined. */
  refusalOf(key: string): ErrorCode | undefined {
    if (this.trusted === undefined) return 'not-enrolled';
    if (isKeyRevoked(this.trusted, key)) return 'key-revoked';
    return this.members.has(key) ? undefined : 'not-enrolled';
  }

  /** The valid grants of a terminal. */
  grantsOf(terminalKey: string): AcceptedGrant[] {
    const thumbprint = keyThumbprint(keyFromText(terminalKey));
    const nowMs = this.options.clock.now();
    return [...this.grants.values()].filter(
      grant =>
        grant.terminalThumbprint === thumbprint &&
        grant.deadlineMs > nowMs &&
        this.trusted !== undefined &&
        revocationOf(grant, this.trusted) === undefined,
    );
  }

  /** True when a valid grant of the terminal names the mediator (P1.8). */
  mayKnow(terminalKey: string, mediator: MemberStatement): boolean {
    const { trusted } = this;
    if (trusted === undefined || mediator.role !== 'mediator') return false;
    return this.grantsOf(terminalKey).some(grant => grantNamesMediator(grant, trusted, mediator));
  }

  /**
   * Verifies a grant and fixes its expiry on the monotonic clock.
   * @throws EntremiseError `grant-invalid`, `grant-expired`, `grant-revoked`
   */
  async verifyGrant(text: string): Promise<AcceptedGrant> {
    const { clock } = this.options;
    return acceptGrant(
      await verifyGrant(text, this.trust(), clock.wallTimeMs()),
      clock.wallTimeMs(),
      clock.now(),
    );
  }

  /** Takes a document of any kind; undefined when it counts (or was known), else why not. */
  async accept(text: string): Promise<ErrorCode | undefined> {
    try {
      const change = await this.take(text);
      if (change !== undefined) this.options.onChange(change);
      return undefined;
    } catch (thrown) {
      const { code, message } = asEntremiseError(thrown);
      this.options.log.info({ code, reason: message }, 'document not accepted');
      return code;
    }
  }

  private take(text: string): Promise<DocumentChange | undefined> {
    const { typ } = headerOf(text);
    if (typ === 'entremise-trust+jwt') return this.takeTrust(text);
    if (typ === 'entremise-grant+jwt') return this.takeGrant(text);
    if (typ === 'entremise-invitation+jwt' && !text.includes('~')) return this.takeInvitation(text);
    return this.takeMember(text);
  }

  private async takeTrust(text: string): Promise<DocumentChange | undefined> {
    const known = this.trusted?.authorityKeys ?? [this.options.authorityKey];
    const candidate = await verifyTrustStatement(text, known);
    // What is in force may have changed while this one was verified: it must not be undone by an older one.
    const accepted = acceptTrust(this.trusted, candidate);
    if (accepted === this.trusted) return undefined;
    this.auditTrust(accepted);
    this.options.store.saveTrust(accepted.text);
    this.trusted = accepted;
    return { kind: 'trust', text };
  }

  /** A full disk must not keep a revocation from counting. */
  private auditTrust({ seq, signer }: TrustStatement): void {
    try {
      this.options.audit('trust', { seq, signer });
    } catch (thrown) {
      this.options.log.error(
        { err: thrown, seq },
        'audit line not written, trust statement taken all the same',
      );
    }
  }

  private async takeGrant(text: string): Promise<DocumentChange | undefined> {
    const grant = await this.verifyGrant(text);
    if (this.grants.has(grant.id)) return undefined;
    const { id, terminalThumbprint: jkt, signer, expiresAtMs } = grant;
    this.options.audit('grant', { grant: id, jkt, signer, expiresAtMs });
    this.options.store.saveGrant(grant.id, grant.text, grant.expiresAtMs);
    this.grants.set(grant.id, grant);
    const holder = this.allMembers().find(
      ({ key }) => keyThumbprint(keyFromText(key)) === grant.terminalThumbprint,
    );
    return { kind: 'grant', terminal: holder?.key, text };
  }

  private async takeInvitation(text: string): Promise<DocumentChange> {
    const invitation = await verifyInvitation(text, this.trust());
    const { key, role, name, labels, notAfterMs } = invitation;
    this.options.audit('invitation', { invitation: key, role, name, labels, notAfterMs });
    this.options.store.saveInvitation(invitation.key, invitation.text);
    return { kind: 'invitation' };
  }

  private async takeMember(text: string): Promise<DocumentChange | undefined> {
    const statement = await verifyMemberStatement(text, this.trust());
    if (!this.decide(statement)) return undefined;
    const { key, role, name, labels, seq } = statement;
    this.options.audit('member', { key, role, name, labels, seq });
    this.options.store.saveMember(statement.key, statement.text);
    this.members.set(statement.key, statement);
    return { kind: 'member', key: statement.key, text };
  }

  /** @throws EntremiseError `name-taken` */
  private decide(candidate: MemberStatement): boolean {
    const trust = this.trust();
    const valid = this.allMembers().filter(({ key }) => !isKeyRevoked(trust, key));
    const sameName = valid.find(({ name, key }) => name === candidate.name && key !== candidate.key);
    const decision = decideMember(this.members.get(candidate.key), sameName, candidate);
    if (decision === 'name-taken')
      throw new EntremiseError('name-taken', { message: `Another member is called ${candidate.name}.` });
    return decision === 'accept';
  }

  /**
   * Enrols the key that a PROOF has proved (P6.5): the code's invitation is known, in time and not used by another key.
   * @throws EntremiseError `code-invalid`, `code-used`, `code-expired`, `name-taken`, `document-invalid`, `key-revoked`
   */
  async enrol(enrolment: string, provenKey: string): Promise<MemberStatement> {
    const { store, clock } = this.options;
    const invitationKey = String(headerOf(enrolment).kid);
    const stored = store.invitation(invitationKey);
    if (stored === undefined) throw new EntremiseError('code-invalid');
    if (stored.usedBy !== undefined && stored.usedBy !== provenKey) throw new EntremiseError('code-used');
    const invitation = await verifyInvitation(stored.text, this.trust());
    const statement = await verifyEnrolment(
      invitation,
      enrolment,
      provenKey,
      this.trust(),
      clock.wallTimeMs(),
    );
    if (this.decide(statement)) {
      const { role, name, labels } = statement;
      this.options.audit('enrol', { key: provenKey, invitation: invitationKey, role, name, labels });
      store.enrol(invitationKey, provenKey, statement.text, clock.wallTimeMs());
      this.members.set(statement.key, statement);
    }
    return this.members.get(provenKey) ?? statement;
  }
}

function claimedKeys(trust: string): string[] {
  try {
    const claims: unknown = JSON.parse(Buffer.from(trust.split('.')[1] ?? '', 'base64url').toString('utf8'));
    const keys = (claims as { authorityKeys?: unknown }).authorityKeys;
    return Array.isArray(keys) ? keys.map(String) : [];
  } catch {
    return [];
  }
}
