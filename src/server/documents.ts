import type { Clock } from '../base/clock.ts';
import { asEntremiseError, codeForPeers, EntremiseError, type ErrorCode } from '../base/errors.ts';
import { keyFromText, keyThumbprint } from '../base/keys.ts';
import type { Log } from '../base/log.ts';
import { SparingLog } from '../base/sparing-log.ts';
import {
  type AcceptedGrant,
  acceptGrant,
  acceptTrust,
  grantNamesMediator,
  isKeyRevoked,
  type MemberStatement,
  revocationOf,
  type TrustStatement,
  verifyGrant,
  verifyTrustStatement,
} from '../policy/documents.ts';
import { claimedAuthorityKeys, documentType } from '../policy/jws-parts.ts';
import type { Audit } from '../switch/permit.ts';
import { GrantShelf } from './grant-shelf.ts';
import { type EnrollingMember, type Invitations, MemberRegistry } from './member-registry.ts';
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

function sameTexts(a: readonly string[] = [], b: readonly string[] = []): boolean {
  return a.length === b.length && a.every(each => b.includes(each));
}

function sameKeys(a: TrustStatement | undefined, b: TrustStatement): boolean {
  return sameTexts(a?.authorityKeys, b.authorityKeys);
}

function sameKeysAndPins(a: TrustStatement, b: TrustStatement): boolean {
  return sameKeys(a, b) && sameTexts(a.serverPins, b.serverPins);
}

/** See the head of this file. */
export class Documents {
  private readonly options: DocumentsOptions;
  private readonly refusals: SparingLog;
  private trusted: TrustStatement | undefined;
  /** The statements by which keys and pins came to be what they are, the oldest first. */
  private readonly steps: TrustStatement[] = [];
  private readonly registry: MemberRegistry;
  private readonly grants = new GrantShelf();
  private changes = 0;

  private constructor(options: DocumentsOptions) {
    this.options = options;
    const { log, clock } = options;
    this.registry = new MemberRegistry({ ...options, trust: () => this.trust() });
    this.refusals = new SparingLog({ log, clock, lines: 30, withinMs: 60_000 });
  }

  /**
   * Reads and verifies what the store holds; what no longer verifies is left out.
   * @throws EntremiseError `state-unreadable`
   */
  static async load(options: DocumentsOptions): Promise<Documents> {
    const documents = new Documents(options);
    const { store, clock } = options;
    await documents.loadTrust(store.trust());
    for (const { text } of store.trustSteps())
      await documents.loadOne(text, each => documents.loadStep(each));
    for (const text of store.members()) await documents.loadOne(text, each => documents.registry.load(each));
    for (const text of store.grants(clock.wallTimeMs()))
      await documents.loadOne(text, each => documents.loadGrant(each));
    return documents;
  }

  /** The store is as private as the server's key, so the statement kept there vouches for its own keys. */
  private async loadTrust(text: string | undefined): Promise<void> {
    if (text === undefined) return;
    try {
      this.trusted = await verifyTrustStatement(text, [
        this.options.authorityKey,
        ...claimedAuthorityKeys(text),
      ]);
    } catch (cause) {
      const reason = asEntremiseError(cause).message;
      const message = `The trust statement in the server's store is damaged (${reason}) Put a backup of the state in its place.`;
      throw new EntremiseError('state-unreadable', { message, cause });
    }
  }

  private async loadStep(text: string): Promise<void> {
    this.steps.push(await verifyTrustStatement(text, claimedAuthorityKeys(text)));
  }

  private async loadOne(text: string, load: (text: string) => Promise<void>): Promise<void> {
    await load(text).catch(thrown => {
      this.refusals.info({ reason: asEntremiseError(thrown).message }, 'a stored document counts no more');
    });
  }

