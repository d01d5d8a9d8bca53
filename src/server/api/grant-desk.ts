import { existsSync } from 'node:fs';
import type { Clock } from '../../base/clock.ts';
import { asEntremiseError, EntremiseError, type ErrorCode } from '../../base/errors.ts';
import { isKeyText, loadSigningKey, type SigningKey } from '../../base/keys.ts';
import type { Grant, TrustStatement } from '../../policy/documents.ts';
import { peekGrant } from '../../policy/grant-verify.ts';
import { type GrantTerms, type GrantWish, signGrant } from '../../policy/grant-wish.ts';
import type { Audit } from '../../switch/permit.ts';
import type { DeniedGrants } from '../denied-grants.ts';
import type { IssuedGrants } from './issued-grants.ts';
import { ApiFailure } from './problem.ts';
import type { ApiToken } from './token-store.ts';

/** What the desk needs. */
export interface GrantDeskOptions {
  /** Where `server delegate-key` puts the key; it may be made while the server runs. */
  readonly keyPath: string;
  readonly issued: IssuedGrants;
  readonly trust: () => TrustStatement;
  /** The key of the member with that name. */
  readonly memberKey: (name: string) => string | undefined;
  readonly push: (documents: readonly string[]) => Promise<(ErrorCode | undefined)[]>;
  readonly denied: DeniedGrants;
  readonly audit: Audit;
  readonly clock: Clock;
}

/** What a request for a grant says. */
export interface GrantRequest extends Omit<GrantTerms, 'lifeMs'> {
  /** Key or name. */
  readonly terminal: string;
  readonly mediators: GrantWish['mediators'];
  readonly lifeS?: number;
}

/** A grant of the API, and what has become of it. */
export interface ListedGrant {
  readonly grant: Grant;
  readonly status: 'valid' | 'expired' | 'revoked';
}

/** Signs grants as a delegate (P6.2), whose bounds every mediator knows from the trust statement, and takes them back. */
export class GrantDesk {
  private readonly options: GrantDeskOptions;

  constructor(options: GrantDeskOptions) {
    this.options = options;
  }

  /**
   * Signs one, and gives it to the server.
   * @throws ApiFailure 409 without a delegate key, 422 for what the delegate may not sign; EntremiseError
   * `audit-unavailable`, and what the server refuses it for
   */
  async issue(token: ApiToken, request: GrantRequest): Promise<Grant> {
    const { issued, audit, push, clock } = this.options;
    const grant = await this.sign(request);
    const { id, terminalThumbprint: jkt, expiresAtMs } = grant;
    audit('grant-issued', { grant: id, jkt, expiresAtMs, token: token.id, tokenName: token.name });
    issued.add(token.id, grant, clock.wallTimeMs());
    const [refusal] = await push([grant.text]);
    if (refusal === undefined) return grant;
    throw new EntremiseError(refusal, { by: 'server' });
  }

  private async sign({ terminal, lifeS, ...terms }: GrantRequest): Promise<Grant> {
    const terminalKey = isKeyText(terminal) ? terminal : this.options.memberKey(terminal);
    if (terminalKey === undefined)
      throw new ApiFailure(422, `There is no terminal ${JSON.stringify(terminal)}.`);
    const wish = { ...terms, terminalKey, ...(lifeS === undefined ? {} : { lifeMs: lifeS * 1000 }) };
    try {
      return await signGrant(this.key(), this.options.trust(), wish, this.options.clock.wallTimeMs());
    } catch (thrown) {
      if (thrown instanceof ApiFailure) throw thrown;
      throw new ApiFailure(422, asEntremiseError(thrown).message);
    }
  }

  /** @throws ApiFailure 409; EntremiseError `state-unreadable` */
  private key(): SigningKey {
    const { keyPath } = this.options;
    if (existsSync(keyPath)) return loadSigningKey(keyPath);
    throw new ApiFailure(409, 'This server is no delegate: entremise server delegate-key.');
  }

  /** Those that a token has asked for, the newest first. */
  list(token: ApiToken): ListedGrant[] {
    const nowMs = this.options.clock.wallTimeMs();
    return this.options.issued.of(token.id).map(({ text, revokedAtMs }) => {
      const grant = peekGrant(text);
      const inTime = grant.expiresAtMs > nowMs ? 'valid' : 'expired';
      return { grant, status: revokedAtMs === undefined ? inTime : 'revoked' };
    });
  }

  /** Takes one back, at this server, at once. @throws ApiFailure 404 */
  revoke(token: ApiToken, id: string): void {
    const found = this.list(token).find(({ grant }) => grant.id === id);
    if (found === undefined)
      throw new ApiFailure(404, `This token has asked for no grant ${JSON.stringify(id)}.`);
    this.options.denied.add(id, found.grant.expiresAtMs, { token: token.id, tokenName: token.name });
    this.options.issued.revoke(id, this.options.clock.wallTimeMs());
  }
}
