import { randomBytes } from 'node:crypto';
import { generateSigningKey, keyFromText, keyThumbprint, type SigningKey } from '../../base/keys.ts';
import { formatEnrolmentCode, invitationKeyOf, operatorHash } from '../../policy/enrolment-code.ts';
import { type GrantClaims, grantRules } from '../../policy/grant.ts';
import { signJws } from '../../policy/jws.ts';
import { invitationRules, memberStatementRules } from '../../policy/member-statement.ts';
import { permissionVerbs } from '../../policy/schema.ts';
import { trustStatementRules } from '../../policy/trust-statement.ts';

/** What a new trust statement says besides what the one before did. */
export interface TrustWish {
  readonly serverPins?: readonly string[];
  readonly revokedKeys?: readonly string[];
  /** Ids of grants. */
  readonly revokedGrants?: readonly string[];
  /** In the place of those of before, as they stand in the statement. */
  readonly inviters?: readonly object[];
  /** Instead of the next one. */
  readonly seq?: number;
  /** Instead of its name. */
  readonly operator?: string;
  /** The successor's key counts too. */
  readonly withSuccessor?: boolean;
  /** Instead of the authority's own and its successor's. */
  readonly authorityKeys?: readonly string[];
  /** Instead of the authority's own. */
  readonly signer?: SigningKey;
}

/** Who a member is to be. */
export interface TestIdentity {
  readonly role: 'mediator' | 'terminal';
  readonly name: string;
  readonly labels: readonly string[];
}

const seconds = (ms: number) => Math.floor(ms / 1000);

/**
 * Signs an operator's documents for tests of the server, which may not know src/authority: a server never holds the
 * authority's key, and its tests show that it needs none.
 */
export class TestAuthority {
  readonly key = generateSigningKey();
  readonly successor = generateSigningKey();
  private seq = 0;
  private memberSeq = 0;
  private serverPins: readonly string[] = [];
  private revokedKeys: readonly string[] = [];
  private revokedGrants: readonly string[] = [];
  private inviters: readonly object[] = [];

  /** A trust statement that says all that was said before, and this. */
  trust(wish: TrustWish, nowMs: number): Promise<string> {
    this.seq = Math.max(this.seq + 1, wish.seq ?? 0);
    this.serverPins = wish.serverPins ?? this.serverPins;
    this.inviters = wish.inviters ?? this.inviters;
    this.revokedKeys = [...this.revokedKeys, ...(wish.revokedKeys ?? [])];
    this.revokedGrants = [...this.revokedGrants, ...(wish.revokedGrants ?? [])];
    const claims = {
      operator: wish.operator ?? 'Test Operator',
      seq: wish.seq ?? this.seq,
      iat: seconds(nowMs),
      authorityKeys: wish.authorityKeys ?? [
        this.key.text,
        ...(wish.withSuccessor === true ? [this.successor.text] : []),
      ],
      serverPins: this.serverPins,
      inviters: this.inviters,
      revokedKeys: this.revokedKeys,
      revokedGrants: this.revokedGrants.map(jti => ({ jti, exp: seconds(nowMs) + 24 * 3600 })),
    };
    return signJws(trustStatementRules.typ, claims, wish.signer ?? this.key);
  }

  /** A grant of every command for the mediators labelled `lab`, with other claims where said. */
  grant(terminalKey: string, claims: Partial<GrantClaims>, nowMs: number): Promise<string> {
    const said = {
      jti: randomBytes(8).toString('hex'),
      iat: seconds(nowMs),
      exp: seconds(nowMs) + 3600,
      cnf: { jkt: keyThumbprint(keyFromText(terminalKey)) },
      mediators: [{ labels: ['lab'] }],
      purpose: 'assistance',
      commands: permissionVerbs,
      ...claims,
    };
    return signJws(grantRules.typ, said, this.key);
  }

  /** The authority's own word on who a key is. */
  member(key: string, identity: TestIdentity, nowMs: number, signer = this.key): Promise<string> {
    this.memberSeq++;
    const claims = { key, ...identity, seq: this.memberSeq, iat: seconds(nowMs) };
    return signJws(memberStatementRules.typ, claims, signer);
  }

  /** An enrolment code and the invitation that the server must have before it is used. */
  async invite(
    identity: TestIdentity,
    nowMs: number,
    lifeMs: number,
    signer = this.key,
  ): Promise<{ readonly code: string; readonly invitation: string }> {
    const [pin = ''] = this.serverPins;
    const code = { secret: randomBytes(16), operatorHash: operatorHash(pin, this.key.text) };
    const key = invitationKeyOf(code).text;
    const claims = { key, ...identity, iat: seconds(nowMs), notAfter: seconds(nowMs + lifeMs) };
    return {
      code: formatEnrolmentCode(code),
      invitation: await signJws(invitationRules.typ, claims, signer),
    };
  }
}
