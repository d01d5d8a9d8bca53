import { EntremiseError } from '../../base/errors.ts';
import type { Portroute } from '../../wire/messages/attach.ts';
import type { Datagram } from '../../wire/messages/binary.ts';
import type { CommandOf, PortListing, Protocol } from '../../wire/messages/command.ts';
import type { Carrier } from '../../wire/messages/shared.ts';
import { openNumber } from './open.ts';
import { noSuchPort, type PortAnswer, type PortVerb, portAnswers } from './port-states.ts';
import type { PortSurroundings, ResultFields } from './surroundings.ts';
import { TcpPort } from './tcp-port.ts';
import { UdpPort } from './udp-port.ts';

/** The ports of one attachment: by id, or by the seq of the OPEN that made them (P3.4). */

/** A port of either protocol. */
export type Port = TcpPort | UdpPort;

/** How a command names a port. */
export interface PortReference {
  readonly port?: number;
  readonly portOf?: number;
}

function refusal(answer: Exclude<PortAnswer, 'run'>): EntremiseError {
  return new EntremiseError(answer.code, { by: 'mediator', message: answer.message });
}

/** The relay may find that it cannot have the number after all. @throws EntremiseError as the relay's addPort */
function udpPort(...args: ConstructorParameters<typeof UdpPort>): UdpPort {
  try {
    return new UdpPort(...args);
  } catch (thrown) {
    args[1].giveUp();
    throw thrown;
  }
}

/** See the head of this file. */
export class PortTable {
  private readonly surroundings: PortSurroundings;
  private readonly ports = new Map<number, Port>();
  private readonly idOfSeq = new Map<number, number>();
  /** Datagrams for ports that are not there. */
  droppedDatagrams = 0;

  constructor(surroundings: PortSurroundings) {
    this.surroundings = surroundings;
  }

  /** Live ports. */
  get count(): number {
    return this.ports.size;
  }

  /** OPEN (S7): a new port; `seq` is its command's. */
  open(command: CommandOf<'open'>, seq: number): ResultFields {
    const { port, address, number } = this.add(command, 'open', seq).listing;
    return { port, address, number };
  }

  /**
   * REDIRECT (S8): as OPEN for UDP, or an opened UDP port's id; or, with `back`, a redirected one's. Resolves once it is
   * known which channel is in force.
   * @throws EntremiseError as {@link forVerb} and openNumber
   */
  async redirect(command: CommandOf<'redirect'>, seq: number): Promise<ResultFields> {
    const { back = false, fallback = 'tcp', ownChannel = false } = command;
    const port = this.redirectable(command, seq);
    const { address, number } = port.listing;
    if (back) port.backToTcp();
    const channel: Carrier = back ? 'tcp' : await port.redirect(fallback, ownChannel);
    return { port: port.id, address, number, channel };
  }

  private redirectable(command: CommandOf<'redirect'>, seq: number): UdpPort {
    const { port: id, portOf, back = false, fallback = 'tcp' } = command;
    if (id === undefined && portOf === undefined) return this.openForRedirect(command, seq);
    const port = this.forVerb(back ? 'redirect back' : 'redirect', command);
    if (!(port instanceof UdpPort))
      throw new EntremiseError('internal', { message: 'REDIRECT came through to a TCP port.' });
    const number = { choice: 'mandatory', number: port.number } as const;
    const asked = { verb: 'redirect', port: { address: port.bound.address, number } } as const;
    this.surroundings.door.permit(asked, {
      verb: 'redirect',
      port: port.id,
      ...(back ? { back } : { fallback }),
    });
    return port;
  }

  private openForRedirect(command: CommandOf<'redirect'>, seq: number): UdpPort {
    const { id, protocol = 'udp', number = 0, choice, address, zone, family, back = false } = command;
    if (protocol !== 'udp' || choice === undefined || back)
      throw new EntremiseError('bad-request', {
        message: 'REDIRECT opens a UDP port by its number and `choice`, or names an opened one by `port`.',
      });
    const where = { ...(address && { address }), ...(zone && { zone }), ...(family && { family }) };
    const opened = this.add({ id, verb: 'open', protocol, number, choice, ...where }, 'redirect', seq);
    if (opened instanceof UdpPort) return opened;
    throw new EntremiseError('internal', { message: 'REDIRECT has opened a TCP port.' });
  }

