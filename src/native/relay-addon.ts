import type { ErrnoName } from './addon.ts';

/**
 * The addon's relays (native/relay.h), typed; how a call answers stands at the head of addon.ts. A relay is a thread; what
 * it is asked to do it does in order. Peers are bytes as in packets (P7.2): family, address, number; no bytes are no peer.
 * What is asked of a relay, or about an id, that is gone is passed over.
 */
export interface NativeRelays {
  /**
   * Starts a relay. `onUpcalls` is given what it tells, packed (native/relay_upcalls.h). Does not keep the process alive.
   * The times are P7.3's, P7.5's and P5.9's; tests have shorter ones.
   */
  openRelay(
    onUpcalls: (upcalls: Buffer) => void,
    oldEpochMs: number,
    holdMs: number,
    partMs: number,
    approvalIdleMs: number,
    sweepMs: number,
  ): number | ErrnoName;
  /** Joins its thread and closes its sockets. Nothing is told any more. */
  closeRelay(relay: number): ErrnoName | undefined;
  /** Upcalls dropped, then for each door (1), channel (2), port (3): which it is, its id, {@link relayCounts}. */
  relayCounters(relay: number): Float64Array;
  /** {@link relayCounts} of a channel; empty when it is not there. */
  relayChannelCounters(relay: number, cid: number): Float64Array;
  relayOpenServiceDoor(relay: number, address: string, number: number): number | ErrnoName;
  relayOpenMemberDoor(relay: number, server: Uint8Array): number | ErrnoName;
  relayCloseDoor(relay: number, door: number): void;
  /** The door's own number; 0 when it is none of the relay's. */
  relayDoorNumber(relay: number, door: number): number;
  /** Suites are numbers as on the wire (P7.1); each key is suite, key, iv: first what seals, then what opens. */
  relayAddChannel(
    relay: number,
    cid: number,
    epoch: number,
    sealSuite: number,
    sealKey: Uint8Array,
    sealIv: Uint8Array,
    openSuite: number,
    openKey: Uint8Array,
    openIv: Uint8Array,
  ): void;
  /** `sealNow`: else once a packet of the epoch has come. */
  relayAddEpoch(
    relay: number,
    cid: number,
    epoch: number,
    sealSuite: number,
    sealKey: Uint8Array,
    sealIv: Uint8Array,
    openSuite: number,
    openKey: Uint8Array,
    openIv: Uint8Array,
    sealNow: boolean,
  ): void;
  /** A door of 0: no path. `bundleBytes` of 0: the other side opens no bundles. */
  relaySetPath(
    relay: number,
    cid: number,
    door: number,
    peer: Uint8Array,
    packetBytes: number,
    bundleBytes: number,
  ): void;
  relayRemoveChannel(relay: number, cid: number): void;
  /** Takes over an fd that the addon owns. `onlyFrom`: peers one after another, whose numbers are lengths of prefixes. */
  relayAddPort(
    relay: number,
    fd: number,
    approve: boolean,
    broadcast: boolean,
    onlyFrom: Uint8Array,
  ): number | ErrnoName;
  relayAddService(
    relay: number,
    service: Uint8Array,
    maxPeers: number,
    idleMs: number,
    peersPerSecond: number,
  ): number | ErrnoName;
  relayRemovePort(relay: number, port: number): void;
  /** Ports of one group share what they may move; 0: no bound. */
  relayLimitPort(relay: number, port: number, group: number, bytesPerSecond: number): void;
  relayApprove(relay: number, port: number, peer: Uint8Array): void;
  relayRefuse(relay: number, port: number, peer: Uint8Array): void;
  relayClearApprovals(relay: number, port: number): void;
  /** A target is kind (native/relay_tables.h), port, cid, route, peer; what a kind has no use for is 0 or empty. */
  relayBindPort(
    relay: number,
    port: number,
    kind: number,
    toPort: number,
    cid: number,
    route: number,
    peer: Uint8Array,
  ): void;
  relayBindPeer(
    relay: number,
    port: number,
    from: Uint8Array,
    kind: number,
    toPort: number,
    cid: number,
    route: number,
    peer: Uint8Array,
    idleMs: number,
  ): void;
  relayBindRoute(
    relay: number,
    cid: number,
    route: number,
    held: boolean,
    kind: number,
    toPort: number,
    toCid: number,
    toRoute: number,
    peer: Uint8Array,
    only: Uint8Array,
  ): void;
  relayUnbindRoute(relay: number, cid: number, route: number): void;
  relaySendControl(
    relay: number,
    cid: number,
    door: number,
    to: Uint8Array,
    kind: number,
    body: Uint8Array,
  ): void;
  relaySendDatagram(relay: number, cid: number, route: number, peer: Uint8Array, bytes: Uint8Array): void;
  /** `from`: a peer whose number counts for nothing. */
  relaySendPlain(relay: number, port: number, peer: Uint8Array, from: Uint8Array, bytes: Uint8Array): void;
}

/** What is counted of each, in this order (native/relay_counters.h). */
export const relayCounts = [
  'packetsIn',
  'bytesIn',
  'packetsOut',
  'bytesOut',
  'overflow',
  'unknown',
  'malformed',
  'forged',
  'replayed',
  'unbound',
  'pathless',
  'oversize',
  'unsent',
  'full',
  'halves',
  'foreign',
  'limited',
] as const;
