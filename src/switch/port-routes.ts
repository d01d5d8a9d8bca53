import { type ErrorCode, errorNumber } from '../base/errors.ts';
import type { ChannelRoute } from '../relay/relay.ts';
import { type Portroute, portroute } from '../wire/messages/attach.ts';
import type { PacketPeer } from '../wire/packet.ts';
import { frameType } from '../wire/spec.ts';
import type { Route, RouteEnd } from './route.ts';

/**
 * The routes of redirected ports (P7.2): what a mediator's channel and a terminal's channel call one port, swapped like
 * labels, in the relay.
 *
 *     mediator ── make(port, cid) ──> asked ── make(port, route) ──> terminal
 *     mediator <── made ── bound ── made ──> terminal   <── made(cid) ── terminal
 *                             └── withdraw, from either end, by CLOSE, UNROUTED, or the end of a channel
 */

/** Redirected ports of an attachment. */
const maxPorts = 1024;

/** What the desk needs of a relay. */
export interface RouteRelay {
  bindRoute(cid: number, route: number, to: ChannelRoute): void;
  unbindRoute(cid: number, route: number): void;
}

/** What the desk asks of those who know the channels. */
export interface PortRouteHost {
  /** Of two channels, or of a channel and a terminal in this process. */
  readonly relay: RouteRelay;
  /** True when the channel is up and belongs to the member at the other end of `link`. */
  isUpOf(cid: number, link: object): boolean;
}

interface Entry {
  readonly route: Route;
  readonly port: number;
  readonly mediatorCid: number;
  /** What the terminal's channel calls it. */
  readonly number: number;
  /** Undefined until the terminal has answered. */
  terminalCid: number | undefined;
}

/** See the head of this file. */
export class PortRouteDesk {
  private readonly host: PortRouteHost;
  private readonly byRoute = new Map<Route, Map<number, Entry>>();
  /** By channel and route, where what does not fit goes. */
  private readonly ways = new Map<string, { readonly end: RouteEnd; readonly port: number }>();
  private nextNumber = 1;

  constructor(host: PortRouteHost) {
    this.host = host;
  }

  /** Routes that carry datagrams. */
  get size(): number {
    return [...this.byRoute.values()].flatMap(ports => [...ports.values()]).filter(isBound).length;
  }

  /** PORTROUTE has come from one end of a live attachment. */
  onMessage(end: RouteEnd, message: Portroute): void {
    const { step, port } = message;
    if (!end.route.live) return;
    if (step === 'withdraw') return this.withdraw(end.route, port, end);
    if (end.side === 'mediator') {
      if (step === 'make') this.onMake(end, message);
      return;
    }
    const entry = this.byRoute.get(end.route)?.get(port);
    // The terminal could have one now, and has none.
    if (step === 'make' && entry === undefined) say(end.route.mediatorEnd, { port, step: 'make' });
    if (entry === undefined || isBound(entry)) return;
    if (step === 'made') this.onMade(end, entry, message.cid);
    if (step === 'refuse') this.onRefused(entry, message.reason);
  }

  /** The attachment is over: so is what it redirected. Its members know (P7.2). */
  onRouteEnded(route: Route): void {
    const ports = this.byRoute.get(route);
    this.byRoute.delete(route);
    for (const entry of ports?.values() ?? []) this.unbind(entry);
  }

  /** A channel is over: what went over it goes another way. */
  onChannelEnded(cid: number): void {
    for (const ports of this.byRoute.values())
      for (const entry of ports.values())
        if (entry.mediatorCid === cid || entry.terminalCid === cid)
          this.withdraw(entry.route, entry.port, undefined, 'link-lost');
  }

  /** A datagram is too long for the channel that it was to leave on (P7.5): the TCP channel has room. */
  onOversize(cid: number, route: number, { address, number }: PacketPeer, bytes: Buffer): void {
    const way = this.ways.get(wayKey(cid, route));
    way?.end.sendLong({ port: way.port, peerAddress: address, peerNumber: number, bytes });
  }

