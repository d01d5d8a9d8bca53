import {
  type DatagramBody,
  decodePacketBody,
  encodePacketBody,
  type PacketBody,
  type PacketPeer,
  packetOverheadBytes,
} from '../wire/packet.ts';
import { newTally, tallyIn, tallyOut } from './counters.ts';
import { PacketOpener, PacketSealer } from './packet-seal.ts';
import type { ChannelPath, EpochKeys, SealFrom } from './relay.ts';
import type { ScriptRoute } from './script-route.ts';

/** One channel of a script relay: its keys, its routes, and datagrams in halves (P7.5). */

/** Halves that wait for the other one, and how long. */
const maxHalves = 256;
const halfMs = 500;

/** How often at most somebody is told that datagrams come from elsewhere. */
const elsewhereEveryMs = 250;

/** id u32, index u8. */
const partHeadBytes = 5;

interface Half {
  readonly index: 0 | 1;
  readonly bytes: Buffer;
  readonly untilMs: number;
}

/** See the head of this file. */
export class ScriptChannel {
  readonly cid: number;
  readonly tally = newTally();
  readonly routes = new Map<number, ScriptRoute>();
  path: ChannelPath | undefined;
  private sealer: PacketSealer;
  private readonly opener: PacketOpener;
  /** Seals from the first packet of its epoch on. */
  private nextSealer: PacketSealer | undefined;
  private readonly halves = new Map<number, Half>();
  private nextPartId = 0;
  private toldElsewhereMs = -elsewhereEveryMs;

  constructor(cid: number, { epoch, sealKey, openKey }: EpochKeys) {
    this.cid = cid;
    this.sealer = new PacketSealer(sealKey, cid, epoch);
    this.opener = new PacketOpener(openKey, epoch);
  }

  /** See {@link Relay.addEpoch}. */
  addEpoch({ epoch, sealKey, openKey }: EpochKeys, sealFrom: SealFrom): void {
    if (this.opener.knows(epoch) || this.sealer.epoch === epoch) return;
    this.opener.await(openKey, epoch);
    const sealer = new PacketSealer(sealKey, this.cid, epoch);
    this.nextSealer = sealFrom === 'now' ? undefined : sealer;
    if (sealFrom === 'now') this.sealer = sealer;
  }

  /** See {@link Relay.unbindRoute}. */
  unbind(number: number): void {
    const route = this.routes.get(number);
    this.routes.delete(number);
    this.tally.unbound += route?.end() ?? 0;
  }

  /** True once the key has sealed all that it may. */
  get spent(): boolean {
    return this.sealer.spent;
  }

  /** A packet with the next counter, or undefined: the key is spent. */
  seal(body: PacketBody): Buffer | undefined {
    if (this.sealer.spent) {
      this.tally.pathless++;
      return undefined;
    }
    const packet = this.sealer.seal(body);
    tallyOut(this.tally, packet.length);
    return packet;
  }

  /** The packets of a datagram: one, or two halves; none when it is too long for the path. */
  sealDatagram(body: DatagramBody, packetBytes: number): readonly Buffer[] {
    const whole = encodePacketBody(body);
    const room = packetBytes - packetOverheadBytes;
    if (whole.length <= room) return this.packets([body]);
    if (whole.length > 2 * (room - partHeadBytes)) return [];
    const id = this.nextPartId;
    this.nextPartId = (id + 1) >>> 0;
    const middle = Math.ceil(whole.length / 2);
    const part = (index: 0 | 1, bytes: Buffer): PacketBody => ({ kind: 'part', id, index, bytes });
    return this.packets([part(0, whole.subarray(0, middle)), part(1, whole.subarray(middle))]);
  }

  private packets(bodies: readonly PacketBody[]): readonly Buffer[] {
    return bodies.flatMap(body => this.seal(body) ?? []);
  }

  /** What a packet says; a half only once the other has come. Undefined: it is of no use, and counted. */
  open(packet: Buffer, nowMs: number): Exclude<PacketBody, { readonly kind: 'part' }> | undefined {
    const { unknown, malformed, forged, replayed } = this.opener.drops;
    const body = this.opener.open(packet, nowMs);
    if (body === undefined) {
      this.tally.unknown += this.opener.drops.unknown - unknown;
      this.tally.malformed += this.opener.drops.malformed - malformed;
      this.tally.forged += this.opener.drops.forged - forged;
      this.tally.replayed += this.opener.drops.replayed - replayed;
      return undefined;
    }
    tallyIn(this.tally, packet.length);
    if (this.nextSealer !== undefined && this.nextSealer.epoch === this.opener.epoch) {
      this.sealer = this.nextSealer;
      this.nextSealer = undefined;
    }
    return body.kind === 'part' ? this.join(body.id, body.index, body.bytes, nowMs) : body;
  }

  /** A datagram has come: its route has it. */
  take(datagram: DatagramBody): void {
    const route = this.routes.get(datagram.route);
    if (route === undefined) this.tally.unbound++;
    else route.take(datagram);
  }

  private join(id: number, index: 0 | 1, bytes: Buffer, nowMs: number): DatagramBody | undefined {
    const other = this.halves.get(id);
    if (other === undefined || other.index === index) {
      this.keepHalf(id, { index, bytes, untilMs: nowMs + halfMs }, nowMs);
      return undefined;
    }
    this.halves.delete(id);
    const whole = index === 0 ? [bytes, other.bytes] : [other.bytes, bytes];
    try {
      return decodePacketBody('datagram', Buffer.concat(whole)) as DatagramBody;
    } catch {
      this.tally.malformed++;
      return undefined;
    }
  }

  /** The oldest stand first. */
  private keepHalf(id: number, half: Half, nowMs: number): void {
    if (this.halves.delete(id)) this.tally.halves++;
    this.halves.set(id, half);
    for (const [old, { untilMs }] of this.halves) {
      if (untilMs > nowMs && this.halves.size <= maxHalves) return;
      this.halves.delete(old);
      this.tally.halves++;
    }
  }

  /** True when packets from there are from elsewhere than the channel's datagrams go to, and that was not told just now. */
  tellsElsewhere(door: number, { address, number }: PacketPeer, nowMs: number): boolean {
    const { path } = this;
    if (path === undefined || nowMs - this.toldElsewhereMs < elsewhereEveryMs) return false;
    if (path.door === door && path.peer.address === address && path.peer.number === number) return false;
    this.toldElsewhereMs = nowMs;
    return true;
  }
}
