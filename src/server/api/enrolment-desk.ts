import { existsSync } from 'node:fs';
import type { Clock } from '../../base/clock.ts';
import { asEntremiseError, EntremiseError, type ErrorCode } from '../../base/errors.ts';
import { loadSigningKey, type SigningKey } from '../../base/keys.ts';
import type { MemberStatement, TrustStatement } from '../../policy/documents.ts';
import { operatorHash } from '../../policy/enrolment-code.ts';
import { type IssuedInvitation, signInvitation, signLabels } from '../../policy/invite.ts';
import {
  defaultInvitationLifeMs,
  type Inviter,
  identityRefusal,
  type MemberIdentity,
} from '../../policy/inviter.ts';
import type { Audit } from '../../switch/permit.ts';
import type { Invitations } from '../member-registry.ts';
import type { IssuedCode, IssuedCodes } from './issued-codes.ts';
import { ApiFailure } from './problem.ts';
import type { ApiToken } from './token-store.ts';

/** What the desk needs. */
export interface EnrolmentDeskOptions {
  /** Where `server delegate-key` puts the key; it may be made while the server runs. */
  readonly keyPath: string;
  readonly issued: IssuedCodes;
  /** The statement in force at the server. */
  readonly trust: () => TrustStatement;
  /** The pin of the key by which this server is reached now, base64url. */
  readonly serverPin: () => string;
  readonly memberNamed: (name: string) => MemberStatement | undefined;
  readonly invitations: Invitations;
  readonly push: (documents: readonly string[]) => Promise<(ErrorCode | undefined)[]>;
  readonly audit: Audit;
  readonly clock: Clock;
}

/** What a request for a code says. */
export interface CodeRequest {
  readonly name: string;
  readonly labels?: readonly string[];
  readonly lifeS?: number;
}

/** A code of the API, and what has become of it. */
export interface ListedCode extends IssuedCode {
  /**
   * `refused`: in time, and good for nothing: its inviter may not invite so any more, the key of the server or the
   * authority is another, or somebody else has come by the name.
   */
  readonly state: 'pending' | 'used' | 'expired' | 'cancelled' | 'refused';
  /** Text of the key of the mediator that has used it. */
  readonly usedBy: string | undefined;
}

/** @throws ApiFailure 422, for what no member would take */
async function orUnprocessable<T>(signing: Promise<T>): Promise<T> {
  try {
    return await signing;
  } catch (thrown) {
    throw new ApiFailure(422, asEntremiseError(thrown).message);
  }
}

/** Codes of a token that may wait for their mediators at once. */
const maxOpen = 1_000;

/** How long a code is good when nothing is said: as long as an inviter that may make it lets it, 10 min at most. */
function defaultLifeMs(inviters: readonly Inviter[], identity: MemberIdentity, nowMs: number): number {
  const fitting = inviters.filter(each => identityRefusal(each, identity) === undefined);
  const beginMs = Math.ceil(nowMs / 1000) * 1000;
  const lives = fitting.map(({ lifeMs, notAfterMs }) => Math.min(lifeMs, notAfterMs - beginMs));
  // What is too late is refused for that.
  return Math.min(defaultInvitationLifeMs, Math.max(...lives, 1000));
}

/**
 * Makes enrolment codes for mediators as an inviter (P6.2, P6.5), whose bounds every member knows from the trust statement,
 * takes them back, and says other labels of who came by them. Of a code nothing is kept but whom it is for.
 */
export class EnrolmentDesk {
  private readonly options: EnrolmentDeskOptions;

  constructor(options: EnrolmentDeskOptions) {
    this.options = options;
  }

  /**
   * Makes one, and tells the server of it.
   * @throws ApiFailure 409 without an inviter's key, 422 for what the inviter may not sign; EntremiseError `name-taken`,
   * `limit`, `audit-unavailable`, and what the server refuses it for
   */
  async issue(token: ApiToken, request: CodeRequest): Promise<IssuedInvitation> {
    const { issued, invitations, audit, clock } = this.options;
    const nowMs = clock.wallTimeMs();
    this.refuseTooMany(token, nowMs);
    const operator = this.operatorHash();
    const made = await this.sign(request, nowMs);
    // Only now: who may not invite by such a name is not told whether there is one.
    this.refuseTaken(request.name);
    const { key, name, labels, notAfterMs, text } = made.invitation;
    const who = { token: token.id, tokenName: token.name };
    audit('code-issued', { invitation: key, name, labels, notAfterMs, ...who });
    for (const id of issued.add(token.id, made.invitation, operator, nowMs)) invitations.forgetInvitation(id);
    try {
      await this.give(text);
    } catch (thrown) {
      issued.cancel(key, nowMs);
      throw thrown;
    }
    return made;
  }

  /** @throws EntremiseError for what the server refuses it for, or when it does not answer */
  private async give(text: string): Promise<void> {
    const [refusal] = await this.options.push([text]);
    if (refusal !== undefined) throw new EntremiseError(refusal, { by: 'server' });
  }

