import { createCipheriv } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { ExecutionContext } from 'ava';
import { requireAddon } from '../../native/addon.ts';
import { until } from '../../native/test-sockets.ts';
import type { ControlBody, PacketPeer } from '../../wire/packet.ts';
import type { PacketKey, PacketSuite } from '../../wire/packet-key.ts';
import type { DoorId, Relay, RelayHandlers, RelayPort } from '../relay.ts';

/** Relays, raw UDP sockets and keys on loopback, for the suite of compliance.ts. */

/** How long relays wait, in milliseconds: what is not about that must not feel it, however busy the machine is. */
const longTimes = {
  oldEpochMs: 60_000,
  holdMs: 60_000,
  partMs: 60_000,
  approvalIdleMs: 60_000,
  sweepMs: 20,
};

/** After {@link RelayLab.hasten}. */
export const shortTimes = { oldEpochMs: 200, holdMs: 200, partMs: 200, approvalIdleMs: 200, sweepMs: 20 };

/** What a kind of relay is and can. */
export interface RelaySubject {
  open(handlers: RelayHandlers, times: typeof shortTimes): Relay;
  /** At which address of a wildcard something came, and sending from it. */
  readonly knowsLocal: boolean;
  /** What is over after a second once it was hastened. In milliseconds. */
  readonly idleMs: number;
  /** ICMP errors. */
  readonly hearsUnreachable: boolean;
  /** Datagrams that leave at once share packets; all open those (P7.2). */
  readonly bundles: boolean;
}

/** Everything that one relay has told, in order. */
export class Heard implements RelayHandlers {
  readonly controls: { cid: number; door: DoorId; from: PacketPeer; body: ControlBody }[] = [];
  readonly elsewhere: PacketPeer[] = [];
  readonly datagrams: { cid: number; route: number; peer: PacketPeer; text: string }[] = [];
  readonly portDatagrams: { port: RelayPort; peer: PacketPeer; text: string; local: string | undefined }[] =
    [];
  readonly unapproved: { port: RelayPort; peer: PacketPeer }[] = [];
  readonly oversize: { cid: number; route: number; peer: PacketPeer; length: number }[] = [];
  readonly unreachable: { port: RelayPort; peer: PacketPeer; code: number }[] = [];
  readonly spent: number[] = [];
  readonly idle: { port: RelayPort; peer: PacketPeer }[] = [];

  onControl(cid: number, door: DoorId, from: PacketPeer, body: ControlBody): void {
    this.controls.push({ cid, door, from, body });
  }
  onElsewhere(_cid: number, _door: DoorId, from: PacketPeer): void {
    this.elsewhere.push(from);
  }
  onDatagram(cid: number, route: number, peer: PacketPeer, bytes: Buffer): void {
    this.datagrams.push({ cid, route, peer, text: bytes.toString('latin1') });
  }
  onPortDatagram(port: RelayPort, peer: PacketPeer, bytes: Buffer, local: string | undefined): void {
    this.portDatagrams.push({ port, peer, text: bytes.toString('latin1'), local });
  }
  onUnapproved(port: RelayPort, peer: PacketPeer): void {
    this.unapproved.push({ port, peer });
  }
  onOversize(cid: number, route: number, peer: PacketPeer, bytes: Buffer): void {
    this.oversize.push({ cid, route, peer, length: bytes.length });
  }
  onUnreachable(port: RelayPort, peer: PacketPeer, code: number): void {
    this.unreachable.push({ port, peer, code });
  }
  onSpent(cid: number): void {
    this.spent.push(cid);
  }
  onIdle(port: RelayPort, peer: PacketPeer): void {
    this.idle.push({ port, peer });
  }
}

/** A relay under test with what it has told. */
export interface Opened {
  readonly relay: Relay;
  readonly heard: Heard;
}

/** A plain UDP socket of this program. */
export interface RawPeer {
  readonly peer: PacketPeer;
  readonly got: { readonly bytes: Buffer; readonly from: PacketPeer }[];
  /** Texts of what it got. */
  readonly texts: string[];
  send(bytes: Uint8Array | string, to: PacketPeer): void;
  /** Called for all that comes. */
  onBytes: (bytes: Buffer) => void;
}

/** Opens one, closed when the test is over. */
export async function rawPeer(t: ExecutionContext, address = '127.0.0.1'): Promise<RawPeer> {
  const socket: Socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  const got: { bytes: Buffer; from: PacketPeer }[] = [];
  const texts: string[] = [];
  socket.on('error', () => {});
  socket.on('message', (bytes, { address: from, port }) => {
    got.push({ bytes, from: { address: from, number: port } });
    texts.push(bytes.toString('latin1'));
    raw.onBytes(bytes);
  });
  const raw: { -readonly [Key in keyof RawPeer]: RawPeer[Key] } = {
    peer: { address, number: 0 },
    got,
    texts,
    send: (bytes, to) => socket.send(bytes, to.number, to.address, () => {}),
    onBytes: () => {},
  };
  socket.bind(0, address);
  await once(socket, 'listening');
  t.teardown(() => socket.close());
  raw.peer = { address, number: socket.address().port };
  return raw;
}

