import { BlockList } from 'node:net';
import type { Clock } from '../base/clock.ts';
import type { PacketPeer } from '../wire/packet.ts';
import { Approvals } from './approvals.ts';
import { newTally, type Tally, tallyIn, tallyOut } from './counters.ts';
import { IdleSweep } from './idle-sweep.ts';
import type { PeerNetwork, PeerTarget, PortOptions, PortTarget } from './relay.ts';
import type { RelaySocket } from './relay-sockets.ts';
import type { ByteBudget } from './script-budget.ts';

/** One plain port of a script relay. */

/** Where a datagram that has come goes; undefined: it was dropped. */
export type Arrived = Exclude<PortTarget, 'drop'> | PeerTarget | undefined;

/** That target, or none, counted, where it is 'drop'. */
export function arrived(to: PortTarget | PeerTarget, tally: Tally): Arrived {
  if (to !== 'drop') return to;
  tally.unbound++;
  return undefined;
}

/** What a script relay knows of a port: one socket, or a service's many. */
export interface PlainPort {
  readonly tally: Tally;
  to: PortTarget;
  /** What it may move; undefined: anything. */
  budget: ByteBudget | undefined;
  /** What leads to that channel leads to 'script'. */
  forget(cid: number): void;
  /** A datagram has come from that peer, and is counted. */
  onArrival(bytes: Buffer, from: PacketPeer): Arrived;
  /** See {@link Relay.bindPeer}, {@link Relay.approve}, {@link Relay.refuse}, {@link Relay.clearApprovals}. */
  bindPeer(from: PacketPeer, to: PeerTarget | 'script' | undefined, idleMs?: number): void;
  approve(peer: PacketPeer): void;
  refuse(peer: PacketPeer): void;
  clearApprovals(): void;
  /** Sends what has come on a route, or keeps it until its peer is approved; true when that must be asked for. */
  sendIfApproved(peer: PacketPeer, bytes: Buffer): boolean;
  send(peer: PacketPeer, bytes: Uint8Array): void;
  close(): void;
}

const familyOf = (address: string) => (address.includes(':') ? 'ipv6' : 'ipv4');

/** Node's own sets of networks; this one lists who is let in. */
function listOf(networks: readonly PeerNetwork[]): BlockList {
  const list = new BlockList();
  for (const { address, prefixLength } of networks) list.addSubnet(address, prefixLength, familyOf(address));
  return list;
}

/** See the head of this file. */
export class ScriptPort implements PlainPort {
  readonly tally = newTally();
  to: PortTarget = 'script';
  budget: ByteBudget | undefined;
  private readonly clock: Clock;
  private readonly options: PortOptions;
  private readonly onlyFrom: BlockList | undefined;
  private socket: RelaySocket | undefined;
  private readonly peers: IdleSweep<PeerTarget | 'script'>;
  private readonly approvals: Approvals;

  constructor(clock: Clock, options: PortOptions, onIdle: (peer: PacketPeer) => void) {
    this.clock = clock;
    this.options = options;
    this.onlyFrom = options.onlyFrom && listOf(options.onlyFrom);
    this.peers = new IdleSweep(clock, onIdle);
    this.approvals = new Approvals(clock);
  }

  /** The socket is there. */
  use(socket: RelaySocket): void {
    this.socket = socket;
  }

  onArrival(bytes: Buffer, from: PacketPeer): Arrived {
    tallyIn(this.tally, bytes.length);
    const { address } = from;
    if (this.onlyFrom?.check(address, familyOf(address)) === false) this.tally.foreign++;
    else if (this.pays(bytes)) return arrived(this.peers.use(from) ?? this.to, this.tally);
    return undefined;
  }

  private pays({ length }: Uint8Array): boolean {
    const pays = this.budget?.take(length, this.clock.now()) ?? true;
    if (!pays) this.tally.limited++;
    return pays;
  }

  bindPeer(from: PacketPeer, to: PeerTarget | 'script' | undefined, idleMs?: number): void {
    if (to === undefined) this.peers.delete(from);
    else this.peers.set(from, to, idleMs);
  }

  forget(cid: number): void {
    if (typeof this.to === 'object' && this.to.cid === cid) this.to = 'script';
    for (const entry of this.peers.entries()) {
      if (entry.value === 'script' || entry.value.cid !== cid) continue;
      if (entry.idleMs === undefined) this.peers.delete(entry.peer);
      else entry.value = 'script';
    }
  }

  approve(peer: PacketPeer): void {
    for (const bytes of this.approvals.approve(peer)) this.send(peer, bytes);
  }

  refuse(peer: PacketPeer): void {
    this.tally.unbound += this.approvals.answered(peer).length;
  }

  clearApprovals(): void {
    this.approvals.clear();
  }

  sendIfApproved(peer: PacketPeer, bytes: Buffer): boolean {
    const judged = this.options.approve ? this.approvals.judge(peer, bytes) : 'go';
    if (judged === 'go') this.send(peer, bytes);
    else if (judged === 'full') this.tally.full++;
    return judged === 'ask';
  }

  send(peer: PacketPeer, bytes: Uint8Array): void {
    if (!this.pays(bytes)) return;
    this.peers.use(peer);
    tallyOut(this.tally, bytes.length);
    this.socket?.send(bytes, peer, () => {
      this.tally.unsent++;
    });
  }

  close(): void {
    this.peers.close();
    this.socket?.close();
  }
}
