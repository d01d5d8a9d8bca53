import type { IpText } from '../wire/ip.ts';
import type { ControlBody, PacketPeer } from '../wire/packet.ts';
import type { DoorId, OpenRelay, Relay, RelayHandlers, RelayPort } from './relay.ts';

/** One relay and those who are told what happens on their part of it. What comes for nobody is dropped. */

/** Who is told of a channel. */
export interface ChannelListener {
  onControl(door: DoorId, from: PacketPeer, body: ControlBody): void;
  onSpent(): void;
}

/** Who is told of a route. */
export interface RouteListener {
  /** It leads to script, and a datagram has come on it. */
  onDatagram(peer: PacketPeer, bytes: Buffer): void;
  /** A datagram is too long for its channel (P7.5). */
  onOversize(peer: PacketPeer, bytes: Buffer): void;
}

/** Who is told of a plain port. */
export interface PortListener {
  /** It leads to script, and a datagram has come to it. */
  onDatagram(peer: PacketPeer, bytes: Buffer, local: IpText | undefined): void;
  /** See {@link RelayHandlers.onUnapproved}. */
  onUnapproved(peer: PacketPeer): void;
  onUnreachable(peer: PacketPeer, code: number): void;
  /** See {@link RelayHandlers.onIdle}. */
  onIdle?(peer: PacketPeer): void;
}

const routeKey = (cid: number, route: number) => `${cid}|${route}`;

/** See the head of this file. */
export class RelayHub {
  private readonly open: OpenRelay;
  private opened: Relay | undefined;
  private readonly channels = new Map<number, ChannelListener>();
  private readonly routes = new Map<string, RouteListener>();
  private readonly ports = new Map<RelayPort, PortListener>();

  constructor(open: OpenRelay) {
    this.open = open;
  }

  /** The relay, opened when first asked for. */
  get relay(): Relay {
    this.opened ??= this.openRelay();
    return this.opened;
  }

  private openRelay(): Relay {
    const handlers: RelayHandlers = {
      onControl: (cid, door, from, body) => this.channels.get(cid)?.onControl(door, from, body),
      // Members' doors hear their server alone.
      onElsewhere: () => {},
      onSpent: cid => this.channels.get(cid)?.onSpent(),
      onDatagram: (cid, route, peer, bytes) => this.routes.get(routeKey(cid, route))?.onDatagram(peer, bytes),
      onOversize: (cid, route, peer, bytes) => this.routes.get(routeKey(cid, route))?.onOversize(peer, bytes),
      onPortDatagram: (port, peer, bytes, local) => this.ports.get(port)?.onDatagram(peer, bytes, local),
      onUnapproved: (port, peer) => this.ports.get(port)?.onUnapproved(peer),
      onUnreachable: (port, peer, code) => this.ports.get(port)?.onUnreachable(peer, code),
      onIdle: (port, peer) => this.ports.get(port)?.onIdle?.(peer),
    };
    return this.open(handlers);
  }

  /** Ends the relay, if there is one. */
  close(): void {
    this.opened?.close();
  }

  /** Tells `listener` of a channel; undefined: nobody any more. */
  listenToChannel(cid: number, listener: ChannelListener | undefined): void {
    set(this.channels, cid, listener);
  }

  /** As {@link listenToChannel}, of a route. */
  listenToRoute(cid: number, route: number, listener: RouteListener | undefined): void {
    set(this.routes, routeKey(cid, route), listener);
  }

  /** As {@link listenToChannel}, of a plain port. */
  listenToPort(port: RelayPort, listener: PortListener | undefined): void {
    set(this.ports, port, listener);
  }
}

function set<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}