/** A UDP number that nobody has. */
export function freeNumber(address = '127.0.0.1'): number {
  const native = requireAddon();
  const held = native.reserveUdp(address, 0);
  if (typeof held === 'string') throw new Error(held);
  native.close(held.fd);
  return held.port;
}

/** A bound UDP socket that the addon owns. */
export function boundFd(address = '127.0.0.1'): { readonly fd: number; readonly peer: PacketPeer } {
  const held = requireAddon().reserveUdp(address, 0);
  if (typeof held === 'string') throw new Error(held);
  return { fd: held.fd, peer: { address, number: held.port } };
}

/** A key of a suite; equal numbers, equal keys. */
export function keyOf(suite: PacketSuite, number: number): PacketKey {
  const key = Buffer.alloc(suite === 'aes-128-gcm' ? 16 : 32, number);
  return { suite, key, iv: Buffer.alloc(12, number + 100) };
}

/** A packet with any body at all, well sealed (P7.3). */
export function sealRaw(
  { suite, key, iv }: PacketKey,
  header: { readonly kind: number; readonly cid: number; readonly counter: number },
  body: Uint8Array,
): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt8(header.kind, 0);
  head.writeUInt8(1, 2);
  head.writeUInt32BE(header.cid, 4);
  head.writeUInt32BE(header.counter, 12);
  const nonce = Buffer.from(iv);
  nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ header.counter) >>> 0, 8);
  const cipher = createCipheriv(suite as 'aes-128-gcm', key, nonce, { authTagLength: 16 });
  cipher.setAAD(head);
  return Buffer.concat([head, cipher.update(body), cipher.final(), cipher.getAuthTag()]);
}

/** A member's relay and a server's, with one channel that has a path on both sides. */
export interface ChannelPair {
  readonly cid: number;
  readonly member: Opened & { readonly door: DoorId };
  readonly server: Opened & { readonly door: DoorId; readonly peer: PacketPeer };
  /** Where the server sees the member, and where the server is. */
  readonly memberPeer: PacketPeer;
  readonly serverPeer: PacketPeer;
}

/** Relays of one kind, closed when the test is over. */
export class RelayLab {
  private readonly t: ExecutionContext;
  private readonly subject: RelaySubject;
  private times = longTimes;

  constructor(t: ExecutionContext, subject: RelaySubject) {
    this.t = t;
    this.subject = subject;
  }

  /** Relays that are opened from now on wait for {@link shortTimes}. */
  hasten(): void {
    this.times = shortTimes;
  }

  open(): Opened {
    const heard = new Heard();
    const relay = this.subject.open(heard, this.times);
    this.t.teardown(() => relay.close());
    return { relay, heard };
  }

  /** A server's relay with its door. */
  async server(address = '127.0.0.1'): Promise<Opened & { door: DoorId; peer: PacketPeer }> {
    const opened = this.open();
    for (let tries = 0; ; tries++) {
      const number = freeNumber(address);
      try {
        const door = await opened.relay.openServiceDoor(address, number);
        return { ...opened, door, peer: { address, number } };
      } catch (thrown) {
        if (tries === 5) throw thrown;
      }
    }
  }

  /** A channel between a new member's relay and a server's. `towards`: what the member takes for the server. */
  async channel(
    server: Opened & { readonly door: DoorId; readonly peer: PacketPeer },
    cid: number,
    options: { suite?: PacketSuite; packetBytes?: number; towards?: PacketPeer } = {},
  ): Promise<ChannelPair> {
    const { suite = 'aes-128-gcm', packetBytes = 1200, towards = server.peer } = options;
    const member = this.open();
    const [up, down] = [keyOf(suite, (cid * 2) % 100), keyOf(suite, (cid * 2 + 1) % 100)];
    const door = member.relay.openMemberDoor(towards);
    member.relay.addChannel(cid, { epoch: 0, sealKey: up, openKey: down });
    server.relay.addChannel(cid, { epoch: 0, sealKey: down, openKey: up });
    member.relay.setPath(cid, { door, peer: towards, packetBytes });
    const begun = server.heard.controls.length;
    member.relay.sendControl(cid, door, towards, { kind: 'keepalive', id: cid });
    await until('the member is heard', () => server.heard.controls.length > begun);
    const memberPeer = server.heard.controls[begun]?.from ?? towards;
    server.relay.setPath(cid, { door: server.door, peer: memberPeer, packetBytes });
    return { cid, member: { ...member, door }, server, memberPeer, serverPeer: server.peer };
  }
}
