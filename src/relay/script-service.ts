import type { Clock } from '../base/clock.ts';
import type { PacketPeer } from '../wire/packet.ts';
import { newTally, tallyIn, tallyOut } from './counters.ts';
import { IdleSweep } from './idle-sweep.ts';
import type { PortTarget, ServiceOptions } from './relay.ts';
import type { OnArrival, RelaySocket } from './relay-sockets.ts';
import { type Arrived, arrived, type PlainPort } from './script-port.ts';

/** A port of a script relay that is many sockets towards one service, one for each peer (P7.6). */
export class ScriptService implements PlainPort {
  readonly tally = newTally();
  to: PortTarget = 'script';
  /** Its peers are bounded one by one. */
  budget: undefined;
  private readonly options: ServiceOptions;
  private readonly clock: Clock;
  private readonly open: (peer: PacketPeer) => RelaySocket;
  private readonly sockets: IdleSweep<RelaySocket>;
  /** In which second of the clock so many have begun. */
  private readonly begun = { second: 0, count: 0 };

  /** `open`: a socket that hears the service alone, and tells what came for which peer. */
  constructor(
    clock: Clock,
    options: ServiceOptions,
    open: (onArrival: OnArrival) => RelaySocket,
    onArrival: OnArrival,
  ) {
    this.clock = clock;
    this.options = options;
    this.open = peer => open(bytes => onArrival(bytes, peer));
    this.sockets = new IdleSweep(clock, (_peer, socket) => socket.close());
  }

  onArrival(bytes: Buffer, from: PacketPeer): Arrived {
    tallyIn(this.tally, bytes.length);
    this.sockets.use(from);
    return arrived(this.to, this.tally);
  }

  forget(cid: number): void {
    if (typeof this.to === 'object' && this.to.cid === cid) this.to = 'script';
  }

  send(peer: PacketPeer, bytes: Uint8Array): void {
    const socket = this.sockets.use(peer) ?? this.socketFor(peer);
    if (socket === undefined) {
      this.tally.full++;
      return;
    }
    tallyOut(this.tally, bytes.length);
    socket.send(bytes, this.options.service, () => {
      this.tally.unsent++;
    });
  }

  private socketFor(peer: PacketPeer): RelaySocket | undefined {
    const { maxPeers, idleMs } = this.options;
    if (this.sockets.size >= maxPeers || !this.mayBegin()) return undefined;
    const socket = this.open(peer);
    this.sockets.set(peer, socket, idleMs);
    return socket;
  }

  private mayBegin(): boolean {
    const second = Math.floor(this.clock.now() / 1000);
    if (second !== this.begun.second) Object.assign(this.begun, { second, count: 0 });
    this.begun.count++;
    return this.begun.count <= this.options.peersPerSecond;
  }

  bindPeer(): void {}
  approve(): void {}
  refuse(): void {}
  clearApprovals(): void {}

  sendIfApproved(peer: PacketPeer, bytes: Uint8Array): boolean {
    this.send(peer, bytes);
    return false;
  }

  close(): void {
    for (const { value } of this.sockets.entries()) value.close();
    this.sockets.close();
  }
}
