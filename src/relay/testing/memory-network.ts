import type { Clock } from '../../base/clock.ts';
import { EntremiseError } from '../../base/errors.ts';
import type { IpText } from '../../wire/ip.ts';
import type { PacketPeer } from '../../wire/packet.ts';
import type { OnArrival, RelaySocket, RelaySockets } from '../relay-sockets.ts';

/** A network for script relays in memory: it delays, loses and rebinds as a test says, on an injected clock. */

/** A packet on its way. */
export interface MemoryPacket {
  readonly bytes: Buffer;
  /** As the receiver sees it. */
  readonly from: PacketPeer;
  readonly to: PacketPeer;
  readonly atMs: number;
}

/** What a network is like; a test may change it at any time. */
export interface MemoryNetworkOptions {
  readonly clock: Clock;
  readonly delayMs?: number;
}

interface MemorySocket {
  readonly host: MemoryHost;
  readonly own: PacketPeer;
  readonly onArrival: OnArrival;
}

const isSame = (one: PacketPeer, other: PacketPeer) =>
  one.address === other.address && one.number === other.number;

/** See the head of this file. */
export class MemoryNetwork {
  readonly clock: Clock;
  /** Relays seek the size of paths: what is too long is lost by {@link loses}. */
  setsDf = false;
  /** Everything that was sent, lost or not. */
  readonly sent: MemoryPacket[] = [];
  delayMs: number;
  /** Packets for which this holds are lost. */
  loses: (packet: MemoryPacket) => boolean = () => false;
  private readonly sockets = new Set<MemorySocket>();

  constructor({ clock, delayMs = 10 }: MemoryNetworkOptions) {
    this.clock = clock;
    this.delayMs = delayMs;
  }

  /** A machine with that address. */
  host(address: IpText): MemoryHost {
    return new MemoryHost(this, address);
  }

  /** Of {@link MemoryHost}. */
  add(socket: MemorySocket): () => void {
    this.sockets.add(socket);
    return () => void this.sockets.delete(socket);
  }

  /** Puts a packet on its way, from whoever the test says. */
  carry(bytes: Uint8Array, from: PacketPeer, to: PacketPeer): void {
    const packet = { bytes: Buffer.from(bytes), from, to, atMs: this.clock.now() };
    this.sent.push(packet);
    if (this.loses(packet)) return;
    this.clock.after(this.delayMs, () => this.deliver(packet));
  }

  /** Packets arrive at whoever is seen there by then: a NAT that has rebound lets none of the old ones in. */
  private deliver({ bytes, from, to }: MemoryPacket): void {
    for (const { host, own, onArrival } of [...this.sockets])
      if (isSame(host.seenAs(own), to)) onArrival(bytes, from);
  }
}

/** One machine of a {@link MemoryNetwork}: the sockets of its relay. */
export class MemoryHost implements RelaySockets {
  /** As what its sockets are seen from outside: a NAT. */
  seenAs: (own: PacketPeer) => PacketPeer = own => own;
  /** Numbers go up from here, one a socket. */
  nextNumber = 40_000;
  private readonly network: MemoryNetwork;
  private readonly address: IpText;

  constructor(network: MemoryNetwork, address: IpText) {
    this.network = network;
    this.address = address;
  }

  async serviceDoor(address: IpText, number: number, onArrival: OnArrival): Promise<RelaySocket> {
    return this.socket({ address, number }, onArrival);
  }

  memberDoor(server: PacketPeer, onArrival: OnArrival): RelaySocket {
    const own = { address: this.address, number: this.nextNumber++ };
    return this.socket(own, (bytes, from) => {
      if (isSame(from, server)) onArrival(bytes, from);
    });
  }

  /** `fd` is the number. */
  port(fd: number, _options: unknown, onArrival: OnArrival): RelaySocket {
    if (fd <= 0) throw new EntremiseError('internal');
    return this.socket({ address: this.address, number: fd }, onArrival);
  }

  get setsDf(): boolean {
    return this.network.setsDf;
  }

  private socket(own: PacketPeer, onArrival: OnArrival): RelaySocket {
    const remove = this.network.add({ host: this, own, onArrival });
    return {
      send: (bytes, to) => this.network.carry(bytes, this.seenAs(own), to),
      number: () => own.number,
      close: remove,
    };
  }
}

/** The other side's relay is told nothing. */
export const deafRelayHandlers = {
  onControl: () => {},
  onElsewhere: () => {},
  onDatagram: () => {},
  onPortDatagram: () => {},
  onUnapproved: () => {},
  onOversize: () => {},
  onUnreachable: () => {},
  onSpent: () => {},
  onIdle: () => {},
};