  private async loadGrant(text: string): Promise<void> {
    this.grants.add(await this.verifyGrant(text), this.options.clock.now());
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

  /**
   * What leads a member that missed changes of the authority's keys, however many, to the statement in force, which is the
   * last: each is signed by a key of the one before (P6.2).
   */
  trustWay(): string[] {
    const trust = this.trust();
    const before = this.steps.filter(
      (step, index) => step.seq < trust.seq && !sameKeys(this.steps[index - 1], step),
    );
    return [...before.map(({ text }) => text), trust.text];
  }

  /** Text of the authority's key that signs: the last that has, or what the server was told when it was made. */
  get authorityKey(): string {
    return this.trusted?.signer ?? this.options.authorityKey;
  }

  /** seq of the trust statement in force, 0 when there is none. */
  get trustSeq(): number {
    return this.trusted?.seq ?? 0;
  }

  /** Rises with every document that has come to count. */
  get revision(): number {
    return this.changes;
  }

  /** What has become of invitations. */
  get invitations(): Invitations {
    return this.registry;
  }

  /** All members, by the operator's word. */
  allMembers(): readonly MemberStatement[] {
    return this.registry.roster.all();
  }

  /** The member with that key. */
  member(key: string): MemberStatement | undefined {
    return this.registry.roster.get(key);
  }

  /** Why a member with that key, in that role, may have no link, or undefined. */
  refusalOf(key: string, role: 'mediator' | 'terminal'): ErrorCode | undefined {
    if (this.trusted === undefined) return 'not-enrolled';
    if (isKeyRevoked(this.trusted, key)) return 'key-revoked';
    return this.registry.roster.get(key)?.role === role ? undefined : 'not-enrolled';
  }

  /** The valid grants of a terminal. */
  grantsOf(terminalKey: string): AcceptedGrant[] {
    const { trusted } = this;
    if (trusted === undefined) return [];
    const own = this.grants.of(keyThumbprint(keyFromText(terminalKey)), this.options.clock.now());
    return own.filter(grant => revocationOf(grant, trusted) === undefined);
  }

  /** The mediators that valid grants of the terminal name (P1.8). */
  mediatorsKnownTo(terminalKey: string): MemberStatement[] {
    const grants = this.grantsOf(terminalKey);
    return grants.length === 0 ? [] : this.allMembers().filter(member => this.isNamed(member, grants));
  }

  /** True when a valid grant of the terminal names the mediator (P1.8). */
  mayKnow(terminalKey: string, mediator: MemberStatement): boolean {
    return this.isNamed(mediator, this.grantsOf(terminalKey));
  }

  private isNamed(member: MemberStatement, grants: readonly AcceptedGrant[]): boolean {
    const { trusted } = this;
    if (trusted === undefined || member.role !== 'mediator') return false;
    return grants.some(grant => grantNamesMediator(grant, trusted, member));
  }

  /**
   * Verifies a grant and fixes its expiry on the monotonic clock.
   * @throws EntremiseError `grant-invalid`, `grant-expired`, `grant-revoked`
   */
  async verifyGrant(text: string): Promise<AcceptedGrant> {
    const { clock } = this.options;
    const grant = await verifyGrant(text, this.trust(), clock.wallTimeMs());
    return acceptGrant(grant, clock.wallTimeMs(), clock.now());
  }

  /** Takes a document of any kind; undefined when it counts (or was known), else why not. */
  async accept(text: string): Promise<ErrorCode | undefined> {
    try {
      const change = await this.take(text);
      if (change === undefined) return undefined;
      this.changes++;
      this.options.onChange(change);
      return undefined;
    } catch (thrown) {
      const { code, message } = asEntremiseError(thrown);
      this.refusals.info({ code, reason: message }, 'document not accepted');
      return codeForPeers(code);
    }
  }

  private take(text: string): Promise<DocumentChange | undefined> {
    const typ = documentType(text);
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
    const isStep = this.trusted !== undefined && !sameKeysAndPins(this.trusted, accepted);
    const step = { seq: accepted.seq, nowMs: this.options.clock.wallTimeMs() };
    this.options.store.saveTrust(accepted.text, isStep ? step : undefined);
    if (isStep) this.steps.push(accepted);
    this.trusted = accepted;
    this.registry.removeUnbelieved();
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
    this.grants.add(grant, this.options.clock.now());
    return { kind: 'grant', terminal: this.registry.roster.keyOf(jkt), text };
  }

  private async takeInvitation(text: string): Promise<DocumentChange> {
    await this.registry.takeInvitation(text);
    return { kind: 'invitation' };
  }

  private async takeMember(text: string): Promise<DocumentChange | undefined> {
    const statement = await this.registry.take(text);
    return statement && { kind: 'member', key: statement.key, text };
  }

  /** See {@link MemberRegistry.enrol}. */
  enrol(member: EnrollingMember): Promise<MemberStatement> {
    return this.registry.enrol(member);
  }
}
