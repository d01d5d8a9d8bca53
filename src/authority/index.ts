/** The operator's authority (P6.6): makes and keeps its keys, signs every document. Used by the CLI only. */

export { addDelegate, type DelegateWish, makeDesk, openDesk, removeDelegate } from './delegates.ts';
export {
  type GrantSigner,
  type IssuedGrant,
  issueGrant,
  issueGrantAs,
  listGrants,
  readGrant,
  revokeGrant,
} from './grants.ts';
export { initAuthority } from './init.ts';
export {
  addInviter,
  type InviterChange,
  type InviterWish,
  isInviterKnown,
  removeInviter,
} from './inviters.ts';
export { issueMemberStatement, makeInvitation } from './members.ts';
export { listRoles, type Role, readRole, removeRole, setRole } from './roles.ts';
export { type KeyChange, type KnownMember, replaceStolenKey, retireKeys, rotateKey } from './rotation.ts';
export { type Authority, authorityFiles, openAuthority } from './state.ts';
export {
  currentTrustStatement,
  type DelegateClaims,
  issueTrustStatement,
  requireTrustStatement,
  revokeKeys,
  type TrustChanges,
} from './trust.ts';
