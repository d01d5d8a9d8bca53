import { keyThumbprint, type SigningKey, signingKeyFromSeed } from '../base/keys.ts';
import { type AcceptedGrant, type GrantClaims, grantRules } from './grant.ts';
import { acceptGrant, verifyGrant } from './grant-verify.ts';
import { signJws } from './jws.ts';
import { type MemberStatement, memberStatementRules, verifyMemberStatement } from './member-statement.ts';
import { type TrustStatement, trustStatementRules, verifyTrustStatement } from './trust-statement.ts';

/** An operator for tests, the same at every run: keys from fixed seeds, documents made and verified by the real code. */

/** The key whose seed is 32 times this byte. */
export function seededKey(byte: number): SigningKey {
  return signingKeyFromSeed(Buffer.alloc(32, byte));
}

/** The cast. */
export const testKeys = {
  authority: seededKey(1),
  nextAuthority: seededKey(2),
  mediator: seededKey(3),
  terminal: seededKey(4),
  delegate: seededKey(5),
  invitation: seededKey(6),
  stranger: seededKey(66),
} as const;

/** 2026-03-01 00:00:00 UTC, in milliseconds: when everything of the fixtures was issued. */
export const testTimeMs = 1_772_323_200_000;

const testTime = testTimeMs / 1000;

/** Claims of the trust statement of {@link testTrust}. */
export const testTrustClaims = {
  operator: 'Test Operator',
  seq: 7,
  iat: testTime,
  authorityKeys: [testKeys.authority.text, testKeys.nextAuthority.text],
  serverPins: [seededKey(20).text, seededKey(21).text],
  serverAddresses: ['server.example:443', '[2001:db8::5]:443'],
  revokedGrants: [],
  revokedKeys: [],
};

/** A trust statement as text, with other claims where said. */
export function signTestTrust(claims: object = {}, key: SigningKey = testKeys.authority): Promise<string> {
  return signJws(trustStatementRules.typ, { ...testTrustClaims, ...claims }, key);
}

/** A verified trust statement, with other claims where said. */
export async function testTrust(claims: object = {}): Promise<TrustStatement> {
  return verifyTrustStatement(await signTestTrust(claims), testTrustClaims.authorityKeys);
}

/** Claims of the member statement of {@link testMediator}. */
export const testMediatorClaims = {
  key: testKeys.mediator.text,
  role: 'mediator',
  name: 'gw-1',
  labels: ['region:north', 'lab'],
  seq: 3,
  iat: testTime,
};

/** The member statement of a mediator, with other claims where said. */
export async function testMediator(claims: object = {}): Promise<MemberStatement> {
  const payload = { ...testMediatorClaims, ...claims };
  const text = await signJws(memberStatementRules.typ, payload, testKeys.authority);
  return verifyMemberStatement(text, await testTrust());
}

/** Claims of the grant of {@link testGrant}: everything on the LAN of `gw-1`, for 12 hours. */
export const testGrantClaims: GrantClaims = {
  jti: 'grant-0001',
  iat: testTime,
  exp: testTime + 12 * 3600,
  cnf: { jkt: keyThumbprint(testKeys.terminal.publicKey) },
  mediators: [{ name: 'gw-1' }],
  purpose: 'assistance',
  commands: ['open', 'redirect', 'connect', 'listen', 'close', 'query', 'resolve', 'datagram'],
  targets: { networks: ['lan'], tcp: ['1-65535'], udp: ['1-65535'] },
  ports: { addresses: ['lan'], tcp: ['1024-65535'], udp: ['1024-65535'] },
};

/** A grant as text, with other claims where said. */
export function signTestGrant(
  claims: Partial<GrantClaims> = {},
  key: SigningKey = testKeys.authority,
): Promise<string> {
  return signJws(grantRules.typ, { ...testGrantClaims, ...claims }, key);
}

/** A grant in use since monotonic time 0, with other claims where said. */
export async function testGrant(claims: Partial<GrantClaims> = {}): Promise<AcceptedGrant> {
  const grant = await verifyGrant(await signTestGrant(claims), await testTrust(), testTimeMs);
  return acceptGrant(grant, testTimeMs, 0);
}
