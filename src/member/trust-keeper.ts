import type { Clock } from '../base/clock.ts';
import { asEntremiseError, EntremiseError, type ErrorCode } from '../base/errors.ts';
import { keyFromText, keyThumbprint } from '../base/keys.ts';
import type { Log } from '../base/log.ts';
import { SparingLog } from '../base/sparing-log.ts';
import { builtMs } from '../base/version.ts';
import {
  type AcceptedGrant,
  acceptGrant,
  acceptTrust,
  decideMember,
  type MemberStatement,
  revocationOf,
  type TrustStatement,
  verifyGrant,
  verifyMemberStatement,
  verifyTrustStatement,
} from '../policy/documents.ts';
import { claimedAuthorityKeys, claimedSeq, documentType, jwsHeader } from '../policy/jws-parts.ts';
import {
  raiseTrustedTime,
  startTrustedTime,
  type TrustedTime,
  trustedTimeMs,
} from '../policy/trusted-time.ts';
import type { MemberDirectory, Membership } from './directory.ts';

/**
 * What a member believes (P6.2): the trust statement with the highest seq that verifies, its own statement, the time of
 * P6.7, and on a terminal its grants. Nothing is believed because the server says so; documents are verified here, once,
 * and kept.
 */

/** See the head of this file. */
export class TrustKeeper {
  private readonly directory: MemberDirectory;
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly refusals: SparingLog;
  private readonly listeners = new Set<() => void>();
  private membership: Membership;
  private trust: TrustStatement;
  private self: MemberStatement;
  private time: TrustedTime;
  private readonly ownGrants = new Map<string, AcceptedGrant>();
  /** One batch after the other: the grants of the second may need the keys of the first. */
  private working: Promise<unknown> = Promise.resolve();

  private constructor(
    options: TrustKeeperOptions,
    membership: Membership,
    trust: TrustStatement,
    self: MemberStatement,
  ) {
    this.directory = options.directory;
    this.clock = options.clock;
    this.log = options.log;
    this.refusals = new SparingLog({ log: options.log, clock: options.clock, lines: 30, withinMs: 60_000 });
    this.membership = membership;
    this.trust = trust;
    this.self = self;
    this.time = startTrustedTime(builtMs, trust.issuedAtMs, options.clock.now());
  }

  /**
   * Reads and verifies what the directory holds.
   * @throws EntremiseError `not-enrolled`, `state-unreadable`, `document-invalid`, `key-revoked`
   */
  static async load(options: TrustKeeperOptions): Promise<TrustKeeper> {
    const membership = options.directory.requireMembership();
    // The file is as private as the key beside it, so the statement kept there vouches for its own keys.
    const trust = await verifyKeptTrust(membership.trust);
    const self = await verifyKeptStatement(membership.statement, trust);
    const keeper = new TrustKeeper(options, membership, trust, self);
    await keeper.accept(options.directory.grants());
    return keeper;
  }

  /** The trust statement in force. */
  get current(): TrustStatement {
    return this.trust;
  }

  /** The member's own statement. */
  get own(): MemberStatement {
    return this.self;
  }

  /** The grants of this member that are in time and not revoked. */
  get grants(): readonly AcceptedGrant[] {
    const nowMs = this.clock.now();
    return [...this.ownGrants.values()].filter(({ deadlineMs }) => deadlineMs > nowMs);
  }

  /** Trusted time (P6.7), milliseconds since 1970. */
  timeMs(): number {
    return trustedTimeMs(this.time, this.clock.wallTimeMs(), this.clock.now());
  }

  /** Time learned from the server's WELCOME: moves forwards only. */
  learnTime(serverTimeMs: number): void {
    this.time = raiseTrustedTime(this.time, serverTimeMs, this.clock.now());
  }

  /** Calls `run` after every change of what is believed. Returns how to stop. */
  onChange(run: () => void): () => void {
    this.listeners.add(run);
    return () => this.listeners.delete(run);
  }

  /**
   * Verifies another member's statement.
   * @throws EntremiseError `document-invalid`, `key-revoked`
   */
  verifyMember(text: string): Promise<MemberStatement> {
    return verifyMemberStatement(text, this.trust);
  }

  /**
   * Verifies a grant and fixes its expiry on the monotonic clock (P6.3).
   * @throws EntremiseError `grant-invalid`, `grant-expired`, `grant-revoked`
   */
  async verifyGrant(text: string): Promise<AcceptedGrant> {
    const timeMs = this.timeMs();
    return acceptGrant(await verifyGrant(text, this.trust, timeMs), timeMs, this.clock.now());
  }

