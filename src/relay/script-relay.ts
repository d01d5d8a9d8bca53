import type { Clock } from '../base/clock.ts';
import type { UdpSource } from '../native/held-number.ts';
import type { IpText } from '../wire/ip.ts';
import {
  type ControlBody,
  type DatagramBody,
  decodePacketHeader,
  isControlBody,
  type PacketPeer,
} from '../wire/packet.ts';
import { newTally, reportOf, type Tally, tallyIn, tallyOut } from './counters.ts';
import { dgramSockets } from './dgram-sockets.ts';
import { peerKey } from './idle-sweep.ts';
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
import type { OnArrival, RelaySocket, RelaySockets } from './relay-sockets.ts';
import { ByteBudgets } from './script-budget.ts';
import { ScriptChannel } from './script-channel.ts';
import { type PlainPort, ScriptPort } from './script-port.ts';
import type { ScriptRelayOptions } from './script-relay-options.ts';
import { ScriptRoute } from './script-route.ts';
import { ScriptService } from './script-service.ts';
import { Upcalls } from './upcalls.ts';

/** The relay in JavaScript: for members without the addon, and for tests, over whatever sockets they like. */

interface Door {
  readonly tally: Tally;
  readonly socket: RelaySocket;
}

/** See the head of this file. */
export class ScriptRelay implements Relay {
  private readonly clock: Clock;
  private readonly handlers: RelayHandlers;
  private readonly sockets: RelaySockets;
  private readonly upcalls = new Upcalls();
  private readonly doors = new Map<DoorId, Door>();
  private readonly channels = new Map<number, ScriptChannel>();
  private readonly ports = new Map<RelayPort, PlainPort>();
  private readonly budgets = new ByteBudgets();
  private nextId = 1;
  private closed = false;

  constructor({ clock, handlers, owner, sockets = dgramSockets(owner) }: ScriptRelayOptions) {
    this.clock = clock;
    this.handlers = handlers;
    this.sockets = sockets;
  }

  get setsDf(): boolean {
    return this.sockets.setsDf;
  }

  async openServiceDoor(address: IpText, number: number): Promise<DoorId> {
    const { id, tally, onArrival } = this.newDoor();
    const socket = await this.sockets.serviceDoor(address, number, onArrival);
    if (this.closed) socket.close();
    else this.doors.set(id, { tally, socket });
    return id;
  }

  openMemberDoor(server: PacketPeer): DoorId {
    const { id, tally, onArrival } = this.newDoor();
    this.doors.set(id, { tally, socket: this.sockets.memberDoor(server, onArrival) });
    return id;
  }

  private newDoor(): { readonly id: DoorId; readonly tally: Tally; readonly onArrival: OnArrival } {
    const [id, tally] = [this.nextId++, newTally()];
    return { id, tally, onArrival: (packet, from) => this.onPacket(id, tally, packet, from) };
  }

  doorNumber(door: DoorId): number | undefined {
    return this.doors.get(door)?.socket.number?.();
  }

  closeDoor(door: DoorId): void {
    this.doors.get(door)?.socket.close();
    this.doors.delete(door);
    for (const channel of this.channels.values()) if (channel.path?.door === door) channel.path = undefined;
  }

  addChannel(cid: number, keys: EpochKeys): void {
    this.removeChannel(cid);
    this.channels.set(cid, new ScriptChannel(cid, keys));
  }

  addEpoch(cid: number, keys: EpochKeys, sealFrom: SealFrom): void {
    this.channels.get(cid)?.addEpoch(keys, sealFrom);
  }

  setPath(cid: number, path: ChannelPath | undefined): void {
    const channel = this.channels.get(cid);
    if (channel !== undefined) channel.path = path;
  }

  removeChannel(cid: number): void {
    const channel = this.channels.get(cid);
    if (channel === undefined) return;
    this.channels.delete(cid);
    for (const route of channel.routes.values()) route.end();
    for (const port of this.ports.values()) port.forget(cid);
    for (const { routes } of this.channels.values())
      for (const [number, route] of routes)
        if (route.leadsTo(to => typeof to === 'object' && 'cid' in to && to.cid === cid))
          routes.delete(number);
  }

  sendControl(cid: number, door: DoorId, to: PacketPeer, body: ControlBody): void {
    const channel = this.channels.get(cid);
    if (channel !== undefined)
      this.upcalls.within(() => this.sendPacket(channel, door, to, channel.seal(body)));
  }

  addPort(source: UdpSource, options: PortOptions): RelayPort {
    const id = this.nextId++;
    const onIdle = (peer: PacketPeer) => this.upcalls.tell(() => this.handlers.onIdle(id, peer));
    const port = new ScriptPort(this.clock, options, onIdle);
    port.use(this.sockets.port(source, options, (bytes, from) => this.onPortArrival(id, port, bytes, from)));
    this.ports.set(id, port);
    return id;
  }

  addService(options: ServiceOptions): RelayPort {
    const id = this.nextId++;
    const open = (onArrival: OnArrival) => this.sockets.memberDoor(options.service, onArrival);
    const arrive: OnArrival = (bytes, peer) => this.onPortArrival(id, port, bytes, peer);
    const port: ScriptService = new ScriptService(this.clock, options, open, arrive);
    this.ports.set(id, port);
    return id;
  }

  removePort(port: RelayPort): void {
    this.ports.get(port)?.close();
    this.ports.delete(port);
  }

  limitPort(port: RelayPort, limit: PortLimit | undefined): void {
    const found = this.ports.get(port);
    if (found !== undefined) found.budget = this.budgets.of(limit);
  }

