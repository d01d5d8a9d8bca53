import type { Clock } from '../base/clock.ts';
import { type ErrorCode, errorNumber } from '../base/errors.ts';
import type { ChannelRoute } from '../relay/relay.ts';
import { type Portroute, portroute } from '../wire/messages/attach.ts';
import type { PacketPeer } from '../wire/packet.ts';
import { frameType } from '../wire/spec.ts';
import type { RouteSide } from './frame-class.ts';
import type { Route, RouteEnd } from './route.ts';

/**
 * The routes of redirected ports (P7.2): what a mediator's channel and a terminal's channel call one port, swapped like
 * labels, in the relay.
 *
 *     mediator ── make(port, cid) ──> asked ── make(port, route) ──> terminal
 *     mediator <── made ── bound ── made ──> terminal   <── made(cid) ── terminal
 *                             └── withdraw, from either end, by CLOSE, or the end of the attachment or of a channel
 *
 * Where a link is lost they go on, as channels do, until the attachment has another one or may not (P7.4).
 */

/** How long they go on without the link of either member: as long as its channel does (P7.4). */
const orphanMs = 120_000;

/** Redirected ports of an attachment. */
const maxPorts = 1024;

/** What the desk needs of a relay. */
export interface RouteRelay {
  bindRoute(cid: number, route: number, to: ChannelRoute): void;
  unbindRoute(cid: number, route: number): void;
}

/** What the desk asks of those who know the channels. */
export interface PortRouteHost {
  readonly clock: Clock;
  /** Of two channels, or of a channel and a terminal in this process. */
  readonly relay: RouteRelay;
  /** True when the channel is up and belongs to the member at the other end of `link`. */
  isUpOf(cid: number, link: object): boolean;
}

interface Entry {
  /** Of the newest label. */
  route: Route;
  readonly port: number;
  readonly mediatorCid: number;
  /** What the terminal's channel calls it. */
  readonly number: number;
  /** Undefined until the terminal has answered. */
  terminalCid: number | undefined;
}

/** What an attachment without a label has still. */
interface Orphans {
  readonly route: Route;
  readonly ports: Map<number, Entry>;
  cancelEnd(): void;
}

/** One attachment, whichever label it has. */
function attachmentOf({ parties: { terminal, mediator, attachment } }: Route): string {
  return [terminal, mediator, attachment].join(' ');
}

/** See the head of this file. */
export class PortRouteDesk {
  private readonly host: PortRouteHost;
  private readonly byRoute = new Map<Route, Map<number, Entry>>();
  private readonly orphans = new Map<string, Orphans>();
  /** By channel and route, where what does not fit goes. */
  private readonly ways = new Map<string, { readonly entry: Entry; readonly side: RouteSide }>();
  private nextNumber = 1;

  constructor(host: PortRouteHost) {
    this.host = host;
  }

  /** Routes that carry datagrams. */
  get size(): number {
    return this.all.filter(isBound).length;
  }

  private get all(): readonly Entry[] {
    const orphans = [...this.orphans.values()].map(({ ports }) => ports);
    return [...this.byRoute.values(), ...orphans].flatMap(ports => [...ports.values()]);
  }

  /** PORTROUTE has come from one end of a live attachment. */
  onMessage(end: RouteEnd, message: Portroute): void {
    const { step, port } = message;
    if (!end.route.live) return;
    if (step === 'withdraw') return this.withdraw(end.route, port, end);
    const entry = this.byRoute.get(end.route)?.get(port);
    // It has a route still, and there is none any more.
    if (step === 'made' && entry === undefined) return sayWithdrawn(end, port, 'link-lost');
    if (end.side === 'mediator') {
      if (step === 'make') this.onMake(end, message);
      return;
    }
    if (step === 'make') return this.onWish(end.route, port, entry);
    if (entry === undefined || isBound(entry)) return;
    if (step === 'made') this.onMade(end, entry, message.cid);
    if (step === 'refuse') this.onRefused(entry, message.reason);
  }

  /** The terminal could have a route now, and has none: one that there was, it has lost with its channel. */
  private onWish(route: Route, port: number, entry: Entry | undefined): void {
    if (entry !== undefined && !isBound(entry)) return;
    if (entry !== undefined) this.withdraw(route, port, route.terminalEnd, 'link-lost');
    say(route.mediatorEnd, { port, step: 'make' });
  }