  /** Verifies documents one by one and keeps what counts; one entry each: undefined, or why it was refused. */
  accept(documents: readonly string[]): Promise<(ErrorCode | undefined)[]> {
    const accepted = this.working.then(() => this.acceptAll(documents));
    this.working = accepted;
    return accepted;
  }

  private async acceptAll(documents: readonly string[]): Promise<(ErrorCode | undefined)[]> {
    const outcomes: (ErrorCode | undefined)[] = [];
    for (const text of documents) outcomes.push(await this.acceptOne(text));
    if (outcomes.includes(undefined)) this.tellListeners();
    return outcomes;
  }

  private tellListeners(): void {
    for (const run of [...this.listeners]) {
      try {
        run();
      } catch (thrown) {
        this.log.error({ err: thrown }, 'what was to happen after a change of trust has failed');
      }
    }
  }

  private async acceptOne(text: string): Promise<ErrorCode | undefined> {
    try {
      const type = documentType(text);
      if (type === 'entremise-trust+jwt') await this.acceptTrust(text);
      else if (type === 'entremise-grant+jwt') await this.acceptOwnGrant(text);
      else await this.acceptOwnStatement(text);
      return undefined;
    } catch (thrown) {
      const { code, message } = asEntremiseError(thrown);
      this.refusals.info({ code, reason: message }, 'document not accepted');
      return code;
    }
  }

  private async acceptTrust(text: string): Promise<void> {
    // What led here is sent again at each WELCOME, by keys that may be believed no more.
    if (claimedSeq(text) <= this.trust.seq) return;
    const candidate = await verifyTrustStatement(text, this.trust.authorityKeys);
    const accepted = acceptTrust(this.trust, candidate);
    if (accepted === this.trust) return;
    this.trust = accepted;
    this.time = raiseTrustedTime(this.time, accepted.issuedAtMs, this.clock.now());
    for (const [id, grant] of this.ownGrants) {
      if (revocationOf(grant, accepted) !== undefined) this.ownGrants.delete(id);
    }
    this.keep({ ...this.membership, trust: accepted.text });
  }

  private async acceptOwnGrant(text: string): Promise<void> {
    const grant = await this.verifyGrant(text);
    if (this.ownGrants.has(grant.id)) return;
    this.refuseForeign(grant);
    this.ownGrants.set(grant.id, grant);
    this.trySaving('grant', () => {
      if (!this.directory.grants().includes(text)) this.directory.saveGrant(grant.id, text);
    });
  }

  /**
   * Others' grants are of no use here, and a server that hands them out fills the disk.
   * @throws EntremiseError `grant-invalid`
   */
  refuseForeign(grant: AcceptedGrant): void {
    if (grant.terminalThumbprint === keyThumbprint(keyFromText(this.self.key))) return;
    throw new EntremiseError('grant-invalid', { message: `The grant ${grant.id} is for another key.` });
  }

  private async acceptOwnStatement(text: string): Promise<void> {
    const statement = await this.verifyMember(text);
    if (statement.key !== this.self.key || decideMember(this.self, undefined, statement) === 'keep') return;
    this.self = statement;
    this.keep({ ...this.membership, statement: text, name: statement.name });
  }

  private keep(membership: Membership): void {
    this.membership = membership;
    this.trySaving('membership', () => this.directory.saveMembership(membership));
  }

  /** What is believed counts now, whether or not the disk takes it: a full one must not undo a revocation. */
  private trySaving(what: string, save: () => void): void {
    try {
      save();
    } catch (thrown) {
      this.log.error({ err: thrown, what }, 'not kept on disk; it counts until this process ends');
    }
  }
}

/** What a {@link TrustKeeper} needs. */
export interface TrustKeeperOptions {
  readonly directory: MemberDirectory;
  readonly clock: Clock;
  readonly log: Log;
}

/** Verifies a trust statement by the keys in itself: for one whose place vouches for it. */
async function verifyKeptTrust(text: string): Promise<TrustStatement> {
  try {
    return await verifyTrustStatement(text, claimedAuthorityKeys(text));
  } catch (cause) {
    throw new EntremiseError('state-unreadable', {
      message: 'The trust statement kept on disk is damaged; enrol again.',
      cause,
    });
  }
}

/**
 * Verifies the member's own statement, which was verified before it was kept: its signer may have been an authority's key
 * then and be none now, until the server brings another (P6.2). A key that is revoked is.
 */
function verifyKeptStatement(text: string, trust: TrustStatement): Promise<MemberStatement> {
  const signer = String(jwsHeader(text).kid);
  return verifyMemberStatement(text, { ...trust, authorityKeys: [...trust.authorityKeys, signer] });
}
