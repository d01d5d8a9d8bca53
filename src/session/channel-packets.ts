import type { ControlBody } from '../wire/packet.ts';
import type { PacketKey } from '../wire/packet-key.ts';

/** What the machine of a channel needs of whoever seals and carries its packets: the relay, which owns every counter. */

/** The keys of an epoch, for this side. */
export interface EpochKeys {
  readonly epoch: number;
  readonly sealKey: PacketKey;
  readonly openKey: PacketKey;
}

/** See the head of this file. */
export interface ChannelPackets {
  /** Packets leave whole: what is too long for the path does not arrive (P7.5). */
  readonly setsDf: boolean;
  /** Its packets can be exchanged from now on. */
  add(cid: number, keys: EpochKeys): void;
  /** The next keys: packets are sealed with them from now on, and opened with those of before for a while (P7.3). */
  addEpoch(cid: number, keys: EpochKeys): void;
  /** Nothing of it is carried any more. */
  remove(cid: number): void;
  /** Seals a body and sends it to the service port from a place. */
  send(cid: number, place: number, body: ControlBody): void;
  /** Packets that have come on it so far. */
  received(cid: number): number;
}
