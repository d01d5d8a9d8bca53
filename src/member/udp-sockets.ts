import { createSocket, type Socket } from 'node:dgram';
import type { PacketPeer } from '../wire/packet.ts';

/** A member's UDP sockets towards one server, a place (address and number of its own) each, made when first needed. */
export class UdpSockets {
  private readonly server: PacketPeer;
  private readonly onPacket: (place: number, packet: Buffer) => void;
  private readonly sockets = new Map<number, Socket>();

  constructor(server: PacketPeer, onPacket: (place: number, packet: Buffer) => void) {
    this.server = server;
    this.onPacket = onPacket;
  }

  /** Sends a packet from a place. What the network refuses is lost, as on the way. */
  send(place: number, packet: Buffer): void {
    const socket = this.sockets.get(place) ?? this.open(place);
    const { buffer, byteOffset, byteLength } = packet;
    socket.send(
      new Uint8Array(buffer, byteOffset, byteLength),
      this.server.number,
      this.server.address,
      () => {},
    );
  }

  /** Closes a place; its number is free for others. */
  close(place: number): void {
    this.sockets.get(place)?.close();
    this.sockets.delete(place);
  }

  /** Closes every place. */
  closeAll(): void {
    for (const place of [...this.sockets.keys()]) this.close(place);
  }

  private open(place: number): Socket {
    const { address, number } = this.server;
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    socket.on('error', () => {});
    socket.on('message', (packet, from) => {
      if (from.address === address && from.port === number) this.onPacket(place, packet);
    });
    socket.unref();
    this.sockets.set(place, socket);
    return socket;
  }
}
