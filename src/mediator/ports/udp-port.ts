import { asEntremiseError, EntremiseError, type ErrorCode } from '../../base/errors.ts';
import { meetsMany } from '../../policy/address-class.ts';
import { type CanonicalAddress, canonicalAddress } from '../../policy/target.ts';
import type { RelayPort } from '../../relay/relay.ts';
import { canonicalIp, type IpText } from '../../wire/ip.ts';
import type { Portroute } from '../../wire/messages/attach.ts';
import type { Datagram } from '../../wire/messages/binary.ts';
import type { PortListing } from '../../wire/messages/command.ts';
import type { Carrier } from '../../wire/messages/shared.ts';
import type { PacketPeer } from '../../wire/packet.ts';
import { maxDatagramBytes } from '../../wire/spec.ts';
import { neighboursOf } from './bound-to.ts';
import { Destinations } from './destinations.ts';
import type { BoundTo, HeldNumber } from './open.ts';
import type { PortCondition } from './port-states.ts';
import { type Fallback, Redirection } from './redirection.ts';
import type { PortSurroundings } from './surroundings.ts';
import { UdpTeller } from './udp-teller.ts';

/**
 * A UDP port (S8, S12, S13, P5.9). Its socket is the relay's. Opened, its datagrams go both ways in the TCP channel;
 * redirected, over a UDP channel and past JavaScript, to peers that were approved here. What cannot go at once is dropped
 * and counted, as UDP has it; a port never makes a stream wait.
 */

/** Datagrams of a port that did not go, by reason. */
export interface DroppedDatagrams {
  /** They came from the LAN while the terminal was away. */
  away: number;
  denied: number;
  tooFast: number;
  failed: number;
}

/** See the head of this file. */
export class UdpPort {
  readonly id: number;
  readonly bound: BoundTo;
  readonly dropped: DroppedDatagrams = { away: 0, denied: 0, tooFast: 0, failed: 0 };
  private readonly held: HeldNumber & { readonly protocol: 'udp' };
  private readonly surroundings: PortSurroundings;
  private readonly onClosed: () => void;
  private readonly port: RelayPort;
  private readonly teller: UdpTeller;
  private readonly destinations: Destinations;
  private redirection: Redirection | undefined;
  private open = true;
  private untoldAway = 0;

  /**
   * Receives from now on. `onClosed`: the port is gone, once.
   * @throws EntremiseError `wrong-state` when the number is not held
   */
  constructor(
    id: number,
    held: HeldNumber & { readonly protocol: 'udp' },
    bound: BoundTo,
    surroundings: PortSurroundings,
    onClosed: () => void,
  ) {
    const { hub, clock, native, facts } = surroundings;
    this.id = id;
    this.held = held;
    this.bound = bound;
    this.surroundings = surroundings;
    this.onClosed = onClosed;
    this.teller = new UdpTeller(id, surroundings);
    this.destinations = new Destinations(clock, (address, number) => this.decide(address, number));
    this.port = held.reserved.handTo(hub.relay, {
      family: bound.family,
      approve: true,
      broadcast: bound.family === 4 && bound.onLan === true,
      // The addon binds it to the interface.
      ...(native === undefined && bound.scope?.shared === true
        ? { onlyFrom: neighboursOf(facts(), bound.scope.interface) }
        : {}),
    });
    this.limit();
    hub.listenToPort(this.port, {
      onDatagram: (peer, bytes, local) => this.onArrival(peer, bytes, local),
      onUnapproved: peer => this.answer(peer),
      onUnreachable: (peer, code) => this.teller.unreachable(peer, code),
    });
  }

  /** What the grant of now lets its ports move (P6.3). */
  private limit(): void {
    const { hub, usage } = this.surroundings;
    const { number: group, allowed } = usage.ofGrant;
    const { bytesPerSecond } = allowed;
    hub.relay.limitPort(this.port, bytesPerSecond === undefined ? undefined : { group, bytesPerSecond });
  }

  /** Its number. */
  get number(): number {
    return this.held.reserved.port;
  }

  /** For the table of port-states.ts. */
  get condition(): PortCondition {
    if (!this.open) return 'udp closed';
    return this.redirection === undefined ? 'udp opened' : 'udp redirected';
  }

  /** As QUERY tells it. */
  get listing(): PortListing {
    const address = canonicalIp(this.bound.text.split('%')[0] ?? '') ?? this.bound.text;
    const state = this.redirection === undefined ? 'opened' : 'redirected';
    return { port: this.id, protocol: 'udp', address, number: this.number, state, streams: 0 };
  }

  /** Destinations that are remembered. */
  get destinationCount(): number {
    return this.destinations.size;
  }

  private onArrival({ address, number }: PacketPeer, bytes: Buffer, local: IpText | undefined): void {
    if (!this.open || bytes.length > maxDatagramBytes) return;
    if (this.surroundings.holder.away) {
      this.dropped.away++;
      this.untoldAway++;
      return;
    }
    const localAddress = this.bound.address === 'wildcard' && local !== undefined ? local : undefined;
    const from = { port: this.id, peerAddress: address, peerNumber: number, bytes };
    this.surroundings.sendDatagram(localAddress === undefined ? from : { ...from, localAddress });
  }

  /** A datagram of the terminal's, by the TCP channel: sends it if its destination may be sent to. */
  send({ peerAddress, peerNumber, bytes, localAddress }: Datagram): void {
    const send = () => this.sendTo({ address: peerAddress, number: peerNumber }, bytes, localAddress);
    if (this.redirection === undefined) send();
    else this.redirection.inTurn(send);
  }

