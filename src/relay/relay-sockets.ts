import type { UdpSource } from '../native/held-number.ts';
import type { IpText } from '../wire/ip.ts';
import type { PacketPeer } from '../wire/packet.ts';
import type { PortOptions } from './relay.ts';

/** What a script relay needs of the network: real sockets (dgram-sockets.ts), or a test's own. */

/** A packet or datagram has come. */
export type OnArrival = (bytes: Buffer, from: PacketPeer) => void;

/** A UDP socket. */
export interface RelaySocket {
  /** Sends; what this machine will not take goes to `failed`, what the network loses goes nowhere. */
  send(bytes: Uint8Array, to: PacketPeer, failed: () => void): void;
  /** Its own number, once it has one. */
  number?(): number | undefined;
  close(): void;
}

/** See the head of this file. */
export interface RelaySockets {
  /** Doors send with DF: see {@link Relay.setsDf}. */
  readonly setsDf: boolean;
  /** @throws EntremiseError as {@link Relay.openServiceDoor} */
  serviceDoor(address: IpText, number: number, onArrival: OnArrival): Promise<RelaySocket>;
  memberDoor(server: PacketPeer, onArrival: OnArrival): RelaySocket;
  /** @throws EntremiseError as {@link Relay.addPort} */
  port(source: UdpSource, options: PortOptions, onArrival: OnArrival): RelaySocket;
}
