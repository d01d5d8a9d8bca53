import process from 'node:process';
import { EntremiseError } from '../base/errors.ts';
import type { ErrnoName, NativeSockets } from '../native/addon.ts';
import { bindError } from '../native/errno.ts';
import type { UdpSource } from '../native/held-number.ts';
import { relayCounts } from '../native/relay-addon.ts';
import type { IpText } from '../wire/ip.ts';
import {
  type ControlBody,
  encodePacketBody,
  encodePeer,
  type PacketPeer,
  packetKind,
} from '../wire/packet.ts';
import type { PacketKey, PacketSuite } from '../wire/packet-key.ts';
import { tellUpcalls, type UpcallOwner } from './native-upcalls.ts';
import type {
  ChannelPath,
  DoorId,
  EpochKeys,
  PeerTarget,
  PortLimit,
  PortOptions,
  PortTarget,
  Relay,
  RelayCounters,
  RelayHandlers,
  RelayPort,
  RelayReport,
  RouteTarget,
  SealFrom,
  ServiceOptions,
} from './relay.ts';

/** How long a relay waits for what; tests have shorter ones. In milliseconds. */
export interface RelayTimes {
  /** P7.3. */
  readonly oldEpochMs: number;
  readonly holdMs: number;
  /** P7.5: for the other half of a datagram. */
  readonly partMs: number;
  /** P5.9. */
  readonly approvalIdleMs: number;
  /** How often is looked for idle peers (P7.6). */
  readonly sweepMs: number;
}

/** The times of the rules. */
export const relayTimes: RelayTimes = {
  oldEpochMs: 10_000,
  holdMs: 100,
  partMs: 500,
  approvalIdleMs: 300_000,
  sweepMs: 5_000,
};

const suiteNumbers: Readonly<Record<PacketSuite, number>> = { 'aes-128-gcm': 1, 'chacha20-poly1305': 2 };

const none = new Uint8Array(0);

/** A target as the addon takes it: kind, port, cid, route, peer. */
type NativeTarget = [kind: number, port: number, cid: number, route: number, peer: Uint8Array];

/** Numbers of native/relay_tables.h. */
const targetKind = { script: 0, drop: 1, port: 2, route: 3 } as const;

function nativeTarget(to: RouteTarget | PeerTarget): NativeTarget {
  if (to === 'script' || to === 'drop') return [targetKind[to], 0, 0, 0, none];
  const peer = 'peer' in to && to.peer !== undefined ? encodePeer(to.peer) : none;
  if ('port' in to) return [targetKind.port, to.port, 0, 0, peer];
  return [targetKind.route, 0, to.cid, to.route, peer];
}

const keyArguments = ({ suite, key, iv }: PacketKey) => [suiteNumbers[suite], key, iv] as const;

function countersOf(counts: Float64Array): RelayCounters {
  const named: Partial<Record<keyof RelayCounters, number>> = {};
  for (const [index, name] of relayCounts.entries()) named[name] = counts[index] ?? 0;
  return named as RelayCounters;
}

function idOf(answer: number | ErrnoName, error: (errno: ErrnoName) => EntremiseError): number {
  if (typeof answer === 'string') throw error(answer);
  return answer;
}

/** OpenSSL is torn down when the process exits: no thread may be in it then. */
const closedOnExit = new Set<Relay>();
process.once('exit', () => {
  for (const relay of closedOnExit) relay.close();
});

/** A thread of the addon (native/relay.h), as {@link Relay}. */
class NativeRelay implements Relay, UpcallOwner {
  readonly setsDf = true;
  readonly #addon: NativeSockets;
  readonly #relay: number;
  /** Control bodies that were laid out like none, by cid: only JavaScript knows. */
  readonly #malformed = new Map<number, number>();
  #isOpen = true;

  constructor(addon: NativeSockets, handlers: RelayHandlers, times: RelayTimes) {
    this.#addon = addon;
    const { oldEpochMs, holdMs, partMs, approvalIdleMs, sweepMs } = times;
    const onUpcalls = (batch: Buffer) => tellUpcalls(batch, handlers, this);
    this.#relay = idOf(
      addon.openRelay(onUpcalls, oldEpochMs, holdMs, partMs, approvalIdleMs, sweepMs),
      errno => new EntremiseError('limit', { message: `no thread for the UDP relay: ${errno}` }),
    );
    closedOnExit.add(this);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  onMalformed(cid: number): void {
    this.#malformed.set(cid, (this.#malformed.get(cid) ?? 0) + 1);
  }

  async openServiceDoor(address: IpText, number: number): Promise<DoorId> {
    return idOf(this.#addon.relayOpenServiceDoor(this.#relay, address, number), errno =>
      bindError(errno, address, number),
    );
  }

  openMemberDoor(server: PacketPeer): DoorId {
    return idOf(this.#addon.relayOpenMemberDoor(this.#relay, encodePeer(server)), errno =>
      bindError(errno, 'any address', 0),
    );
  }

  doorNumber(door: DoorId): number | undefined {
    return this.#addon.relayDoorNumber(this.#relay, door) || undefined;
  }

  closeDoor(door: DoorId): void {
    this.#addon.relayCloseDoor(this.#relay, door);
  }

  addChannel(cid: number, { epoch, sealKey, openKey }: EpochKeys): void {
    this.#malformed.delete(cid);
    const keys = [...keyArguments(sealKey), ...keyArguments(openKey)] as const;
    this.#addon.relayAddChannel(this.#relay, cid, epoch, ...keys);
  }

  addEpoch(cid: number, { epoch, sealKey, openKey }: EpochKeys, sealFrom: SealFrom): void {
    const keys = [...keyArguments(sealKey), ...keyArguments(openKey)] as const;
    this.#addon.relayAddEpoch(this.#relay, cid, epoch, ...keys, sealFrom === 'now');
  }

