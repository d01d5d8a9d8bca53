/**
 * netns-test-helpers: build a small internet of network namespaces for a test, run real programs in it,
 * leave nothing behind.
 */
export type { Capture, CaptureOptions } from './capture.ts';
export { sweep } from './cleanup.ts';
export type { CommandOptions, CommandResult } from './command.ts';
export type { ConntrackEntry, ConntrackTimers, ConntrackTuple } from './conntrack.ts';
export { type LabState, readStateFile, teardown } from './detach.ts';
export {
  type DrawnEnd,
  type DrawnInterface,
  type DrawnNamespace,
  drawTopology,
  type Topology,
} from './drawing.ts';
export { LabError, type LabErrorCode } from './errors.ts';
export { withEvidence } from './evidence.ts';
export {
  type Block,
  blackHole,
  blockTcp,
  blockUdp,
  type EgressOnlyTcp,
  egressOnlyTcp,
  type FirewallOptions,
  type ForgeResets,
  forgeResets,
} from './firewall.ts';
export type { ImpairedLink, ImpairedLinkOptions, LinkCounters, Way } from './impaired-link.ts';
export type { Impairment } from './impairment.ts';
export { type Bridge, createLab, type Lab, type LabOptions } from './lab.ts';
export { type EndSpec, type Interface, type LinkOptions, type RateLimit, untilInterfaceUp } from './link.ts';
export type { ListeningProtocol } from './listening.ts';
export {
  burstLoss,
  type Loss,
  type PoliceUdp,
  policeUdp,
  type RefuseNewFlows,
  randomLoss,
  refuseNewFlows,
} from './loss.ts';
export type { Namespace } from './namespace.ts';
export {
  type Masquerade,
  masquerade,
  type NatBehaviour,
  natBehaviours,
  type RefuseFromOutside,
  refuseFromOutside,
} from './nat.ts';
export { compileNative } from './native.ts';
export type { Program, ProgramExit, SpawnOptions } from './process.ts';
export type { Refusal } from './refusal.ts';
export type { ProcessIdentity } from './registry.ts';
export type { AppliedRules, Rules } from './rules.ts';
export {
  inUserNamespace,
  type LabSupport,
  labSupport,
  type MissingTool,
  missingTools,
  reexecInUserNamespace,
  userNamespaceCommand,
} from './support.ts';
export { type NotYet, type UntilOptions, until } from './wait.ts';