  approve(port: RelayPort, peer: PacketPeer): void {
    this.ports.get(port)?.approve(peer);
  }

  refuse(port: RelayPort, peer: PacketPeer): void {
    this.ports.get(port)?.refuse(peer);
  }

  clearApprovals(port: RelayPort): void {
    this.ports.get(port)?.clearApprovals();
  }

  sendPlain(port: RelayPort, peer: PacketPeer, bytes: Uint8Array): void {
    this.ports.get(port)?.send(peer, bytes);
  }

  bindPort(port: RelayPort, to: PortTarget): void {
    const found = this.ports.get(port);
    if (found !== undefined) found.to = to;
  }

  bindPeer(port: RelayPort, from: PacketPeer, to: PeerTarget | 'script' | undefined, idleMs?: number): void {
    this.ports.get(port)?.bindPeer(from, to, idleMs);
  }

  bindRoute(cid: number, route: number, to: RouteTarget, options?: { readonly held: boolean }): void {
    const channel = this.channels.get(cid);
    if (channel === undefined) return;
    const known = channel.routes.get(route);
    const made =
      known ?? new ScriptRoute(this.clock, to, (target, body) => this.deliver(channel, target, body));
    channel.routes.set(route, made);
    this.upcalls.within(() => made.bind(to, options?.held ?? false));
  }

  unbindRoute(cid: number, route: number): void {
    this.channels.get(cid)?.unbind(route);
  }

  sendDatagram(cid: number, route: number, peer: PacketPeer, bytes: Uint8Array): void {
    const body: DatagramBody = { kind: 'datagram', route, peer, bytes: Buffer.from(bytes) };
    this.upcalls.within(() => this.sendOn(cid, body));
  }

  report(): RelayReport {
    return reportOf(this.doors, this.channels, this.ports);
  }

  channelCounters(cid: number): RelayCounters | undefined {
    return this.channels.get(cid)?.tally;
  }

  close(): void {
    this.closed = true;
    this.upcalls.close();
    for (const { socket } of this.doors.values()) socket.close();
    for (const port of this.ports.values()) port.close();
    for (const cid of [...this.channels.keys()]) this.removeChannel(cid);
    this.doors.clear();
    this.ports.clear();
  }

  private sendPacket(channel: ScriptChannel, door: DoorId, to: PacketPeer, packet: Buffer | undefined): void {
    const { handlers } = this;
    if (packet === undefined || channel.spent) this.upcalls.tell(() => handlers.onSpent(channel.cid));
    const found = this.doors.get(door);
    if (packet === undefined || found === undefined) return;
    tallyOut(found.tally, packet.length);
    found.socket.send(packet, to, () => {
      channel.tally.unsent++;
    });
  }

  private onPacket(door: DoorId, tally: Tally, packet: Buffer, from: PacketPeer): void {
    tallyIn(tally, packet.length);
    const header = decodePacketHeader(packet);
    const channel = header && this.channels.get(header.cid);
    if (channel === undefined) {
      tally.unknown++;
      return;
    }
    const body = channel.open(packet, this.clock.now());
    if (body === undefined) return;
    if (isControlBody(body))
      return this.upcalls.tell(() => this.handlers.onControl(channel.cid, door, from, body));
    if (channel.tellsElsewhere(door, from, this.clock.now()))
      this.upcalls.tell(() => this.handlers.onElsewhere(channel.cid, door, from));
    for (const datagram of body.kind === 'bundle' ? body.datagrams : [body]) channel.take(datagram);
  }

  private deliver(channel: ScriptChannel, to: RouteTarget, body: DatagramBody): void {
    const { route, peer, bytes } = body;
    if (to === 'script')
      return this.upcalls.tell(() => this.handlers.onDatagram(channel.cid, route, peer, bytes));
    if (to === 'drop') channel.tally.unbound++;
    else if ('cid' in to) this.sendOn(to.cid, { ...body, route: to.route });
    else if (to.only !== undefined && peerKey(to.only) !== peerKey(peer)) channel.tally.unbound++;
    else this.sendFromPort(channel, to.port, to.peer ?? peer, bytes);
  }

  private sendFromPort(channel: ScriptChannel, id: RelayPort, peer: PacketPeer, bytes: Buffer): void {
    const port = this.ports.get(id);
    if (port === undefined) channel.tally.unbound++;
    else if (port.sendIfApproved(peer, bytes)) this.upcalls.tell(() => this.handlers.onUnapproved(id, peer));
  }

  private onPortArrival(id: RelayPort, port: PlainPort, bytes: Buffer, from: PacketPeer): void {
    const to = port.onArrival(bytes, from);
    if (to === 'script')
      return this.upcalls.tell(() => this.handlers.onPortDatagram(id, from, bytes, undefined));
    if (to === undefined) return;
    this.sendOn(to.cid, { kind: 'datagram', peer: from, bytes, ...to });
  }

  private sendOn(cid: number, body: DatagramBody): void {
    const channel = this.channels.get(cid);
    if (channel === undefined) return;
    const { path } = channel;
    if (path === undefined) {
      channel.tally.pathless++;
      return;
    }
    if (channel.spent) return this.sendPacket(channel, path.door, path.peer, undefined);
    const packets = channel.sealDatagram(body, path.packetBytes);
    for (const packet of packets) this.sendPacket(channel, path.door, path.peer, packet);
    if (packets.length > 0) return;
    channel.tally.oversize++;
    const { route, peer, bytes } = body;
    this.upcalls.tell(() => this.handlers.onOversize(cid, route, peer, bytes));
  }
}
