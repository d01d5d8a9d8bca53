/**
 * The seam between a link and whatever carries its bytes. A transport knows bytes, not frames (architecture: layers).
 * Every implementation passes the suite in compliance.ts, which is the definition of the manners below.
 */

/** What the user of a transport is told. Nothing is called before {@link Transport.start}, nothing after `onClosed`. */
export interface TransportHandlers {
  /** Bytes have come, in order. The buffer belongs to the receiver. */
  onBytes(piece: Buffer): void;
  /** {@link Transport.backlogBytes} has fallen. */
  onDrain(): void;
  /**
   * The transport is gone, once. `cause` is what the machine said, if anything. Says nothing about whether the peer
   * meant it: only GOAWAY makes the end of a link a clean one (P3.6).
   */
  onClosed(cause: Error | undefined): void;
}

/** What the machine knows of the path that a transport's bytes take (TCP_INFO). */
export interface PathFacts {
  /** Bytes that the peer's machine has acknowledged. From where it counts is the machine's own: only a rise tells something. */
  readonly acknowledgedBytes: number;
  /** How long ago an acknowledgement came last. */
  readonly sinceAckMs: number;
  /** True while not all that was written is acknowledged. */
  readonly outstanding: boolean;
  /** Smoothed round trip of the machine's own packets. */
  readonly roundTripMs: number;
}

/**
 * What the machine knows of a connection, what still waits in front of it not counted; undefined once it is closed. Asked each
 * 100 ms while bytes leave, and each second while any are under way: who reads the path may look after it, too (P2.1).
 */
export type PathReader = () => PathFacts | undefined;

/** The machine's part of a path, where it can be asked. */
export interface SocketPath {
  readonly read: PathReader;
  /** Bytes that the machine has taken and not sent even once; undefined once it is closed. */
  unsentBytes(): number | undefined;
}

/** A connected, secured, ordered byte pipe. */
export interface Transport {
  /** The peer's address and number, for lists and logs, as `address:number` or `[address]:number`. */
  readonly remote: string;
  /** SHA-256 of the SPKI of the server's TLS key: seen by the member, own by the server (P6.1). */
  readonly serverPin: Buffer;
  /** ALPN name that was agreed, or undefined. */
  readonly alpn: string | undefined;
  /**
   * Keying material of the session (RFC 8446 §7.5, no context), the same at both ends and nowhere else.
   * @throws EntremiseError `link-closed` once closed
   */
  exportKeyingMaterial(label: string, lengthBytes: number): Buffer;
  /** From now on the handlers are called. Bytes that came before are not lost. */
  start(handlers: TransportHandlers): void;
  /** Queues bytes; never blocks, never fails (a failure shows as `onClosed`). The buffer must not change until drained. */
  write(bytes: Buffer): void;
  /** Bytes written that the kernel (or the twin) has not taken yet. */
  readonly backlogBytes: number;
  /** True where bytes may wait below that {@link backlogBytes} does not count, and nobody tells how many. */
  readonly hidesBacklog: boolean;
  /** Bytes that the kernel has taken and not sent even once, or undefined where it does not tell. Costs a system call. */
  unsentBytes(): number | undefined;
  /** What the machine knows of the path, or undefined where it does not tell. Costs a system call. */
  pathFacts(): PathFacts | undefined;
  /** Sends what is written, then closes. `onClosed` follows. */
  end(): void;
  /** Closes at once; what is not sent is lost. `onClosed` follows. */
  destroy(cause?: Error): void;
}
