import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import type { Log } from '../base/log.ts';
import { canonicalIp } from '../wire/ip.ts';
import type { PacketPeer } from '../wire/packet.ts';

/** UDP at the service port's number (P7.1): packets in, packets out, and no opinion of them. */

/** A UDP socket at the service port's number. */
export interface UdpDoor {
  /** Sends a packet; what the kernel does not take is lost, as on the way. */
  send(packet: Buffer, to: PacketPeer): void;
  close(): void;
}

/** Where to listen, and who is told of packets. */
export interface UdpDoorOptions {
  readonly host: string;
  readonly number: number;
  readonly log: Log;
  onPacket(packet: Buffer, from: PacketPeer): void;
}

/** A peer's address as the product spells it; IPv4 without its IPv6 mapping. */
function peerOf({ address, port }: RemoteInfo): PacketPeer | undefined {
  const plain = canonicalIp(address.replace(/^::ffff:(?=\d+\.)/i, ''));
  return plain === undefined ? undefined : { address: plain, number: port };
}

function bound(socket: Socket, host: string, number: number): Promise<boolean> {
  return new Promise(resolve => {
    socket.once('error', () => resolve(false));
    socket.bind({ address: host, port: number, exclusive: true }, () => resolve(true));
  });
}

/** Opens the door, or gives undefined where that number cannot be had: members then go on over TCP. */
export async function openUdpDoor(options: UdpDoorOptions): Promise<UdpDoor | undefined> {
  const { host, number, log, onPacket } = options;
  const isIpv6 = host.includes(':');
  const socket = createSocket(isIpv6 ? 'udp6' : 'udp4');
  if (!(await bound(socket, host, number))) {
    log.warn({ number }, 'that UDP number is taken: no UDP channels are offered');
    socket.close();
    return undefined;
  }
  socket.removeAllListeners('error').on('error', thrown => log.warn({ err: thrown }, 'UDP socket'));
  socket.on('message', (packet, remote) => {
    const from = peerOf(remote);
    if (from !== undefined) onPacket(packet, from);
  });
  return {
    send({ buffer, byteOffset, byteLength }, { address, number: to }) {
      const mapped = isIpv6 && !address.includes(':') ? `::ffff:${address}` : address;
      // Told to a callback, a failure is no 'error' event.
      socket.send(new Uint8Array(buffer, byteOffset, byteLength), to, mapped, () => {});
    },
    close: () => socket.close(),
  };
}
