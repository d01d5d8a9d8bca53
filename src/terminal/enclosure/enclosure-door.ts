/**
 * What stands between a command that runs in a network of its own and a mediator: its SYNs, its datagrams and its questions
 * for names come in as packets, and all it is told is what the mediator's network says.
 *
 *   command's kernel ─ packet ─┬─ SYN ─► ConnectionGate ─► CONNECT
 *                              └─ UDP ─┬─ to its name server ─► answerQuery ─► QUERY resolve
 *                                      └─ elsewhere ─► DatagramGate ─► ports of the mediator
 */
import type { Socket } from 'node:net';
import type { IpText } from '../../wire/ip.ts';
import type { AttachmentKeeper } from '../attachment-keeper.ts';
import { patientAttachment, refusalOf } from '../patient-source.ts';
import { ConnectionGate } from './connection-gate.ts';
import { DatagramGate } from './datagram-gate.ts';
import {
  type Beginning,
  datagramPacket,
  isLoopback,
  type PacketEnds,
  readBeginning,
  segmentsOf,
  withTcpChecksum,
} from './ip-packet.ts';
import { answerQuery } from './name-server.ts';
import { fate, type Inject, type TellRefused } from './packet-port.ts';

/** What an {@link EnclosureDoor} is opened with. */
export interface EnclosureDoorOptions {
  readonly source: AttachmentKeeper;
  /** The address that the command asks for names. */
  readonly nameServer: IpText;
  /** Gives a packet to the command's kernel. */
  readonly inject: Inject;
  /** Told of what the mediator, or the way to it, has refused. */
  readonly refused: TellRefused;
}

const dnsPort = 53;

/** As long as a kernel waits for the other half of what a gone process has ended, or less. */
const drainMs = 5_000;

/** See the head of this file. */
export class EnclosureDoor {
  private readonly options: EnclosureDoorOptions;
  private readonly connections: ConnectionGate;
  private readonly datagrams: DatagramGate;
  private readonly closing = new AbortController();

  constructor(options: EnclosureDoorOptions) {
    this.options = options;
    const { source, inject, refused } = options;
    const attachment = () => this.attachment();
    const gate = { attachment, inject, refused, clock: source.clock };
    this.connections = new ConnectionGate(gate);
    this.datagrams = new DatagramGate({ ...gate, report: () => source.mediator?.report });
  }

  private async attachment() {
    const { source } = this.options;
    try {
      return await patientAttachment(source, this.closing.signal);
    } catch (thrown) {
      throw refusalOf(source, thrown);
    }
  }

  /** A packet of the command that begins something. `segmentBytes`: see {@link segmentsOf}. */
  onPacket(packet: Buffer, segmentBytes: number): void {
    const beginning = readBeginning(packet);
    if (beginning === undefined || isLoopback(beginning.ends.target)) return;
    if (beginning.ends.target === this.options.nameServer) return this.toNameServer(beginning, packet);
    if (beginning.kind === 'syn') return this.connections.onSyn(beginning.ends, packet);
    for (const payload of segmentsOf(beginning.payload, segmentBytes))
      this.datagrams.onDatagram(beginning.ends, payload);
  }

  /** It hears UDP alone, and stands nowhere in the home. */
  private toNameServer(beginning: Beginning, packet: Buffer): void {
    const { ends } = beginning;
    if (beginning.kind === 'syn') this.options.inject(withTcpChecksum(packet), fate.refuse);
    else if (ends.targetPort === dnsPort) void this.answer(ends, beginning.payload);
    else this.options.inject(datagramPacket(ends, beginning.payload), fate.refuse);
  }

  private async answer(asked: PacketEnds, query: Buffer): Promise<void> {
    const answer = await answerQuery(query, () => this.attachment());
    if (answer === undefined || this.closing.signal.aborted) return;
    const { source: target, sourcePort: targetPort, target: source, targetPort: sourcePort } = asked;
    this.options.inject(datagramPacket({ source, sourcePort, target, targetPort }, answer), fate.pass);
  }

  /** A connection that the command's kernel has accepted. */
  onAccepted(socket: Socket): void {
    this.connections.onAccepted(socket);
  }

  /**
   * When the command has gone: resolves once what it has written is with its devices, at the latest after 5 s, since a
   * device may keep its own half open.
   */
  async drained(): Promise<void> {
    const { clock } = this.options.source;
    let cancel = () => {};
    const patience = new Promise<void>(resolve => {
      cancel = clock.after(drainMs, resolve);
    });
    await Promise.race([Promise.all([this.connections.drained(), this.datagrams.drained()]), patience]);
    cancel();
  }

  /** Resets what is open, and answers no more. */
  close(): void {
    this.closing.abort();
    this.connections.close();
    this.datagrams.close();
  }
}
