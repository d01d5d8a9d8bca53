import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { NativeSockets } from '../../native/addon.ts';
import { endpointKey, endpointOf, PacketCapture, type WireSighting } from '../../native/packet-capture.ts';
import type { GatewayFacts } from '../../policy/gateway-facts.ts';
import { type IpText, ipFromBytes, ipToBytes } from '../../wire/ip.ts';
import type { EventsReport, NetworkInterface } from '../../wire/messages/report.ts';
import type { BoundTo } from '../ports/open.ts';
import { Connections, type WireEvent } from './connections.ts';
import { addressesOf, interfacesFor, zoneOf } from './places.ts';

/**
 * What ports hear of the wire (S15, S16): the one capture of a mediator, told which ports are opened, and what it sees
 * told to the port that it is about and to no other. While no port is opened nothing is captured.
 */

/** An end of a connection in the words of EVENT. */
export interface WirePeer {
  readonly peerAddress: IpText;
  readonly peerNumber: number;
}

/** What happened, in the words of EVENT. */
export interface PortSighting extends WirePeer {
  readonly kind: WireEvent['kind'];
  readonly from: 'peer' | 'gateway';
  /** Whole ms since 1970. */
  readonly timeMs: number;
}

/** What a port wants to hear. */
export interface WireListener {
  onSighting(sighting: PortSighting): void;
  /** So many events of this mediator's ports were seen, or should have been, and cannot be told. */
  onLost(count: number): void;
}

/** A port's ear on the wire. Its connections are told by the sockets that have them, from {@link claim} on. */
export interface WireTap {
  claim(localAddress: IpText, peer: WirePeer): void;
  /** Nothing was told of it, and its socket is closed. */
  release(localAddress: IpText, peer: WirePeer): void;
  /** Its end was told. */
  end(localAddress: IpText, peer: WirePeer): void;
  close(): void;
}

/** Where a port is, and its number. */
export interface TappedPort {
  readonly bound: BoundTo;
  readonly number: number;
}

/** What is needed of the mediator. */
export interface WireViewOptions {
  readonly native: NativeSockets | undefined;
  readonly clock: Clock;
  readonly log: Log;
  interfaces(): readonly NetworkInterface[];
  facts(): GatewayFacts;
  /** {@link WireView.report} has changed. */
  onChange(): void;
}

interface Tap {
  readonly id: number;
  readonly port: TappedPort;
  readonly listener: WireListener;
  readonly sinceMs: number;
}

/** Why only sockets tell, and what else is different, where there is no addon (docs/configuration.md). */
export const withoutAddon = 'the native addon is missing, and with it more (docs/configuration.md)';

/** How long the rings stay when no port is left: ports come and go, and each ring is a megabyte that has to be found. */
const lingerMs = 60_000;

/** An interface that refused is tried again after that. */
const retryMs = 5000;

/** See the head of this file. */
export class WireView {
  private readonly options: WireViewOptions;
  private readonly capture: PacketCapture | undefined;
  private readonly taps = new Set<Tap>();
  private tapsAt = new Map<string, Tap[]>();
  private readonly connections = new Connections<Tap>((tap, event) => this.tell(tap, event));
  private trouble: string | undefined;
  private lastId = 0;
  private cancelApply: (() => void) | undefined;
  /** What {@link apply} has not seen yet. */
  private readonly news = new Set<Tap | 'environment'>();
  private cancelLinger: (() => void) | undefined;
  private cancelTick: (() => void) | undefined;

  constructor(options: WireViewOptions) {
    this.options = options;
    const { native } = options;
    const started =
      native === undefined
        ? 'ENOSYS'
        : PacketCapture.start(native, (sightings, lost) => this.onSightings(sightings, lost));
    if (started instanceof PacketCapture) this.capture = started;
    else if (native === undefined) this.trouble = withoutAddon;
    else this.trouble = started === 'EPERM' ? 'CAP_NET_RAW is missing' : `no packet sockets: ${started}`;
    if (this.capture === undefined)
      options.log.info({ reason: this.trouble }, 'events come from sockets only');
  }

  /** Whether events come from the wire, for HELLO and REPORT. */
  get report(): EventsReport {
    const { trouble } = this;
    return trouble === undefined ? { from: 'wire' } : { from: 'socket', why: trouble };
  }

  /** What was seen, recorded and lost since the start. */
  get counters(): PacketCapture['counters'] {
    return this.capture?.counters;
  }

  /** Listens for a port, until the tap is closed. */
  tap(port: TappedPort, listener: WireListener): WireTap {
    const sinceMs = this.options.clock.wallTimeMs();
    const tap = { id: ++this.lastId, port, listener, sinceMs };
    this.taps.add(tap);
    this.applySoon(tap);
    const keyOf = (localAddress: IpText, { peerAddress, peerNumber }: WirePeer) => {
      const local = endpointKey({ address: ipToBytes(localAddress), number: port.number });
      const peer = endpointKey({ address: ipToBytes(peerAddress), number: peerNumber });
      return { key: connectionKey(tap, local, peer), peer };
    };
    return {
      claim: (localAddress, peer) => {
        const { key, peer: peerKey } = keyOf(localAddress, peer);
        this.connections.claim(tap, key, peerKey);
      },
      release: (localAddress, peer) => this.connections.release(keyOf(localAddress, peer).key),
      end: (localAddress, peer) => this.connections.end(keyOf(localAddress, peer).key),
      close: () => {
        if (!this.taps.delete(tap)) return;
        this.connections.forget(tap);
        if (!this.news.delete(tap)) this.applySoon(tap);
        else if (this.news.size === 0) this.cancelApply?.();
      },
    };
  }

