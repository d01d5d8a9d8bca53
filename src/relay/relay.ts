import type { UdpSource } from '../native/held-number.ts';
import type { IpText } from '../wire/ip.ts';
import type { ControlBody, PacketPeer } from '../wire/packet.ts';
import type { PacketKey } from '../wire/packet-key.ts';

/**
 * What carries datagrams between plain UDP ports and UDP channels (P7), and seals and opens the channels' packets. Two of
 * them pass one suite (compliance.ts): the addon's, a thread of its own that nothing of JavaScript stands in the way of,
 * and one over node:dgram for where there is no addon.
 *
 * One relay belongs to one server: a member's relay has doors towards one server, a server's has one door.
 * What is asked for an id that is not (any more) known is ignored: everything may cross the end of something.
 */

/** A UDP socket that carries packets of channels. */
export type DoorId = number;

/** A plain UDP socket: a redirected port, a forward's local socket, a published one. Not the id of a port on the wire. */
export type RelayPort = number;

/** Keys of a channel: those it begins with, or the next ones. The suite stands in them, and is one. */
export interface EpochKeys {
  /** Of 0 to 255. */
  readonly epoch: number;
  readonly sealKey: PacketKey;
  readonly openKey: PacketKey;
}

/** From when on packets are sealed with a new epoch's key: at once, or when the other side has shown that it has it, too. */
export type SealFrom = 'now' | 'heard';

/** Where a channel's datagrams go. */
export interface ChannelPath {
  readonly door: DoorId;
  readonly peer: PacketPeer;
  /** The greatest packet as a whole, header and tag included; up to twice that goes in two PARTs (P7.5). */
  readonly packetBytes: number;
  /** The greatest packet that several datagrams may share (P7.2); absent: the other side opens none. */
  readonly bundleBytes?: number | undefined;
}

/** One direction of a route of a channel: what stands in the packets is `route`. */
export interface ChannelRoute {
  readonly cid: number;
  readonly route: number;
}

/** Where datagrams that come to a plain port go. `script`: to {@link RelayHandlers.onPortDatagram}. */
export type PortTarget = 'script' | 'drop' | ChannelRoute;

/** Where datagrams of one peer of a plain port go: to a route, said to be for `peer` instead of from who sent them. */
export interface PeerTarget extends ChannelRoute {
  readonly peer: PacketPeer;
}

/** Where datagrams that come on a route go. */
export type RouteTarget =
  /** To {@link RelayHandlers.onDatagram}. */
  | 'script'
  | 'drop'
  | PlainTarget
  /** To another route, swapped like a label. */
  | ChannelRoute;

/** Out of a plain port, to the peer in the packet, or to `peer`. With `only` the datagrams of others are dropped. */
export interface PlainTarget {
  readonly port: RelayPort;
  readonly peer?: PacketPeer;
  readonly only?: PacketPeer;
}

/** A plain UDP service, and how many peers of ours it may see (P7.6). */
export interface ServiceOptions {
  readonly service: PacketPeer;
  /** Sockets at once; what needs one more is dropped and counted. */
  readonly maxPeers: number;
  /** A peer that is silent both ways that long is forgotten; at least 120,000 (P7.6). In milliseconds. */
  readonly idleMs: number;
  /** New peers a second. */
  readonly peersPerSecond: number;
}

/** Packets or datagrams with their bytes, since the beginning. */
export interface RelayFlow {
  readonly packetsIn: number;
  readonly bytesIn: number;
  readonly packetsOut: number;
  readonly bytesOut: number;
}

/** What was dropped, by why. */
export interface RelayDrops {
  /** The kernel's receive queue was full (SO_RXQ_OVFL). */
  readonly overflow: number;
  /** No packet of this version, or of no channel here, or of an epoch without a key. */
  readonly unknown: number;
  /** The tag was good and what it sealed is laid out like no body of its kind. */
  readonly malformed: number;
  readonly forged: number;
  readonly replayed: number;
  /** Bound to nothing, or to `drop`, or for a peer that was refused. */
  readonly unbound: number;
  /** The channel has no path, or its key has sealed all that it may. */
  readonly pathless: number;
  /** Longer than two packets, or than the path takes. */
  readonly oversize: number;
  /** The kernel did not take it. */
  readonly unsent: number;
  /** A queue, a hold, a table, or what waits for an approval was full. */
  readonly full: number;
  /** Half a datagram whose other half did not come. */
  readonly halves: number;
  /** From outside the networks that the port hears. */
  readonly foreign: number;
  /** More than the port's grant may move in a second. */
  readonly limited: number;
}