  private sendTo(peer: PacketPeer, bytes: Buffer, local?: IpText): void {
    if (!this.maySendTo(peer)) return;
    const { relay } = this.surroundings.hub;
    relay.approve(this.port, peer);
    relay.sendPlain(this.port, peer, bytes, local);
  }

  /** What has come by UDP for that peer waits for the answer. */
  private answer(peer: PacketPeer): void {
    const { relay } = this.surroundings.hub;
    if (this.maySendTo(peer)) relay.approve(this.port, peer);
    else relay.refuse(this.port, peer);
  }

  private maySendTo({ address, number }: PacketPeer): boolean {
    if (!this.open) return false;
    const verdict = this.destinations.verdict(address, number);
    if (verdict === 'too-fast') {
      this.dropped.tooFast++;
      this.teller.tooFast();
    } else if (verdict === 'denied') this.dropped.denied++;
    else if (verdict === 'undecided') this.dropped.failed++;
    return verdict === 'allowed';
  }

  private decide(address: string, number: number): 'allowed' | 'denied' | 'undecided' {
    try {
      // What cannot be sent at all is not asked about: the answer would be about nothing.
      if (number === 0 || canonicalAddress(address).family !== this.bound.family) return 'denied';
      const target = canonicalAddress(this.withZone(address));
      this.checkReach(target);
      const details = { verb: 'datagram', port: this.id, address: target.text, number };
      this.surroundings.door.permit({ verb: 'datagram', target, number }, details);
      return 'allowed';
    } catch (thrown) {
      const { code, message } = asEntremiseError(thrown);
      this.surroundings.log.info({ port: this.id, code, reason: message }, 'destination refused');
      return code === 'audit-unavailable' ? 'undecided' : 'denied';
    }
  }

  /** Groups and broadcasts are met on the LAN, and nowhere else (P6.8). */
  private checkReach(target: CanonicalAddress): void {
    if (this.bound.onLan === true || !meetsMany(target, this.surroundings.facts())) return;
    const message = `${target.text} is sent to from a port of an address on the owner's LAN, and ${this.bound.text} is none.`;
    throw new EntremiseError('not-permitted', { by: 'mediator', message });
  }

  /** On a port of a link-local address its peers are on the same link, and on one of a group. */
  private withZone(address: string): string {
    const { zone } = this.bound;
    const linkLocal = zone !== undefined && /^fe[89ab]/.test(address);
    return linkLocal ? `${address}%${zone}` : address;
  }

  /**
   * Redirects it (S8), with `isAlone` on a channel of its own if there is one; resolves with what is in force, once that is
   * known.
   */
  redirect(fallback: Fallback, isAlone: boolean): Promise<Carrier> {
    const { hub, clock, sendPortroute, sendDatagram } = this.surroundings;
    const own = isAlone ? this.surroundings.channels.ownChannel() : undefined;
    const channels = own ?? this.surroundings.channels;
    this.redirection = new Redirection({
      id: this.id,
      port: this.port,
      hub,
      clock,
      channels,
      onLeft: () => own?.end(),
      fallback,
      sendPortroute,
      sendMark: () => sendDatagram({ port: this.id, mark: true }),
      sendOversize: (peer, bytes) => this.onArrival(peer, bytes, undefined),
      onCarrier: channel => this.teller.tell({ kind: 'channel', channel }),
    });
    return this.redirection.firstCarrier;
  }

  /** A redirected port is an opened one again (P5.7). */
  backToTcp(): void {
    this.redirection?.back();
    this.redirection = undefined;
  }

  /** PORTROUTE about the port has come. */
  onPortroute(message: Portroute): void {
    this.redirection?.onPortroute(message);
  }

  /** A mark has come among its datagrams. */
  onMark(): void {
    this.redirection?.onMark();
  }

  /** The terminal is away, and with it the way that a redirected port had. */
  onAway(): void {
    this.redirection?.onAway();
  }

  /** The terminal is back: it is told how many datagrams it missed (P4.7), and a redirected port asks for its way. */
  onBack(): void {
    if (this.untoldAway > 0) this.teller.tell({ kind: 'lost', count: this.untoldAway });
    this.untoldAway = 0;
    this.limit();
    this.redirection?.onBack();
  }

  /** Closes (S11). Nothing can be drained: what is sent is sent. */
  close(_streams: 'reset' | 'drain' = 'reset'): void {
    if (!this.open) return;
    this.open = false;
    this.teller.close();
    this.redirection?.close();
    const { hub } = this.surroundings;
    hub.listenToPort(this.port, undefined);
    hub.relay.removePort(this.port);
    this.held.giveUp();
    this.onClosed();
  }

  /** What was allowed may not be any more. Returns the refusal's code when the port had to be closed. */
  reauthorise(): ErrorCode | undefined {
    this.limit();
    this.destinations.clear();
    this.surroundings.hub.relay.clearApprovals(this.port);
    const { address } = this.bound;
    const number = { choice: 'mandatory', number: this.number } as const;
    const { door } = this.surroundings;
    const denial =
      this.redirection === undefined
        ? door.ask({ verb: 'open', protocol: 'udp', address, number })
        : door.ask({ verb: 'redirect', port: { address, number } });
    if (denial !== undefined) this.close();
    return denial?.code;
  }
}