  private add(command: CommandOf<'open'>, verb: 'open' | 'redirect', seq: number): Port {
    const { surroundings } = this;
    const { held, bound } = openNumber(command, verb, surroundings);
    const id = surroundings.nextPortId();
    const onClosed = () => {
      this.ports.delete(id);
      if (this.idOfSeq.get(seq) === id) this.idOfSeq.delete(seq);
    };
    const port =
      held.protocol === 'tcp'
        ? new TcpPort(id, held, bound, surroundings, onClosed)
        : udpPort(id, held, bound, surroundings, onClosed);
    this.ports.set(id, port);
    this.idOfSeq.set(seq, id);
    return port;
  }

  private named({ port, portOf }: PortReference): Port {
    if ((port === undefined) === (portOf === undefined)) {
      throw new EntremiseError('bad-request', {
        message: 'Name the port by `port` or by `portOf`, one of the two.',
      });
    }
    const found = this.ports.get(port ?? this.idOfSeq.get(portOf ?? 0) ?? 0);
    if (found === undefined) throw refusal(noSuchPort as Exclude<PortAnswer, 'run'>);
    return found;
  }

  /**
   * The port that a command names, when the command makes sense in its state (P5.7).
   * @throws EntremiseError `no-such-port`, `wrong-state`, `unsupported`, `bad-request`
   */
  forVerb(verb: PortVerb, reference: PortReference): Port {
    const port = this.named(reference);
    const answer = portAnswers[port.condition][verb];
    if (answer === 'run') return port;
    throw refusal(answer);
  }

  /** As {@link forVerb}, for the commands that only TCP ports know. */
  tcpForVerb(verb: 'connect' | 'listen', reference: PortReference): TcpPort {
    const port = this.forVerb(verb, reference);
    if (port instanceof TcpPort) return port;
    throw new EntremiseError('internal', { message: `${verb} came through to a UDP port.` });
  }

  /** Another process of the terminal has the ports (P4.6). Its seqs begin anew: those of before name no port any more. */
  onAdopted(): void {
    this.idOfSeq.clear();
    for (const port of [...this.ports.values()]) if (port instanceof TcpPort) port.onAdopted();
  }

  /** A datagram of the terminal's (S12). */
  onDatagram(datagram: Datagram): void {
    const port = this.ports.get(datagram.port);
    if (port instanceof UdpPort) port.send(datagram);
    else this.droppedDatagrams++;
  }

  /** Among the datagrams of a port a mark has come (P7.7). */
  onMark(id: number): void {
    const port = this.ports.get(id);
    if (port instanceof UdpPort) port.onMark();
  }

  /** PORTROUTE about a port has come (P7.2). */
  onPortroute(message: Portroute): void {
    const port = this.ports.get(message.port);
    if (port instanceof UdpPort) port.onPortroute(message);
  }

  /** At most `count` ports with an id above `after`, by id. */
  listings(after: number, count: number): PortListing[] {
    const ids = [...this.ports.keys()].filter(id => id > after).sort((a, b) => a - b);
    return ids.slice(0, count).flatMap(id => this.ports.get(id)?.listing ?? []);
  }

  /** The most destinations that a UDP port remembers. */
  get mostDestinations(): number {
    const counts = [...this.ports.values()].map(port =>
      port instanceof UdpPort ? port.destinationCount : 0,
    );
    return Math.max(0, ...counts);
  }

  /** Stream 0 has room again: connections may wait for that (P3.7). */
  onRoom(): void {
    for (const port of [...this.ports.values()]) if (port instanceof TcpPort) port.onRoom();
  }

  /** Closes the port that holds that number, if one does. */
  release(protocol: Protocol, address: string, number: number): void {
    for (const port of [...this.ports.values()]) {
      const isIt =
        port.listing.protocol === protocol && port.bound.text === address && port.number === number;
      if (isIt) port.close('reset');
    }
  }

  /** Its terminal is away from now on (P4.7). */
  onAway(): void {
    for (const port of [...this.ports.values()]) port.onAway();
  }

  /** Its terminal is back, and can be told things. */
  onBack(): void {
    for (const port of [...this.ports.values()]) port.onBack();
  }

  /** Closes what is not allowed any more; returns how many. */
  reauthorise(): number {
    const closed = [...this.ports.values()].filter(port => port.reauthorise() !== undefined);
    return closed.length;
  }

  /** Closes everything. */
  closeAll(): void {
    for (const port of [...this.ports.values()]) port.close('reset');
  }
}