  setPath(cid: number, path: ChannelPath | undefined): void {
    if (path === undefined) return this.#addon.relaySetPath(this.#relay, cid, 0, none, 0, 0);
    const { door, peer, packetBytes, bundleBytes = 0 } = path;
    this.#addon.relaySetPath(this.#relay, cid, door, encodePeer(peer), packetBytes, bundleBytes);
  }

  removeChannel(cid: number): void {
    this.#malformed.delete(cid);
    this.#addon.relayRemoveChannel(this.#relay, cid);
  }

  sendControl(cid: number, door: DoorId, to: PacketPeer, body: ControlBody): void {
    const bytes = encodePacketBody(body);
    this.#addon.relaySendControl(this.#relay, cid, door, encodePeer(to), packetKind[body.kind], bytes);
  }

  addPort(fd: UdpSource, { approve, broadcast = false, onlyFrom = [] }: PortOptions): RelayPort {
    if (typeof fd !== 'number')
      throw new EntremiseError('internal', { message: 'this UDP relay takes sockets of the addon' });
    const networks = onlyFrom.map(({ address, prefixLength }) =>
      encodePeer({ address, number: prefixLength }),
    );
    return idOf(
      this.#addon.relayAddPort(this.#relay, fd, approve, broadcast, Buffer.concat(networks)),
      errno => new EntremiseError('internal', { message: `the UDP relay cannot take fd ${fd}: ${errno}` }),
    );
  }

  addService({ service, maxPeers, idleMs, peersPerSecond }: ServiceOptions): RelayPort {
    return idOf(
      this.#addon.relayAddService(this.#relay, encodePeer(service), maxPeers, idleMs, peersPerSecond),
      errno => new EntremiseError('internal', { message: `the UDP relay takes no service: ${errno}` }),
    );
  }

  removePort(port: RelayPort): void {
    this.#addon.relayRemovePort(this.#relay, port);
  }

  limitPort(port: RelayPort, limit: PortLimit | undefined): void {
    const bytesPerSecond = Math.min(limit?.bytesPerSecond ?? 0, 2 ** 32 - 1);
    this.#addon.relayLimitPort(this.#relay, port, limit?.group ?? 0, bytesPerSecond);
  }

  approve(port: RelayPort, peer: PacketPeer): void {
    this.#addon.relayApprove(this.#relay, port, encodePeer(peer));
  }

  refuse(port: RelayPort, peer: PacketPeer): void {
    this.#addon.relayRefuse(this.#relay, port, encodePeer(peer));
  }

  clearApprovals(port: RelayPort): void {
    this.#addon.relayClearApprovals(this.#relay, port);
  }

  sendPlain(port: RelayPort, peer: PacketPeer, bytes: Uint8Array, local?: IpText): void {
    const from = local === undefined ? none : encodePeer({ address: local, number: 0 });
    this.#addon.relaySendPlain(this.#relay, port, encodePeer(peer), from, bytes);
  }

  bindPort(port: RelayPort, to: PortTarget): void {
    this.#addon.relayBindPort(this.#relay, port, ...nativeTarget(to));
  }

  bindPeer(port: RelayPort, from: PacketPeer, to: PeerTarget | 'script' | undefined, idleMs = 0): void {
    const forget = to === undefined ? 0 : idleMs;
    this.#addon.relayBindPeer(this.#relay, port, encodePeer(from), ...nativeTarget(to ?? 'script'), forget);
  }

  bindRoute(cid: number, route: number, to: RouteTarget, options?: { readonly held: boolean }): void {
    const only = typeof to === 'object' && 'port' in to && to.only !== undefined ? encodePeer(to.only) : none;
    const held = options?.held ?? false;
    this.#addon.relayBindRoute(this.#relay, cid, route, held, ...nativeTarget(to), only);
  }

  unbindRoute(cid: number, route: number): void {
    this.#addon.relayUnbindRoute(this.#relay, cid, route);
  }

  sendDatagram(cid: number, route: number, peer: PacketPeer, bytes: Uint8Array): void {
    this.#addon.relaySendDatagram(this.#relay, cid, route, encodePeer(peer), bytes);
  }

  report(): RelayReport {
    const doors = new Map<DoorId, RelayCounters>();
    const channels = new Map<number, RelayCounters>();
    const ports = new Map<RelayPort, RelayCounters>();
    const numbers = this.#addon.relayCounters(this.#relay);
    const width = 2 + relayCounts.length;
    for (let at = 1; at < numbers.length; at += width) {
      const table = [doors, channels, ports][(numbers[at] ?? 0) - 1];
      const id = numbers[at + 1] ?? 0;
      const counters = countersOf(numbers.subarray(at + 2, at + width));
      table?.set(id, table === channels ? this.#withMalformed(id, counters) : counters);
    }
    return { doors, channels, ports, upcallsDropped: numbers[0] ?? 0 };
  }

  channelCounters(cid: number): RelayCounters | undefined {
    const counts = this.#addon.relayChannelCounters(this.#relay, cid);
    return counts.length === 0 ? undefined : this.#withMalformed(cid, countersOf(counts));
  }

  #withMalformed(cid: number, counters: RelayCounters): RelayCounters {
    return { ...counters, malformed: counters.malformed + (this.#malformed.get(cid) ?? 0) };
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closedOnExit.delete(this);
    this.#addon.closeRelay(this.#relay);
  }
}

/** Starts a relay on a thread of its own. A handler's throw is an uncaught exception. `times` are for tests. */
export function nativeRelay(
  addon: NativeSockets,
  handlers: RelayHandlers,
  times: RelayTimes = relayTimes,
): Relay {
  return new NativeRelay(addon, handlers, times);
}
