import type { Clock } from '../base/clock.ts';
import { type ErrorCode, errorNumber } from '../base/errors.ts';
import type { DoorId, Relay, RelayHandlers } from '../relay/relay.ts';
import type { Channel } from '../wire/messages/attach.ts';
import { type ChannelCounters, ChannelDesk, type ChannelLink } from './channel-desk.ts';

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

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** There is UDP at the service port's number, which is `door` of `relay`: from now on channels are offered. */
  offer(relay: Relay, door: DoorId): void {
    this.channels = new ChannelDesk({ clock: this.clock, relay, door });
  }

  /** CHANNEL has come. Without UDP whoever asks goes on over TCP (P7.1). */
  onChannel(link: ChannelLink, message: Channel): void {
    if (this.channels !== undefined) return this.channels.onMessage(link, message);
    if (message.step === 'offer') link.sendChannel({ step: 'refuse', reason: errorNumber('unsupported') });
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
