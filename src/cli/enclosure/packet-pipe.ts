import type { Duplex } from 'node:stream';

/** A packet on its way between the two processes of `entremise run`, with a number beside it. */
export interface PipedPacket {
  /** Outwards how long each segment is, inwards what becomes of it. */
  readonly note: number;
  readonly packet: Buffer;
}

/** Length of the packet (u32) and note (u32), little-endian: both ends are one program. */
const headBytes = 8;

/** What may wait for the other process; more is dropped, as on any full link. */
const backlogBytes = 8 * 1024 * 1024;

/** Whole packets over a byte stream. */
export class PacketPipe {
  private readonly stream: Duplex;
  private held: Buffer = Buffer.alloc(0);

  /** `onPacket` is called with each packet of the other end. */
  constructor(stream: Duplex, onPacket: (piped: PipedPacket) => void) {
    this.stream = stream;
    stream.on('error', () => {});
    stream.on('data', (bytes: Buffer) => {
      this.held = this.held.length === 0 ? bytes : Buffer.concat([this.held, bytes]);
      for (let next = this.take(); next !== undefined; next = this.take()) onPacket(next);
    });
  }

  private take(): PipedPacket | undefined {
    const { held } = this;
    if (held.length < headBytes) return undefined;
    const end = headBytes + held.readUInt32LE(0);
    if (held.length < end) return undefined;
    this.held = held.subarray(end);
    return { note: held.readUInt32LE(4), packet: held.subarray(headBytes, end) };
  }

  /** Resolves when all that was given is with the kernel. */
  flushed(): Promise<void> {
    return new Promise(resolve => this.stream.write('', () => resolve()));
  }

  /** Gives a packet to the other end. */
  send({ note, packet }: { readonly note: number; readonly packet: Uint8Array }): void {
    if (this.stream.destroyed || this.stream.writableLength > backlogBytes) return;
    const head = Buffer.alloc(headBytes);
    head.writeUInt32LE(packet.length, 0);
    head.writeUInt32LE(note, 4);
    this.stream.write(Buffer.concat([head, packet]));
  }
}
