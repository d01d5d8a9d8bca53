import type { Clock } from '../base/clock.ts';
import { type ErrorCode, errorNumber } from '../base/errors.ts';
import type { DoorId, Relay, RelayHandlers } from '../relay/relay.ts';
import { type Channel, type Portroute, portroute } from '../wire/messages/attach.ts';
import { frameType } from '../wire/spec.ts';
import { type ChannelCounters, ChannelDesk, type ChannelLink } from './channel-desk.ts';
import type { LabelEnd } from './label-table.ts';
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
    // Nothing leads to JavaScript here, and ports come with P7.6.
    onDatagram: () => {},
    onPortDatagram: () => {},
    onUnapproved: () => {},
    onOversize: () => {},
    onUnreachable: () => {},
    // The channel falls silent, and its member offers anew (P7.3).
    onSpent: () => {},
  };
  private readonly clock: Clock;
  private channels: ChannelDesk | undefined;
  private portRoutes: PortRouteDesk | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** There is UDP at the service port's number, which is `door` of `relay`: from now on channels are offered. */
  offer(relay: Relay, door: DoorId): void {
    const onEnded = (cid: number) => this.portRoutes?.onChannelEnded(cid);
    const channels = new ChannelDesk({ clock: this.clock, relay, door, onEnded });
    this.channels = channels;
    this.portRoutes = new PortRouteDesk({ relay, isUpOf: (cid, link) => channels.isUpOf(cid, link) });
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

  /** An attachment has ended, and what it redirected with it. */
  onRouteEnded(route: Route): void {
    this.portRoutes?.onRouteEnded(route);
  }

  /** A member's link has come. */
  onLink(link: ChannelLink): void {
    this.channels?.onLink(link);
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
