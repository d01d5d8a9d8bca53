import type { Clock } from '../../base/clock.ts';
import type { IpText } from '../../wire/ip.ts';
import type { Report } from '../../wire/messages/report.ts';
import { FacingPorts } from '../facing-ports.ts';
import type { MediatorAttachment } from '../mediator-attachment.ts';
import { reasonOf } from '../tunnel-error.ts';
import { datagramPacket, type PacketEnds } from './ip-packet.ts';
import { fate, fateFor, type Inject, type TellRefused } from './packet-port.ts';

/** What a {@link DatagramGate} works with. */
export interface DatagramGateOptions {
  /** @throws what there is no attachment for */
  readonly attachment: () => Promise<MediatorAttachment>;
  readonly report: () => Report | undefined;
  readonly inject: Inject;
  readonly refused: TellRefused;
  readonly clock: Clock;
}

/** A socket of the command, by its address and number. */
interface Sender {
  readonly ports: FacingPorts;
  /** Datagrams that wait for a port. */
  readonly sending: Set<Promise<void>>;
  stopWaiting: () => void;
}

/** How long the ports of a socket that is silent both ways are kept (RFC 4787 §4.3). */
const silenceMs = 120_000;

/** Sockets at a time: whoever was silent longest makes room. */
const maxSenders = 256;
/** Datagrams of each that wait for a port. */
const maxWaiting = 256;

const nothing = Buffer.alloc(0);

/**
 * The UDP datagrams of an enclosed command. Each of its sockets has ports of the mediator, on the addresses that face its
 * destinations; what comes there goes to it, whoever has sent it. A destination that cannot be reached is told by ICMP,
 * as is a mediator that opens no port.
 */
export class DatagramGate {
  private readonly options: DatagramGateOptions;
  /** The one that was silent longest first. */
  private readonly senders = new Map<string, Sender>();
  private closed = false;

  constructor(options: DatagramGateOptions) {
    this.options = options;
  }

  /** A datagram of the command. */
  onDatagram(ends: PacketEnds, payload: Buffer): void {
    if (this.closed) return;
    const sender = this.senderOf(ends);
    if (sender.sending.size >= maxWaiting) return;
    const sending = sender.ports
      .send(payload, ends.targetPort, ends.target)
      .catch((thrown: unknown) => this.refuse(ends, thrown))
      .finally(() => sender.sending.delete(sending));
    sender.sending.add(sending);
  }

  /** Resolves when what has been asked for so far is sent. */
  async drained(): Promise<void> {
    await Promise.all([...this.senders.values()].flatMap(({ sending }) => [...sending]));
  }

  private senderOf({ source, sourcePort }: PacketEnds): Sender {
    const key = `${source} ${sourcePort}`;
    const known = this.senders.get(key) ?? this.newSender(key, source, sourcePort);
    this.touch(key, known);
    return known;
  }

  private newSender(key: string, source: IpText, sourcePort: number): Sender {
    const { attachment, report, inject } = this.options;
    const [longestSilent] = this.senders.keys();
    if (longestSilent !== undefined && this.senders.size >= maxSenders) this.forget(longestSilent);
    const ports = new FacingPorts({
      attachment,
      report,
      onMessage: (bytes, from) => {
        this.touch(key, sender);
        const ends = { source: from.address, sourcePort: from.port, target: source, targetPort: sourcePort };
        inject(datagramPacket(ends, bytes), fate.pass);
      },
      // Of the datagram that found nobody, its ends are enough for an ICMP message.
      onUnreachable: ({ address, port }) =>
        inject(
          datagramPacket({ source, sourcePort, target: address, targetPort: port }, nothing),
          fate.refuse,
        ),
    });
    const sender: Sender = { ports, sending: new Set(), stopWaiting: () => {} };
    return sender;
  }

  private touch(key: string, sender: Sender): void {
    sender.stopWaiting();
    sender.stopWaiting = this.options.clock.after(silenceMs, () => this.forget(key));
    this.senders.delete(key);
    this.senders.set(key, sender);
  }

  private forget(key: string): void {
    const sender = this.senders.get(key);
    this.senders.delete(key);
    sender?.stopWaiting();
    sender?.ports.close();
  }

  private refuse(ends: PacketEnds, thrown: unknown): void {
    if (this.closed) return;
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    this.options.inject(datagramPacket(ends, nothing), fateFor(reasonOf(error)));
    this.options.refused({ host: ends.target, port: ends.targetPort }, error);
  }

  /** Closes every port. */
  close(): void {
    this.closed = true;
    for (const key of [...this.senders.keys()]) this.forget(key);
  }
}
