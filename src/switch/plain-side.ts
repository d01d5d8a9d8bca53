import type { ChannelRoute, PeerTarget, Relay, RelayPort, RouteTarget } from '../relay/relay.ts';
import type { PortListener, RouteListener } from '../relay/relay-hub.ts';
import type { IpText } from '../wire/ip.ts';
import type { PacketPeer } from '../wire/packet.ts';

/**
 * The end of redirected ports' routes for a terminal in the server's process (P7.6). It has no UDP channel: what comes on
 * a mediator's channel leaves from plain ports of the server's relay at once, and the other way round. The terminal binds
 * `(cid, route)` as it would in a relay of its own, the switch joins that to the mediator's route when it is made.
 */

/** Routes of the terminal's end, by what PORTROUTE calls them. */
interface End {
  to: RouteTarget;
  held: boolean;
  /** The mediator's, once it is made. */
  far: ChannelRoute | undefined;
}

/** What a terminal uses of a relay and its hub. */
export type PlainRelay = Pick<
  Relay,
  | 'addPort'
  | 'addService'
  | 'removePort'
  | 'sendPlain'
  | 'bindPort'
  | 'bindPeer'
  | 'bindRoute'
  | 'unbindRoute'
  | 'sendDatagram'
  | 'report'
>;

const isPlainCid = (cid: number) => cid >>> 24 === 0xff;

/** See the head of this file. */
export class PlainSide {
  /** What stands for a channel's cid in PORTROUTE; above all that channels have (P7.1). */
  readonly cid: number;
  /** The server's relay, as this terminal sees it: routes of {@link cid} are joined to mediators'. */
  readonly relay: PlainRelay;
  /** The link that the terminal is at the other end of, while there is one. */
  link: object | undefined;
  private readonly real: Relay;
  private readonly ends = new Map<number, End>();
  private readonly routes = new Map<number, RouteListener>();
  private readonly ports = new Map<RelayPort, PortListener>();

  constructor(real: Relay, index: number) {
    this.real = real;
    this.cid = (0xff000000 + index) >>> 0;
    this.relay = {
      report: () => real.report(),
      addPort: (fd, options) => real.addPort(fd, options),
      addService: options => real.addService(options),
      removePort: port => this.removePort(port),
      sendPlain: (port, peer, bytes, local) => real.sendPlain(port, peer, bytes, local),
      bindPort: (port, to) => real.bindPort(port, typeof to === 'object' ? this.farOf(to) : to),
      bindPeer: (port, from, to, idleMs) => real.bindPeer(port, from, this.peerTarget(to), idleMs),
      bindRoute: (_cid, route, to, options) => this.bindRoute(route, to, options?.held ?? false),
      unbindRoute: (_cid, route) => this.unbindRoute(route),
      sendDatagram: (_cid, route, peer, bytes) => this.send(route, peer, bytes),
    };
  }

  private farOf({ route }: ChannelRoute): ChannelRoute | 'script' {
    return this.ends.get(route)?.far ?? 'script';
  }

  private peerTarget(to: PeerTarget | 'script' | undefined): PeerTarget | 'script' | undefined {
    if (typeof to !== 'object') return to;
    const far = this.farOf(to);
    return far === 'script' ? far : { ...far, peer: to.peer };
  }

  private bindRoute(route: number, to: RouteTarget, held: boolean): void {
    const far = this.ends.get(route)?.far;
    this.ends.set(route, { to, held, far });
    if (far !== undefined) this.real.bindRoute(far.cid, far.route, to, { held });
  }

  private unbindRoute(route: number): void {
    this.part(route);
    this.ends.delete(route);
  }

  private send(route: number, peer: PacketPeer, bytes: Uint8Array): void {
    const far = this.ends.get(route)?.far;
    if (far !== undefined) this.real.sendDatagram(far.cid, far.route, peer, bytes);
  }

  private removePort(port: RelayPort): void {
    this.ports.delete(port);
    this.real.removePort(port);
  }

