import { createCipheriv, createDecipheriv } from 'node:crypto';
import { EntremiseError } from '../base/errors.ts';
import {
  decodePacketBody,
  decodePacketHeader,
  encodePacketBody,
  encodePacketHeader,
  maxPacketsPerKey,
  type PacketBody,
  packetHeaderBytes,
  packetTagBytes,
} from '../wire/packet.ts';
import type { PacketKey, PacketSuite } from '../wire/packet-key.ts';
import { ReplayWindow } from './replay-window.ts';

/** The sealing and opening of packets in JavaScript (P7.3). No clock, no sockets. */

/** How long packets of the epoch before are still opened (P7.3). */
export const oldEpochMs = 10_000;

const tagged = { authTagLength: packetTagBytes };

/** Node's types know each AEAD by itself and not a choice of them; both are used alike. */
const asNode = (suite: PacketSuite) => suite as 'aes-128-gcm';

/** The nonce of a packet: the IV, its last 8 bytes XORed with the counter (P7.3, as RFC 8446 §5.3). */
function nonceOf(iv: Buffer, counter: number): Buffer {
  const nonce = Buffer.from(iv);
  nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ counter) >>> 0, 8);
  return nonce;
}

/** Seals packets with one key, each with the next counter. A key is never given to two of them. */
export class PacketSealer {
  readonly epoch: number;
  private readonly sealing: PacketKey;
  private readonly cid: number;
  private counter: number;

  /** `firstCounter` is for vectors: a key that is in use begins at 0. */
  constructor(key: PacketKey, cid: number, epoch: number, firstCounter = 0) {
    this.sealing = key;
    this.cid = cid;
    this.epoch = epoch;
    this.counter = firstCounter;
  }

  /** Packets that have been sealed. */
  get sealed(): number {
    return this.counter;
  }

  /** True once the key has sealed all that it may. */
  get spent(): boolean {
    return this.counter >= maxPacketsPerKey;
  }

  /**
   * A packet as it goes over the network.
   * @throws EntremiseError `limit` once the key has sealed all that it may (P7.3)
   */
  seal(body: PacketBody): Buffer {
    const { cid, epoch, sealing, counter } = this;
    if (this.spent)
      throw new EntremiseError('limit', { message: 'The key of this channel has sealed all it may.' });
    this.counter++;
    const header = encodePacketHeader({ kind: body.kind, epoch, cid, counter });
    const { suite, key, iv } = sealing;
    const cipher = createCipheriv(asNode(suite), key, nonceOf(iv, counter), tagged);
    cipher.setAAD(header);
    const sealed = cipher.update(encodePacketBody(body));
    return Buffer.concat([header, sealed, cipher.final(), cipher.getAuthTag()]);
  }
}

function unseal({ suite, key, iv }: PacketKey, packet: Buffer, counter: number): Buffer | undefined {
  const tagAt = packet.length - packetTagBytes;
  const decipher = createDecipheriv(asNode(suite), key, nonceOf(iv, counter), tagged);
  decipher.setAAD(packet.subarray(0, packetHeaderBytes));
  decipher.setAuthTag(packet.subarray(tagAt));
  const body = decipher.update(packet.subarray(packetHeaderBytes, tagAt));
  try {
    return Buffer.concat([body, decipher.final()]);
  } catch {
    return undefined;
  }
}

/** An epoch that packets are opened with. */
interface Epoch {
  readonly epoch: number;
  readonly key: PacketKey;
  readonly window: ReplayWindow;
}

/** Packets that were not answered, by why (P7.4). */
export interface OpenerDrops {
  /** No packet of this version, or an epoch without a key. */
  unknown: number;
  /** The tag was good and what it sealed is laid out like no body of its kind. */
  malformed: number;
  forged: number;
  replayed: number;
}

/**
 * Opens what one direction of a channel receives. What it does not open is dropped, counted and never answered. It has the
 * epoch in use, the one before for a while, and one whose first packet is awaited.
 */
export class PacketOpener {
  readonly drops: OpenerDrops = { unknown: 0, malformed: 0, forged: 0, replayed: 0 };
  private current: Epoch;
  private before: (Epoch & { readonly untilMs: number }) | undefined;
  private next: Epoch | undefined;

  constructor(key: PacketKey, epoch: number) {
    this.current = { epoch, key, window: new ReplayWindow() };
  }

  /** The epoch in use. */
  get epoch(): number {
    return this.current.epoch;
  }

  /** True for an epoch whose packets are opened. */
  knows(epoch: number): boolean {
    return [this.current, this.before, this.next].some(each => each?.epoch === epoch);
  }

  /** The next epoch, in use from its first packet on; the one before is opened for 10 s more then (P7.3). */
  await(key: PacketKey, epoch: number): void {
    this.next = { epoch, key, window: new ReplayWindow() };
  }

  /** What a packet says, or undefined: it is of no use and nobody is told. */
  open(packet: Buffer, nowMs: number): PacketBody | undefined {
    const header = decodePacketHeader(packet);
    const epoch = header && this.epochOf(header.epoch, nowMs);
    if (header === undefined || epoch === undefined) return this.drop('unknown');
    if (!epoch.window.isNew(header.counter)) return this.drop('replayed');
    const body = unseal(epoch.key, packet, header.counter);
    if (body === undefined) return this.drop('forged');
    epoch.window.mark(header.counter);
    if (epoch === this.next) this.use(epoch, nowMs);
    try {
      return decodePacketBody(header.kind, body);
    } catch {
      return this.drop('malformed');
    }
  }

  private epochOf(epoch: number, nowMs: number): Epoch | undefined {
    if (this.before !== undefined && nowMs >= this.before.untilMs) this.before = undefined;
    return [this.current, this.before, this.next].find(each => each?.epoch === epoch);
  }

  private use(next: Epoch, nowMs: number): void {
    this.before = { ...this.current, untilMs: nowMs + oldEpochMs };
    this.current = next;
    this.next = undefined;
  }

  private drop(why: keyof OpenerDrops): undefined {
    this.drops[why]++;
    return undefined;
  }
}