  /** The half of a code made now that is no secret. */
  private operatorHash(): string {
    const { serverPin, trust } = this.options;
    return operatorHash(serverPin(), trust().signer).toString('base64url');
  }

  /**
   * Says other labels of a mediator that came by a code of this server, whichever token asked for it.
   * @throws ApiFailure 404 when there is none of that name, 409 without an inviter's key or when something else was said of it at
   * the same moment, 422 for one that the authority itself speaks for and for what the inviter may not sign; EntremiseError as
   * {@link issue}
   */
  async label(token: ApiToken, name: string, labels: readonly string[]): Promise<MemberStatement> {
    const { memberNamed, trust, audit, clock } = this.options;
    const { key } = this.inviter(trust());
    const member = memberNamed(name);
    if (member?.role !== 'mediator')
      throw new ApiFailure(404, `There is no mediator ${JSON.stringify(name)}.`);
    const said = await orUnprocessable(signLabels(key, trust(), member, labels, clock.wallTimeMs()));
    if (labels.join(' ') === member.labels.join(' ')) return member;
    audit('labels-issued', { key: said.key, name, labels, token: token.id, tokenName: token.name });
    await this.give(said.text);
    if (memberNamed(name)?.text === said.text) return said;
    throw new ApiFailure(409, `Something else was said of ${name} at the same moment: ask again.`);
  }

  /** The server takes no second key for a name anyhow; this says so before a code is carried about. */
  private refuseTaken(name: string): void {
    if (this.options.memberNamed(name) === undefined) return;
    throw new EntremiseError('name-taken', { message: `Another member is called ${name}.`, by: 'server' });
  }

  private refuseTooMany(token: ApiToken, nowMs: number): void {
    const { issued, invitations } = this.options;
    const open = issued.openOf(token.id, nowMs);
    if (open.length < maxOpen) return;
    for (const id of open) {
      const usedBy = invitations.invitationUsedBy(id);
      if (usedBy !== undefined) issued.markUsed(id, usedBy);
    }
    if (issued.openOf(token.id, nowMs).length < maxOpen) return;
    throw new EntremiseError('limit', {
      message: `${maxOpen} codes of this token wait for their mediators already; take some back.`,
      by: 'server',
    });
  }

  private async sign({ name, labels = [], lifeS }: CodeRequest, nowMs: number): Promise<IssuedInvitation> {
    const trust = this.options.trust();
    const { key, own } = this.inviter(trust);
    const identity = { role: 'mediator', name, labels } as const;
    const signer = { key, trust, serverPin: this.options.serverPin(), authorityKey: trust.signer };
    const lifeMs = lifeS === undefined ? defaultLifeMs(own, identity, nowMs) : lifeS * 1000;
    return orUnprocessable(signInvitation(signer, identity, lifeMs, nowMs));
  }

  /** @throws ApiFailure 409; EntremiseError `state-unreadable` */
  private inviter({ inviters }: TrustStatement): {
    readonly key: SigningKey;
    readonly own: readonly Inviter[];
  } {
    const { keyPath } = this.options;
    const key = existsSync(keyPath) ? loadSigningKey(keyPath) : undefined;
    const own = inviters.filter(each => each.key === key?.text);
    if (key !== undefined && own.length > 0) return { key, own };
    const told = 'entremise server delegate-key, and with that key entremise authority inviter add.';
    throw new ApiFailure(409, `This server may invite nobody: ${told}`);
  }

  /** Those that a token has asked for, the newest first. */
  list(token: ApiToken): ListedCode[] {
    const { issued, invitations } = this.options;
    const operator = this.operatorHash();
    return issued.of(token.id).map(code => {
      const usedBy = invitations.invitationUsedBy(code.id);
      return { ...code, usedBy, state: usedBy === undefined ? this.stateOfUnused(code, operator) : 'used' };
    });
  }

  private stateOfUnused(code: IssuedCode, operator: string): ListedCode['state'] {
    const { invitations, memberNamed, clock } = this.options;
    if (code.cancelledAtMs !== undefined) return 'cancelled';
    if (code.expiresAtMs <= clock.wallTimeMs()) return 'expired';
    const leadsHere = (code.operatorHash ?? operator) === operator;
    const isNameFree = memberNamed(code.name) === undefined;
    return leadsHere && isNameFree && invitations.invitationStands(code.id) ? 'pending' : 'refused';
  }

  /** Takes one back that nobody has used, at this server, at once. @throws ApiFailure 404, 409 */
  cancel(token: ApiToken, id: string): void {
    const { issued, invitations, clock } = this.options;
    const code = issued.of(token.id).find(each => each.id === id);
    if (code === undefined) throw new ApiFailure(404, 'This token has asked for no such code.');
    if (invitations.invitationUsedBy(id) !== undefined)
      throw new ApiFailure(
        409,
        `${code.name} has enrolled with it: the operator shuts a member out (authority revoke-key).`,
      );
    invitations.cancelInvitation(id, { name: code.name, token: token.id, tokenName: token.name });
    issued.cancel(id, clock.wallTimeMs());
  }
}