  /** Of the switch: that route is the mediator's, from now on. */
  join(route: number, far: ChannelRoute): void {
    const end = this.ends.get(route);
    if (end === undefined) return;
    end.far = far;
    this.real.bindRoute(far.cid, far.route, end.to, { held: end.held });
  }

  /** Of the switch: it is no more. */
  part(route: number): void {
    const end = this.ends.get(route);
    if (end?.far === undefined) return;
    this.real.unbindRoute(end.far.cid, end.far.route);
    end.far = undefined;
  }

  /** As {@link RelayHub.listenToRoute}. */
  listenToRoute(_cid: number, route: number, listener: RouteListener | undefined): void {
    if (listener === undefined) this.routes.delete(route);
    else this.routes.set(route, listener);
  }

  /** As {@link RelayHub.listenToPort}. */
  listenToPort(port: RelayPort, listener: PortListener): void {
    this.ports.set(port, listener);
  }

  /** The relay tells of a mediator's route that leads to script. */
  onDatagram(cid: number, route: number, peer: PacketPeer, bytes: Buffer): void {
    for (const [own, { far }] of this.ends)
      if (far?.cid === cid && far.route === route) this.routes.get(own)?.onDatagram(peer, bytes);
  }

  /** A datagram is too long for the mediator's channel: who bound its port has it (P7.5). */
  onOversize(cid: number, route: number, peer: PacketPeer, bytes: Buffer): void {
    for (const [own, { far }] of this.ends)
      if (far?.cid === cid && far.route === route) this.routes.get(own)?.onOversize(peer, bytes);
  }

  /** The relay tells of a port. */
  onPortDatagram(port: RelayPort, peer: PacketPeer, bytes: Buffer, local: IpText | undefined): void {
    this.ports.get(port)?.onDatagram(peer, bytes, local);
  }

  /** As {@link RelayHandlers.onIdle}. */
  onIdle(port: RelayPort, peer: PacketPeer): void {
    this.ports.get(port)?.onIdle?.(peer);
  }

  /** As {@link RelayHandlers.onUnreachable}. */
  onUnreachable(port: RelayPort, peer: PacketPeer, code: number): void {
    this.ports.get(port)?.onUnreachable(peer, code);
  }
}

/** The plain sides of a server, and what the desk of routes binds: channels' routes with each other, or with these. */
export class PlainSides {
  private readonly relay: Relay;
  private readonly byRemote = new Map<string, PlainSide>();

  constructor(relay: Relay) {
    this.relay = relay;
  }

  /** That of the terminal whose links come from `remote`, a name that no network address has. */
  of(remote: string): PlainSide {
    const known = this.byRemote.get(remote);
    const side = known ?? new PlainSide(this.relay, this.byRemote.size);
    this.byRemote.set(remote, side);
    return side;
  }

  get all(): readonly PlainSide[] {
    return [...this.byRemote.values()];
  }

  private find(cid: number): PlainSide | undefined {
    return isPlainCid(cid) ? this.all.find(side => side.cid === cid) : undefined;
  }

  /** True when `cid` stands for the terminal at the other end of `link`. */
  isOf(cid: number, link: object): boolean {
    return this.find(cid)?.link === link;
  }

  /** A link has come. */
  onLink(link: { readonly remote: string }): void {
    const side = this.byRemote.get(link.remote);
    if (side !== undefined) side.link = link;
  }

  /** As {@link Relay.bindRoute}: one of two that make a route. */
  bindRoute(cid: number, route: number, to: ChannelRoute): void {
    const own = this.find(cid);
    if (own !== undefined) return own.join(route, to);
    // The other one of the two joins it.
    if (!isPlainCid(to.cid)) this.relay.bindRoute(cid, route, to);
  }

  /** As {@link Relay.unbindRoute}. */
  unbindRoute(cid: number, route: number): void {
    const own = this.find(cid);
    if (own !== undefined) own.part(route);
    else this.relay.unbindRoute(cid, route);
  }
}
