/** The operator's authority (P6.6): makes and keeps its keys, signs every document. Used by the CLI only. */
export {
  defaultGrantClaims,
  type GrantWish,
  type IssuedGrant,
  issueGrant,
  listGrants,
  readGrant,
  revokeGrant,
} from './grants.ts';
export { initAuthority } from './init.ts';
export {
  defaultInvitationLifeMs,
  type IssuedInvitation,
  issueMemberStatement,
  type MemberIdentity,
  makeInvitation,
} from './members.ts';
export { type Authority, authorityFiles, openAuthority } from './state.ts';
export { currentTrustStatement, issueTrustStatement, revokeKeys, type TrustChanges } from './trust.ts';