  /** Interfaces or the owner's word for them have changed. */
  onEnvironment(): void {
    this.applySoon('environment');
  }

  /** A port that connects within this turn was never to be listened for: it costs nothing. */
  private applySoon(news: Tap | 'environment'): void {
    if (this.capture === undefined) return;
    this.news.add(news);
    this.cancelApply ??= this.applyLater();
  }

  private applyLater(): () => void {
    const cancel = this.options.clock.after(0, () => this.apply());
    return () => {
      this.cancelApply = undefined;
      cancel();
    };
  }

  private apply(): void {
    this.cancelApply?.();
    this.news.clear();
    const { capture } = this;
    if (capture === undefined) return;
    const interfaces = this.options.interfaces();
    this.tapsAt = this.tapsByEndpoint(interfaces);
    const endpoints = [...this.tapsAt.keys()].map(endpointOf);
    if (this.taps.size === 0) {
      this.linger();
      this.judge(capture.setTargets(endpoints));
      return;
    }
    this.cancelLinger?.();
    this.cancelLinger = undefined;
    const places = [...this.taps].map(({ port }) => port.bound);
    // Targets first: an interface that is new begins with them.
    const refused = capture.setTargets(endpoints);
    this.judge(refused ?? capture.watch(interfacesFor(places, interfaces, this.options.facts())));
  }

  private leave(): void {
    this.cancelLinger = undefined;
    // One that is new may be gone before it is applied: then nobody would look again.
    if (this.taps.size > 0) this.linger();
    else this.capture?.watch([]);
  }

  private linger(): void {
    this.cancelLinger ??= this.options.clock.after(lingerMs, () => this.leave());
  }

  private judge(refused: string | undefined): void {
    const before = this.trouble;
    this.trouble = refused === undefined ? undefined : `an interface cannot be captured: ${refused}`;
    if (refused !== undefined) this.options.clock.after(retryMs, () => this.applySoon('environment'));
    if (before === this.trouble) return;
    if (refused !== undefined) this.options.log.warn({ reason: this.trouble }, 'capture is incomplete');
    this.options.onChange();
  }

  private tapsByEndpoint(interfaces: readonly NetworkInterface[]): Map<string, Tap[]> {
    const found = new Map<string, Tap[]>();
    for (const tap of this.taps)
      for (const address of addressesOf(tap.port.bound, interfaces)) {
        const key = endpointKey({ address: ipToBytes(address), number: tap.port.number });
        found.set(key, [...(found.get(key) ?? []), tap]);
      }
    return found;
  }

  private onSightings(sightings: readonly WireSighting[], lost: number): void {
    const nowMs = this.options.clock.now();
    for (const sighting of sightings) {
      const tap = this.tapOf(sighting);
      if (tap === undefined) continue;
      const key = connectionKey(tap, sighting.local, sighting.peer);
      this.connections.saw(tap, key, sighting, nowMs);
    }
    if (lost > 0) for (const { listener } of [...this.taps]) listener.onLost(lost);
    this.tickSoon();
  }

  /** What is older than the port was meant for another that had its number before. */
  private tapOf({ local, interfaceIndex, timeMs }: WireSighting): Tap | undefined {
    return this.tapsAt.get(local)?.find(({ port, sinceMs }) => {
      const zone = zoneOf(port.bound);
      return timeMs >= sinceMs - 1 && (zone === undefined || this.capture?.indexOf(zone) === interfaceIndex);
    });
  }

  private tickSoon(): void {
    const { nextMs } = this.connections;
    if (nextMs === undefined || this.cancelTick !== undefined) return;
    const { clock } = this.options;
    this.cancelTick = clock.after(nextMs - clock.now(), () => {
      this.cancelTick = undefined;
      this.connections.tick(clock.now());
      this.tickSoon();
    });
  }

  private tell(tap: Tap, { kind, from, timeMs, peer }: WireEvent): void {
    if (!this.taps.has(tap)) return;
    const { address, number } = endpointOf(peer);
    const who = { peerAddress: ipFromBytes(address), peerNumber: number };
    tap.listener.onSighting({ kind, from, timeMs: Math.round(timeMs), ...who });
  }

  /** Ends the capture. */
  stop(): void {
    this.cancelApply?.();
    this.cancelLinger?.();
    this.cancelTick?.();
    this.capture?.stop();
  }
}

function connectionKey({ id }: Tap, local: string, peer: string): string {
  return `${id} ${local}${peer}`;
}
