import type { Server, Socket } from 'node:net';
import type { SlabReader } from './slab-reader.ts';

/** Numbers that ports have: reserved by the addon (reserved-tcp.ts, reserved-udp.ts), or without it as far as Node can (plain-numbers.ts). */

/** Where to connect to, and how. */
export interface ConnectTarget {
  /** IP literal; IPv6 with optional %zone. */
  readonly host: string;
  readonly port: number;
  /** Reads go there; without it the socket is an ordinary one ('data', 'readable'). */
  readonly slabs?: SlabReader;
  /** Gives up: the promise rejects with `aborted`, the number stays held. */
  readonly signal?: AbortSignal;
}

/** A TCP number, usable once. What may be thrown stands at the one of the addon. */
export interface HeldTcp {
  readonly address: string;
  readonly port: number;
  listen(server: Server, backlog: number): Promise<void>;
  takeBack(server: Server): void;
  connect(target: ConnectTarget): Promise<Socket>;
  /** Gives it up. Idempotent. */
  close(): void;
}

/** A UDP socket that a relay takes over: bound, by its fd, or still to be bound. */
export type UdpSource = number | PlainUdpSource;

/** See {@link UdpSource}. */
export interface PlainUdpSource {
  readonly address: string;
  readonly port: number;
  /** Where groups and broadcasts are met; undefined: nowhere that was chosen. */
  readonly scope: UdpScope | undefined;
}

/** Who takes UDP sockets over: the relay. */
export interface PortTaker<Options> {
  addPort(source: UdpSource, options: Options): number;
}

/** A UDP number until the relay has it. What may be thrown stands at the one of the addon. */
export interface HeldUdp {
  readonly address: string;
  readonly port: number;
  handTo<Options>(relay: PortTaker<Options>, options: Options): number;
  /** Gives it up, unless it was handed over. Idempotent. */
  close(): void;
}

/** Where a UDP number meets groups and broadcasts. Without the addon nothing but the sender's address tells where it came in. */
export interface UdpScope {
  /** The interface by which groups are sent to; for a group's or broadcast's number also the one it is heard on. */
  readonly interface: string;
  /** The address is a group's or a broadcast's: its number may be had by others, too. */
  readonly shared: boolean;
}
