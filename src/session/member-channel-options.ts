import type { Clock } from '../base/clock.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { Channel } from '../wire/messages/attach.ts';
import type { PacketPeer } from '../wire/packet.ts';
import type { PacketSuite } from '../wire/packet-key.ts';
import type { ChannelPackets } from './channel-packets.ts';

/** Packets in both directions that pass under one epoch's keys, until the next are asked for (P7.3). */
export const defaultRekeyPackets = 2 ** 28;

/** Why a channel is down. */
export type ChannelEnd = 'refused' | 'blocked' | 'lost';

/** What a channel needs and tells. */
export interface MemberChannelOptions {
  readonly clock: Clock;
  /** Between 0 and 1. */
  random(): number;
  /** 32 bytes of the session of the link of now (P7.3). */
  secret(): Buffer;
  /** Bytes that have come on the link so far; undefined when there is none. Asks the other side to say something. */
  askLink(): number | undefined;
  /** Sends CHANNEL over the link. */
  say(message: Channel): void;
  /** Seals, opens and carries its packets. */
  readonly packets: ChannelPackets;
  /** How long the member may be silent on the channel now. */
  keepaliveMs(): number;
  /** Instead of {@link defaultRekeyPackets}. */
  readonly rekeyPackets?: number;
  /** Best first (P7.1). */
  readonly suites: readonly PacketSuite[];
  /** Where packets go. */
  readonly server: PacketPeer;
  onUp(observed: PacketPeer): void;
  /** `packetBytes` of MemberChannel has changed. */
  onSize(): void;
  onEcho(place: number, id: number): void;
  /** As what the server sees a spare place. */
  onSeen(place: number, as: PacketPeer): void;
  /** The server sees the channel come from elsewhere than before. */
  onRebound(from: PacketPeer, to: PacketPeer): void;
  /** The keys of that epoch are in use from now on. */
  onRekeyed?(epoch: number): void;
  /** Once, unless its `stop` was called. */
  onDown(why: ChannelEnd, code: ErrorCode | undefined): void;
}