/** Of a channel, a port, a door. A channel's flow is its packets, a port's its datagrams. */
export interface RelayCounters extends RelayFlow, RelayDrops {}

/** Everything that is counted, as it is now. */
export interface RelayReport {
  readonly doors: ReadonlyMap<DoorId, RelayCounters>;
  /** By cid. */
  readonly channels: ReadonlyMap<number, RelayCounters>;
  readonly ports: ReadonlyMap<RelayPort, RelayCounters>;
  /** Upcalls that were dropped because JavaScript did not keep up. */
  readonly upcallsDropped: number;
}

/** What a relay tells. Byte strings are the receiver's to keep. None is called before the call that led to it has returned. */
export interface RelayHandlers {
  /** A packet of a channel that is no datagram, opened. */
  onControl(cid: number, door: DoorId, from: PacketPeer, body: ControlBody): void;
  /** Datagrams come on a channel from elsewhere than its path: told a few times a second at most. */
  onElsewhere(cid: number, door: DoorId, from: PacketPeer): void;
  /** A datagram on a route that is bound to `script`. */
  onDatagram(cid: number, route: number, peer: PacketPeer, bytes: Buffer): void;
  /** A datagram at a plain port that is bound to `script`. `local`: the address it came to. */
  onPortDatagram(port: RelayPort, peer: PacketPeer, bytes: Buffer, local: IpText | undefined): void;
  /**
   * A datagram has come on a route for a peer that has not been approved on that port (P5.9). It waits, and those for that peer
   * behind it, until {@link Relay.approve} or {@link Relay.refuse} is the answer; told once until then.
   */
  onUnapproved(port: RelayPort, peer: PacketPeer): void;
  /** A datagram that two packets do not hold (P7.5): the TCP channel takes it. */
  onOversize(cid: number, route: number, peer: PacketPeer, bytes: Buffer): void;
  /** ICMP: that peer cannot be reached from that port. `code`: ICMP's, of "destination unreachable". */
  onUnreachable(port: RelayPort, peer: PacketPeer, code: number): void;
  /** The channel's key has sealed all that it may (P7.3). Once. */
  onSpent(cid: number): void;
  /** The peer's binding is no more: it was silent both ways for its time ({@link Relay.bindPeer}). */
  onIdle(port: RelayPort, peer: PacketPeer): void;
}

/** See the head of this file. */
export interface Relay {
  /** Packets leave with DF set, so that what is longer than the path takes does not arrive: its size can be found (P7.5). */
  readonly setsDf: boolean;

  /**
   * Opens the server's door at an address (wildcards allowed) and a number.
   * @throws EntremiseError `port-in-use`, `address-not-available`, `not-permitted`, by the promise
   */
  openServiceDoor(address: IpText, number: number): Promise<DoorId>;
  /**
   * Opens a door, at a number of its own, from which packets go to `server` and come from there alone.
   * @throws EntremiseError `limit` when there are no more sockets
   */
  openMemberDoor(server: PacketPeer): DoorId;
  /** The number that the door's packets leave from; undefined while that is not known. */
  doorNumber(door: DoorId): number | undefined;
  /** Closes a door; its number is free for others. Paths through it end. */
  closeDoor(door: DoorId): void;

  /** A channel without a path: control bodies can be exchanged. A cid that is there already is replaced. */
  addChannel(cid: number, keys: EpochKeys): void;
  /**
   * The next epoch is received from now on; the one in use still is, with its own window, until 10 s after the first
   * packet of the next one (P7.3). Packets are sealed with it, counted from 0, from then on that `sealFrom` says. An epoch
   * that the channel has is passed over: no key is installed twice. One of which nothing has come gives way to the next.
   */
  addEpoch(cid: number, keys: EpochKeys, sealFrom: SealFrom): void;
  /** Where datagrams go from now on; without a path they are dropped and counted. */
  setPath(cid: number, path: ChannelPath | undefined): void;
  /** Ends a channel and its routes. What was bound to it is bound to `script`. */
  removeChannel(cid: number): void;
  /** Seals a body with the channel's next counter and sends it. `to` is the server for a member's door. */
  sendControl(cid: number, door: DoorId, to: PacketPeer, body: ControlBody): void;

