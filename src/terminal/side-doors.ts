import dgram, { type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Endpoint } from './forward-tcp.ts';

/** Of one client; the oldest goes when another is needed. */
export const maxSideDoors = 16;

/** Whose side doors they are. */
export interface SideDoorsOptions {
  readonly client: Endpoint;
  /** The local address at which the client is served. */
  readonly at: string;
  /** The client has answered to `number` of the target. */
  onAnswer(bytes: Buffer, number: number): void;
}

/**
 * Local sockets that stand for further numbers of a target: a service may answer from another one than it was asked at and
 * go on there, as TFTP does (RFC 1350 section 4). Each has the client as its only peer.
 */
export class SideDoors {
  private readonly options: SideDoorsOptions;
  private readonly doors = new Map<number, Socket>();

  constructor(options: SideDoorsOptions) {
    this.options = options;
  }

  /** Gives the client what came from `number` of the target. */
  deliver(bytes: Buffer, number: number): void {
    const { client } = this.options;
    const door = this.doors.get(number) ?? this.open(number);
    door.send(bytes, client.port, client.host);
  }

  private open(number: number): Socket {
    const { at, client, onAnswer } = this.options;
    const [oldest] = this.doors.keys();
    if (oldest !== undefined && this.doors.size >= maxSideDoors) this.shut(oldest);
    const door = dgram.createSocket(isIPv6(at) ? 'udp6' : 'udp4');
    // ICMP errors of a client that is gone.
    door.on('error', () => {});
    door.on('message', (bytes, { address, port }) => {
      if (address === client.host && port === client.port) onAnswer(bytes, number);
    });
    door.bind(0, at);
    this.doors.set(number, door);
    return door;
  }

  private shut(number: number): void {
    this.doors.get(number)?.close();
    this.doors.delete(number);
  }

  /** Closes all. */
  close(): void {
    for (const number of [...this.doors.keys()]) this.shut(number);
  }
}