  private onMake(end: RouteEnd, { port, cid }: Portroute): void {
    const { route } = end;
    const ports = this.byRoute.get(route) ?? new Map<number, Entry>();
    const refused = this.refusal(end, cid, ports.size);
    if (refused !== undefined || cid === undefined) return refuse(end, port, refused ?? 'bad-request');
    // The mediator asks anew: what it had is no more.
    this.withdraw(route, port, end);
    const entry = { route, port, mediatorCid: cid, number: this.freshNumber(), terminalCid: undefined };
    ports.set(port, entry);
    this.byRoute.set(route, ports);
    say(route.terminalEnd, { port, step: 'make', route: entry.number });
  }

  private refusal({ route, link }: RouteEnd, cid: number | undefined, ports: number): ErrorCode | undefined {
    if (cid === undefined) return 'bad-request';
    if (!this.host.isUpOf(cid, link)) return 'unreachable';
    if (ports >= maxPorts) return 'limit';
    // The same question as of COMMAND REDIRECT, asked again of the same permit (P5.8).
    const verdict = route.permit.authorise({ id: 0, verb: 'redirect', port: 0 });
    return verdict.allowed ? undefined : verdict.code;
  }

  private freshNumber(): number {
    const number = this.nextNumber;
    this.nextNumber = number === 0xffff_ffff ? 1 : number + 1;
    return number;
  }

  private onMade(end: RouteEnd, entry: Entry, cid: number | undefined): void {
    const { route, port, mediatorCid, number } = entry;
    if (cid === undefined || !this.host.isUpOf(cid, end.link))
      return this.onRefused(entry, errorNumber('unreachable'));
    entry.terminalCid = cid;
    const { relay } = this.host;
    relay.bindRoute(mediatorCid, port, { cid, route: number });
    relay.bindRoute(cid, number, { cid: mediatorCid, route: port });
    this.ways.set(wayKey(mediatorCid, port), { end: route.mediatorEnd, port });
    this.ways.set(wayKey(cid, number), { end: route.terminalEnd, port });
    say(route.terminalEnd, { port, step: 'made', route: number });
    say(route.mediatorEnd, { port, step: 'made', route: port });
  }

  private onRefused({ route, port }: Entry, reason: number | undefined): void {
    this.byRoute.get(route)?.delete(port);
    say(route.mediatorEnd, { port, step: 'refuse', reason: reason ?? errorNumber('unreachable') });
  }

  /** `by`: the end that withdraws, and knows it. */
  private withdraw(route: Route, port: number, by: RouteEnd | undefined, code?: ErrorCode): void {
    const ports = this.byRoute.get(route);
    const entry = ports?.get(port);
    if (entry === undefined) return;
    ports?.delete(port);
    this.unbind(entry);
    const reason = code === undefined ? {} : { reason: errorNumber(code) };
    for (const end of [route.terminalEnd, route.mediatorEnd])
      if (end !== by) say(end, { port, step: 'withdraw', ...reason });
  }

  private unbind({ mediatorCid, port, terminalCid, number }: Entry): void {
    if (terminalCid === undefined) return;
    for (const [cid, route] of [
      [mediatorCid, port],
      [terminalCid, number],
    ] as const) {
      this.host.relay.unbindRoute(cid, route);
      this.ways.delete(wayKey(cid, route));
    }
  }
}

function wayKey(cid: number, route: number): string {
  return `${cid}|${route}`;
}

function isBound({ terminalCid }: Entry): boolean {
  return terminalCid !== undefined;
}

function say({ link, label }: RouteEnd, message: Omit<Portroute, 'label'>): void {
  link.send(frameType.portroute, portroute.toBytes({ label, ...message }));
}

function refuse(end: RouteEnd, port: number, code: ErrorCode): void {
  say(end, { port, step: 'refuse', reason: errorNumber(code) });
}