  /**
   * Takes a bound UDP socket over that the addon owns: fd and number are the relay's. Bound to `script`. The relay in
   * JavaScript also takes an address and a number, which it binds.
   * @throws EntremiseError `internal` when the fd is none; `port-in-use`, `not-permitted`, `address-not-available`
   */
  addPort(source: UdpSource, options: PortOptions): RelayPort;
  /**
   * A port towards one plain service, with a socket for each peer that is sent to from it: what the service answers on
   * that socket comes from that peer (P7.6). Bound to `script`; peers have no bindings of their own. See {@link ServiceOptions}.
   */
  addService(options: ServiceOptions): RelayPort;
  /** Closes the port's socket, or all of a service's; its number is free for others. */
  removePort(port: RelayPort): void;
  /**
   * Bounds what the port moves, both ways together; undefined: nothing does. Ports of one group share one bound, the last
   * that was said. A fifth of a second's worth goes at once; what is beyond is dropped and counted.
   */
  limitPort(port: RelayPort, limit: PortLimit | undefined): void;
  /**
   * That peer may be sent to, until it is idle for 5 min or 1,024 newer ones have come (P5.9). What waits for that leaves, in
   * the order in which it came and before what comes later.
   */
  approve(port: RelayPort, peer: PacketPeer): void;
  /** What waits for that peer's approval is dropped. The next datagram for it is asked about again. */
  refuse(port: RelayPort, peer: PacketPeer): void;
  /** Nobody is approved any more. Holds from the moment that it returns. */
  clearApprovals(port: RelayPort): void;
  /** Sends a datagram out of a plain port, approved or not. `local`: from which of its addresses, on a wildcard. */
  sendPlain(port: RelayPort, peer: PacketPeer, bytes: Uint8Array, local?: IpText): void;

  /** Where what comes to the port goes, unless its sender has a binding of its own. */
  bindPort(port: RelayPort, to: PortTarget): void;
  /**
   * Where what comes to the port from one peer goes; undefined: as the port's. With `idleMs` the binding ends, and
   * {@link RelayHandlers.onIdle} says so, once the peer has been silent both ways for so long; it is looked after every
   * 5 s. `script` needs `idleMs`.
   */
  bindPeer(port: RelayPort, from: PacketPeer, to: PeerTarget | 'script' | undefined, idleMs?: number): void;
  /**
   * Where what comes on a route goes. With `held` it is kept, in order, until the route is bound again without it, or 100 ms
   * have passed since the first that was kept, or 256 are kept: then all of them go to `to`, and nothing is held any more.
   */
  bindRoute(cid: number, route: number, to: RouteTarget, options?: { readonly held: boolean }): void;
  /** What comes on the route is dropped and counted. */
  unbindRoute(cid: number, route: number): void;
  /** Sends a datagram on a route. */
  sendDatagram(cid: number, route: number, peer: PacketPeer, bytes: Uint8Array): void;

  /** All counters, without stopping anything. */
  report(): RelayReport;
  /** Counters of one channel; undefined when it is not there. Cheap: for who asks often. */
  channelCounters(cid: number): RelayCounters | undefined;
  /** Closes every socket. When it has returned nothing more is told. Idempotent. */
  close(): void;
}

/** See {@link Relay.addPort}. */
export interface PortOptions {
  /** Of the socket. */
  readonly family: 4 | 6;
  /** Only approved peers are sent to from routes (P5.9). */
  readonly approve: boolean;
  /** Broadcast addresses may be sent to. */
  readonly broadcast?: boolean;
  /** Datagrams from elsewhere are dropped and counted; absent: from anywhere. */
  readonly onlyFrom?: readonly PeerNetwork[];
}

/** See {@link Relay.limitPort}. */
export interface PortLimit {
  readonly group: number;
  readonly bytesPerSecond: number;
}

/** The addresses that share their first `prefixLength` bits with `address`. */
export interface PeerNetwork {
  readonly address: IpText;
  readonly prefixLength: number;
}

/** Makes a relay that tells `handlers`. */
export type OpenRelay = (handlers: RelayHandlers) => Relay;