  /** A label of an attachment is no more. Its members know (P7.2): where a link was lost, all that is made goes on. */
  onRouteEnded(route: Route, code: ErrorCode): void {
    const ports = this.byRoute.get(route) ?? new Map<number, Entry>();
    this.byRoute.delete(route);
    const goesOn = code === 'link-lost' && route.permit.recheck() === undefined;
    for (const [port, entry] of ports) {
      if (goesOn && isBound(entry)) continue;
      ports.delete(port);
      this.unbind(entry);
    }
    if (ports.size === 0) return;
    const { clock } = this.host;
    const name = attachmentOf(route);
    this.endOrphans(name);
    const leftMs = Math.min(orphanMs, route.permit.deadlineMs - clock.now());
    this.orphans.set(name, { route, ports, cancelEnd: clock.after(leftMs, () => this.endOrphans(name)) });
  }

  /** An attachment has a label, perhaps another one: what it had is that one's, as far as it is allowed still. */
  onRouteLive(route: Route): void {
    const name = attachmentOf(route);
    const orphans = this.orphans.get(name);
    if (orphans === undefined) return;
    orphans.cancelEnd();
    this.orphans.delete(name);
    const { terminalEnd, mediatorEnd } = route;
    const isAllowed = this.denial(route) === undefined;
    const kept = new Map<number, Entry>();
    for (const [port, entry] of orphans.ports) {
      const { mediatorCid, terminalCid } = entry;
      const areTheirs =
        this.host.isUpOf(mediatorCid, mediatorEnd.link) &&
        terminalCid !== undefined &&
        this.host.isUpOf(terminalCid, terminalEnd.link);
      if (!isAllowed || !areTheirs) this.unbind(entry);
      else {
        entry.route = route;
        kept.set(port, entry);
      }
    }
    this.byRoute.set(route, kept);
  }

  /** Documents have changed: what is not allowed any more ends, with a label or without (P6.2). */
  revalidate(): void {
    for (const [name, { route }] of [...this.orphans])
      if (route.permit.recheck() !== undefined) this.endOrphans(name);
  }

  private endOrphans(name: string): void {
    const orphans = this.orphans.get(name);
    this.orphans.delete(name);
    orphans?.cancelEnd();
    for (const entry of orphans?.ports.values() ?? []) this.unbind(entry);
  }

  /** A channel is over: what went over it goes another way. */
  onChannelEnded(cid: number): void {
    for (const entry of this.all)
      if (entry.mediatorCid === cid || entry.terminalCid === cid)
        this.withdraw(entry.route, entry.port, undefined, 'link-lost');
  }

  /**
   * A datagram is too long for the channel that it was to leave on (P7.5): the TCP channel has room. False when it was on
   * none of these routes.
   */
  onOversize(cid: number, route: number, { address, number }: PacketPeer, bytes: Buffer): boolean {
    const way = this.ways.get(wayKey(cid, route));
    if (way === undefined) return false;
    const { entry, side } = way;
    const end = side === 'mediator' ? entry.route.mediatorEnd : entry.route.terminalEnd;
    if (entry.route.live) end.sendLong({ port: entry.port, peerAddress: address, peerNumber: number, bytes });
    return true;
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
    return this.denial(route);
  }

  /** The same question as of COMMAND REDIRECT, asked again of the same permit (P5.8). */
  private denial(route: Route): ErrorCode | undefined {
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
    this.ways.set(wayKey(mediatorCid, port), { entry, side: 'mediator' });
    this.ways.set(wayKey(cid, number), { entry, side: 'terminal' });
    say(route.terminalEnd, { port, step: 'made', route: number });
    say(route.mediatorEnd, { port, step: 'made', route: port });
  }

  private onRefused({ route, port }: Entry, reason: number | undefined): void {
    this.byRoute.get(route)?.delete(port);
    say(route.mediatorEnd, { port, step: 'refuse', reason: reason ?? errorNumber('unreachable') });
  }

  /** `by`: the end that withdraws, and knows it. */
  private withdraw(route: Route, port: number, by: RouteEnd | undefined, code?: ErrorCode): void {
    const ports = this.byRoute.get(route) ?? this.orphans.get(attachmentOf(route))?.ports;
    const entry = ports?.get(port);
    if (entry === undefined) return;
    ports?.delete(port);
    this.unbind(entry);
    for (const end of [route.terminalEnd, route.mediatorEnd])
      if (end !== by && route.live) sayWithdrawn(end, port, code);
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

function sayWithdrawn(end: RouteEnd, port: number, code: ErrorCode | undefined): void {
  say(end, { port, step: 'withdraw', ...(code === undefined ? {} : { reason: errorNumber(code) }) });
}

function refuse(end: RouteEnd, port: number, code: ErrorCode): void {
  say(end, { port, step: 'refuse', reason: errorNumber(code) });
}
