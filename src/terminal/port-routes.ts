import type { Clock } from '../base/clock.ts';
import { deferred } from '../base/deferred.ts';
import { errorNumber } from '../base/errors.ts';
import type { OwnChannel } from '../member/channel-source.ts';
import type { Portroute } from '../wire/messages/attach.ts';
import type { Datagram, DatagramMark } from '../wire/messages/binary.ts';
import type { Carrier } from '../wire/messages/shared.ts';
import type { PacketPeer } from '../wire/packet.ts';
import type { PortBypass, TerminalUdp } from './terminal-udp.ts';
import { WantedPorts } from './wanted-ports.ts';

/**
 * The terminal's end of the redirected ports of one attachment (P5.5, P7.2, P7.7): which of them have a route on a UDP
 * channel, and which way each datagram goes. Each direction moves by itself, as the mediator's Redirection says.
 */

/** What an attachment's routes need. */
export interface PortRoutesOptions {
  readonly clock: Clock;
  /** Undefined: this terminal makes no UDP channels. */
  readonly udp: TerminalUdp | undefined;
  /** Says PORTROUTE on the label of now, if there is one. */
  sendPortroute(message: Omit<Portroute, 'label'>): void;
  /** By the TCP channel. */
  sendByTcp(datagram: Datagram | DatagramMark): void;
  /** A datagram for whoever has the port. */
  deliver(datagram: Datagram): void;
}

/** How long a REDIRECT waits for this end's channel; where the TCP channel may do meanwhile, a client has datagrams waiting. */
const readyMs = { tcp: 500, none: 3_000 };

/** How long what comes by the TCP channel is held when a port moves there: late packets come first (P7.7). */
const holdMs = 100;

/** A relay hands up what came before it was bound anew a turn or two of the event loop later: the mark is behind that. */
const handUpMs = 10;

interface PortRoute {
  readonly cid: number;
  readonly route: number;
  /** It has been made: datagrams may go that way. */
  isMade: boolean;
  /** Datagrams leave by UDP. */
  leavesByUdp: boolean;
  /** Towards this end: the mark is awaited, or has come. */
  inbound: 'held' | 'udp' | 'tcp';
}

/** See the head of this file. */
export class PortRoutes {
  private readonly options: PortRoutesOptions;
  private readonly routes = new Map<number, PortRoute>();
  private readonly wanted: WantedPorts;
  private readonly held = new Map<number, Datagram[]>();
  /** What EVENT `channel` said last of ports, since they were redirected. */
  private readonly told = new Map<number, Carrier>();
  private readonly bypasses = new Map<number, PortBypass>();
  private unwatch: (() => void) | undefined;
  /** Datagrams that were not sent, since UDP does not pass and there is no fallback. */
  dropped = 0;

  constructor(options: PortRoutesOptions) {
    this.options = options;
    this.wanted = new WantedPorts(options.clock, options.udp?.channels);
  }

  /** True when this terminal makes UDP channels. */
  get isThere(): boolean {
    return this.options.udp !== undefined;
  }

  /** From now on somebody waits for UDP. Resolves when the channel is up, will not come up soon, or takes too long. */
  async ready(fallback: 'tcp' | 'none', own?: OwnChannel): Promise<void> {
    const { udp, clock } = this.options;
    if (udp === undefined) return;
    const channels = own ?? udp.channels;
    this.begin();
    if (channels.cid !== undefined || !channels.isTrying) return;
    const settled = deferred<void>();
    const unwatch = channels.watch(() => {
      if (channels.cid !== undefined || !channels.isTrying) settled.resolve();
    });
    const cancel = clock.after(readyMs[fallback], () => settled.resolve());
    await settled.promise;
    cancel();
    unwatch();
  }

  private begin(): void {
    this.unwatch ??= this.options.udp?.channels.watch(() => this.onChannels());
  }

  /** A channel for one port alone, ended with it; undefined when there is none to give. */
  ownChannel(): OwnChannel | undefined {
    return this.options.udp?.channels.ownChannel();
  }

  /** The port is redirected. */
  want(port: number, mayUseTcp: boolean, own?: OwnChannel): void {
    this.begin();
    this.wanted.add(port, mayUseTcp, own);
  }

  /** The port's datagrams that go by UDP do not come here any more (P7.6). */
  bypass(port: number, bypass: PortBypass): void {
    this.bypasses.set(port, bypass);
    const found = this.routes.get(port);
    if (found === undefined) return;
    this.bind(port, found);
    if (found.isMade) bypass.onRoute(found);
  }

  private bind(port: number, { cid, route, inbound }: PortRoute): void {
    const to = this.bypasses.get(port)?.to ?? 'script';
    const { udp } = this.options;
    if (inbound === 'held') udp?.hub.relay.bindRoute(cid, route, to, { held: true });
    else udp?.hub.relay.bindRoute(cid, route, to);
  }

  /** The port is an opened one again, or no more. What comes late by UDP still does. */
  forget(port: number): void {
    this.wanted.delete(port);
    this.told.delete(port);
    const found = this.routes.get(port);
    if (found?.leavesByUdp === true) this.options.sendByTcp({ port, mark: true });
    if (found !== undefined) found.leavesByUdp = false;
    this.bypasses.get(port)?.onRoute(undefined);
    this.bypasses.delete(port);
    this.rest();
  }

  private rest(): void {
    if (this.wanted.size > 0 || this.routes.size > 0) return;
    this.unwatch?.();
    this.unwatch = undefined;
  }

  /** EVENT `channel` has come. */
  onCarrier(port: number, carrier: Carrier): void {
    this.told.set(port, carrier);
  }

