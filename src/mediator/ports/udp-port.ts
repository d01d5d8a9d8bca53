import dgram, { type RemoteInfo, type Socket } from 'node:dgram';
import { asEntremiseError, type ErrorCode } from '../../base/errors.ts';
import { canonicalAddress } from '../../policy/target.ts';
import { canonicalIp } from '../../wire/ip.ts';
import type { Datagram } from '../../wire/messages/binary.ts';
import type { PortListing } from '../../wire/messages/command.ts';
import { maxDatagramBytes } from '../../wire/spec.ts';
import { Destinations } from './destinations.ts';
import type { BoundTo, HeldNumber } from './open.ts';
import type { PortCondition } from './port-states.ts';
import type { PortSurroundings } from './surroundings.ts';

/**
 * A UDP port (S12, S13, P5.9): datagrams both ways in the TCP channel. What cannot go at once is dropped and counted, as
 * UDP has it; a port never makes a stream wait. The local address of a port on a wildcard is not told: Node does not
 * know it.
 */

/** Bytes that may wait in the kernel's and Node's send queue. */
const sendQueueBytes = 256 * 1024;

/** How often at most a terminal is told that datagrams were dropped. */
const tellEveryMs = 1000;

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
  private readonly socket: Socket;
  private readonly destinations: Destinations;
  private open = true;
  private untold = 0;
  private untoldAway = 0;
  private cancelTelling: (() => void) | undefined;

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
    this.id = id;
    this.held = held;
    this.bound = bound;
    this.surroundings = surroundings;
    this.onClosed = onClosed;
    this.destinations = new Destinations(surroundings.clock, (address, number) =>
      this.decide(address, number),
    );
    this.socket = dgram.createSocket({
      type: bound.family === 4 ? 'udp4' : 'udp6',
      ipv6Only: bound.family === 6,
      // Only literals are sent to: nothing is ever resolved behind authorise().
      lookup: (host, _options, done) => done(null, host, bound.family),
    });
    this.socket.on('message', (bytes, from) => this.onMessage(bytes, from));
    this.socket.on('error', error => surroundings.log.warn({ port: id, err: error }, 'UDP port failed'));
    held.reserved.bind(this.socket);
  }

  /** Its number. */
  get number(): number {
    return this.held.reserved.port;
  }

  /** For the table of port-states.ts. */
  get condition(): PortCondition {
    return this.open ? 'udp opened' : 'udp closed';
  }

  /** As QUERY tells it. */
  get listing(): PortListing {
    const address = canonicalIp(this.bound.text.split('%')[0] ?? '') ?? this.bound.text;
    return { port: this.id, protocol: 'udp', address, number: this.number, state: 'opened', streams: 0 };
  }

  /** Destinations that are remembered. */
  get destinationCount(): number {
    return this.destinations.size;
  }

  private onMessage(bytes: Buffer, from: RemoteInfo): void {
    const peerAddress = canonicalIp(from.address.split('%')[0] ?? '');
    if (!this.open || peerAddress === undefined || bytes.length > maxDatagramBytes) return;
    if (this.surroundings.holder.away) {
      this.dropped.away++;
      this.untoldAway++;
      return;
    }
    this.surroundings.sendDatagram({ port: this.id, peerAddress, peerNumber: from.port, bytes });
  }

  /** A datagram of the terminal's: sends it if its destination may be sent to. */
  send({ peerAddress, peerNumber, bytes }: Datagram): void {
    if (!this.open) return;
    const verdict = this.destinations.verdict(peerAddress, peerNumber);
    if (verdict === 'allowed') this.sendNow(peerAddress, peerNumber, bytes);
    else if (verdict === 'too-fast') this.tooFast();
    else if (verdict === 'denied') this.dropped.denied++;
    else this.dropped.failed++;
  }

  private decide(address: string, number: number): 'allowed' | 'denied' | 'undecided' {
    try {
      // What cannot be sent at all is not asked about: the answer would be about nothing.
      if (number === 0 || canonicalAddress(address).family !== this.bound.family) return 'denied';
      const target = canonicalAddress(this.withZone(address));
      const details = { verb: 'datagram', port: this.id, address: target.text, number };
      this.surroundings.door.permit({ verb: 'datagram', target, number }, details);
      return 'allowed';
    } catch (thrown) {
      const { code, message } = asEntremiseError(thrown);
      this.surroundings.log.info({ port: this.id, code, reason: message }, 'destination refused');
      return code === 'audit-unavailable' ? 'undecided' : 'denied';
    }
  }

  /** On a port of a link-local address its peers are on the same link. */
  private withZone(address: string): string {
    const zone = this.bound.text.split('%')[1];
    const linkLocal = zone !== undefined && /^fe[89ab]/.test(address);
    return linkLocal ? `${address}%${zone}` : address;
  }

  private sendNow(address: string, number: number, bytes: Buffer): void {
    if (this.socket.getSendQueueSize() > sendQueueBytes) {
      this.dropped.failed++;
      return;
    }
    this.socket.send(bytes, number, this.withZone(address), error => {
      // Too long for the path, or no way there: the terminal's own protocol notices, as on any path.
      if (error !== null) this.dropped.failed++;
    });
  }

  /** The first drop is told at once, those that follow together. */
  private tooFast(): void {
    this.dropped.tooFast++;
    this.untold++;
    if (this.cancelTelling === undefined) this.tellDropped();
  }

  private tellDropped(): void {
    const { clock, sendEvent } = this.surroundings;
    this.cancelTelling = undefined;
    if (this.untold === 0) return;
    sendEvent({ kind: 'limit', port: this.id, timeMs: clock.wallTimeMs(), count: this.untold });
    this.untold = 0;
    this.cancelTelling = clock.after(tellEveryMs, () => this.tellDropped());
  }

  /** The terminal is back: it is told how many datagrams it missed (P4.7). */
  onBack(): void {
    if (this.untoldAway === 0) return;
    const { clock, sendEvent } = this.surroundings;
    sendEvent({ kind: 'lost', port: this.id, timeMs: clock.wallTimeMs(), count: this.untoldAway });
    this.untoldAway = 0;
  }

  /** Closes (S11). Nothing can be drained: what is sent is sent. */
  close(_streams: 'reset' | 'drain' = 'reset'): void {
    if (!this.open) return;
    this.open = false;
    this.cancelTelling?.();
    this.socket.close();
    this.held.giveUp();
    this.onClosed();
  }

  /** What was allowed may not be any more. Returns the refusal's code when the port had to be closed. */
  reauthorise(): ErrorCode | undefined {
    this.destinations.clear();
    const { address } = this.bound;
    const number = { choice: 'mandatory', number: this.number } as const;
    const denial = this.surroundings.door.ask({ verb: 'open', protocol: 'udp', address, number });
    if (denial !== undefined) this.close();
    return denial?.code;
  }
}
