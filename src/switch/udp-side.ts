import type { Clock } from '../base/clock.ts';
import { type ErrorCode, errorNumber } from '../base/errors.ts';
import type { DoorId, Relay, RelayHandlers } from '../relay/relay.ts';
import { type Channel, type Portroute, portroute } from '../wire/messages/attach.ts';
import { frameType } from '../wire/spec.ts';
import { type ChannelCounters, ChannelDesk, type ChannelLink } from './channel-desk.ts';
import type { LabelEnd } from './label-table.ts';
import { type PlainSide, PlainSides } from './plain-side.ts';
import { PortRouteDesk } from './port-routes.ts';
import { type Route, RouteEnd } from './route.ts';

/** A member's link, as far as PORTROUTE is answered on it. */
export interface PortrouteLink {
  send(type: number, body: Uint8Array): void;
}

/** The switch's UDP side (P7): none until there is UDP at the service port's number. */
export class UdpSide {
  /** What the relay that {@link UdpSide.offer} gets must have been made with. */
  readonly relayHandlers: RelayHandlers = {
    onControl: (cid, _door, from, body) => this.channels?.onControl(cid, from, body),
    onElsewhere: (cid, _door, from) => this.channels?.onElsewhere(cid, from),
    // Between channels nothing leads to JavaScript; what does is of terminals in this process (P7.6).
    onDatagram: (cid, route, peer, bytes) => this.tellPlain(side => side.onDatagram(cid, route, peer, bytes)),
    onPortDatagram: (port, peer, bytes, local) =>
      this.tellPlain(side => side.onPortDatagram(port, peer, bytes, local)),
    onUnapproved: () => {},
    onOversize: (cid, route, peer, bytes) => {
      if (this.portRoutes?.onOversize(cid, route, peer, bytes) === true) return;
      this.tellPlain(side => side.onOversize(cid, route, peer, bytes));
    },
    onUnreachable: (port, peer, code) => this.tellPlain(side => side.onUnreachable(port, peer, code)),
    onIdle: (port, peer) => this.tellPlain(side => side.onIdle(port, peer)),
    // The channel falls silent, and its member offers anew (P7.3).
    onSpent: () => {},
  };
  private readonly clock: Clock;
  private channels: ChannelDesk | undefined;
  private portRoutes: PortRouteDesk | undefined;
  private plainSides: PlainSides | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** There is UDP at the service port's number, which is `door` of `relay`: from now on channels are offered. */
  offer(relay: Relay, door: DoorId): void {
    const onEnded = (cid: number) => this.portRoutes?.onChannelEnded(cid);
    const channels = new ChannelDesk({ clock: this.clock, relay, door, onEnded });
    this.channels = channels;
    const plainSides = new PlainSides(relay);
    this.plainSides = plainSides;
    this.portRoutes = new PortRouteDesk({
      clock: this.clock,
      relay: plainSides,
      isUpOf: (cid, link) => channels.isUpOf(cid, link) || plainSides.isOf(cid, link),
    });
  }

  /**
   * The UDP side of a terminal in this process, whose links come from `remote` (P7.6), which must be no address; undefined
   * where there is no UDP.
   */
  plainSide(remote: string): PlainSide | undefined {
    return this.plainSides?.of(remote);
  }

  private tellPlain(tell: (side: PlainSide) => void): void {
    for (const side of this.plainSides?.all ?? []) tell(side);
  }

  /** CHANNEL has come. Without UDP whoever asks goes on over TCP (P7.1). */
  onChannel(link: ChannelLink, message: Channel): void {
    if (this.channels !== undefined) return this.channels.onMessage(link, message);
    if (message.step === 'offer') link.sendChannel({ step: 'refuse', reason: errorNumber('unsupported') });
  }

  /** PORTROUTE has come, about what `end` is of. */
  onPortroute(link: PortrouteLink, end: LabelEnd | undefined, message: Portroute): void {
    if (this.portRoutes !== undefined && end instanceof RouteEnd)
      return this.portRoutes.onMessage(end, message);
    if (message.step !== 'make' || this.portRoutes !== undefined) return;
    const { label, port } = message;
    const reason = errorNumber('unsupported');
    link.send(frameType.portroute, portroute.toBytes({ label, port, step: 'refuse', reason }));
  }

  /** A label of an attachment is no more, for that reason. */
  onRouteEnded(route: Route, code: ErrorCode): void {
    this.portRoutes?.onRouteEnded(route, code);
  }

  /** An attachment has a label: its first, or another one. */
  onRouteLive(route: Route): void {
    this.portRoutes?.onRouteLive(route);
  }

  /** Documents have changed. */
  revalidate(): void {
    this.portRoutes?.revalidate();
  }

  /** A member's link has come. */
  onLink(link: ChannelLink & { readonly remote: string }): void {
    this.channels?.onLink(link);
    this.plainSides?.onLink(link);
  }

  /** A member's link is over. */
  onLinkEnded(link: ChannelLink, code: ErrorCode): void {
    this.channels?.onLinkEnded(link, code);
  }

  /** What goes on; undefined where there is no UDP. */
  get counters(): ChannelCounters | undefined {
    return this.channels?.counters;
  }

  /** Ends everything. */
  close(): void {
    this.channels?.close();
  }
}