  /** What carries the port's datagrams by the mediator's word, which was `result` when it was opened or redirected. */
  inForce(port: number, result: Carrier): Carrier {
    return this.told.get(port) ?? result;
  }

  /** What carries the datagrams that leave here now. */
  carrierOf(port: number): 'udp' | 'tcp' {
    return this.routes.get(port)?.leavesByUdp === true ? 'udp' : 'tcp';
  }

  /** PORTROUTE has come. */
  onPortroute({ step, port, route }: Portroute): void {
    if (step === 'make' && route !== undefined) return this.onMake(port, route);
    const found = this.routes.get(port);
    if (found === undefined) return;
    if (step === 'made') this.onMade(port, found);
    if (step === 'withdraw' || step === 'refuse') this.drop(port, found);
  }

  private onMake(port: number, route: number): void {
    const { udp, sendPortroute } = this.options;
    const before = this.routes.get(port);
    if (before !== undefined) this.drop(port, before);
    const cid = this.wanted.channelOf(port)?.cid;
    if (udp === undefined || cid === undefined)
      return sendPortroute({ port, step: 'refuse', reason: errorNumber('unreachable') });
    const made: PortRoute = { cid, route, isMade: false, leavesByUdp: false, inbound: 'held' };
    this.routes.set(port, made);
    const arrive = ({ address, number }: PacketPeer, bytes: Buffer) =>
      this.options.deliver({ port, peerAddress: address, peerNumber: number, bytes });
    const oversize = ({ address, number }: PacketPeer, bytes: Buffer) =>
      this.options.sendByTcp({ port, peerAddress: address, peerNumber: number, bytes });
    udp.hub.listenToRoute(cid, route, { onDatagram: arrive, onOversize: oversize });
    this.bind(port, made);
    sendPortroute({ port, step: 'made', cid });
  }

  private onMade(port: number, found: PortRoute): void {
    if (found.isMade) return;
    found.isMade = true;
    const bypass = this.bypasses.get(port);
    if (bypass === undefined) return this.leaveByUdp(port, found);
    bypass.onRoute(found);
    this.options.clock.after(handUpMs, () => {
      if (this.routes.get(port) === found) this.leaveByUdp(port, found);
    });
  }

  private leaveByUdp(port: number, found: PortRoute): void {
    this.options.sendByTcp({ port, mark: true });
    found.leavesByUdp = true;
  }

  private drop(port: number, { cid, route }: PortRoute): void {
    this.routes.delete(port);
    this.bypasses.get(port)?.onRoute(undefined);
    const { udp } = this.options;
    udp?.hub.relay.unbindRoute(cid, route);
    udp?.hub.listenToRoute(cid, route, undefined);
    this.rest();
  }

  /** Among the mediator's datagrams a mark has come. */
  onMark(port: number): void {
    const found = this.routes.get(port);
    const { clock } = this.options;
    if (found === undefined) return;
    if (found.inbound === 'held') {
      found.inbound = 'udp';
      this.bind(port, found);
    } else if (found.inbound === 'udp') {
      found.inbound = 'tcp';
      this.held.set(port, []);
      clock.after(holdMs, () => this.releaseHeld(port));
    }
  }

  private releaseHeld(port: number): void {
    const held = this.held.get(port) ?? [];
    this.held.delete(port);
    for (const datagram of held) this.options.deliver(datagram);
  }

  /** A datagram has come by the TCP channel. */
  onTcpDatagram(datagram: Datagram): void {
    const held = this.held.get(datagram.port);
    if (held === undefined) this.options.deliver(datagram);
    else held.push(datagram);
  }

  /** Sends a datagram by whatever carries its port's. */
  send(datagram: Datagram): void {
    const { port, peerAddress: address, peerNumber: number, bytes } = datagram;
    const found = this.routes.get(port);
    if (found?.leavesByUdp === true) {
      const { udp } = this.options;
      return udp?.hub.relay.sendDatagram(found.cid, found.route, { address, number }, bytes);
    }
    if (!this.wanted.mayUseTcp(port)) this.dropped++;
    else this.options.sendByTcp(datagram);
  }

  /** The label is gone: what is made goes on by UDP as long as the channels do (P7.4); ports stay wanted. */
  onLabelGone(): void {
    for (const [port, found] of this.routes)
      if (found.isMade) this.expectNoMark(port, found);
      else this.drop(port, found);
  }

  /** It may have been on its way with the label. */
  private expectNoMark(port: number, found: PortRoute): void {
    if (found.inbound !== 'held') return;
    found.inbound = 'udp';
    this.bind(port, found);
  }

  /** There is another label: the server says if it has a route no more (P7.2). */
  onLabelBack(): void {
    for (const [port, { cid }] of this.routes) this.options.sendPortroute({ port, step: 'made', cid });
  }

  /** The attachment is over. */
  end(): void {
    for (const port of this.wanted.ports) this.wanted.delete(port);
    for (const [port, found] of this.routes) this.drop(port, found);
    this.told.clear();
    this.bypasses.clear();
    this.rest();
  }

  /** A channel has come up, or gone: then its routes are no more, and the other way round routes could be made. */
  private onChannels(): void {
    // A port that is not wanted any more keeps the route it had until that is withdrawn.
    for (const [port, found] of this.routes)
      if (this.wanted.has(port) && found.cid !== this.wanted.channelOf(port)?.cid) this.drop(port, found);
    for (const port of this.wanted.ports) {
      const cid = this.wanted.channelOf(port)?.cid;
      if (cid !== undefined && !this.routes.has(port))
        this.options.sendPortroute({ port, step: 'make', cid });
    }
  }
}
