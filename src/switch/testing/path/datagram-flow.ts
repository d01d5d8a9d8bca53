import { pattern } from '../../../session/testing/frames.ts';
import type { Datagram } from '../../../wire/messages/binary.ts';

/**
 * The reference for the datagrams of one direction of an attachment (P5.9): each is known by its number, which is said as
 * its peer's port, and all else of it follows from that. What comes must have been sent, be whole, come once, and not before
 * an earlier one of its port; what does not come must have been counted, or gone with a label.
 */

/** Ports that datagrams are sent on. */
const ports = 3;

interface Sent {
  readonly sizeBytes: number;
  heard: boolean;
}

function datagramOf(number: number, sizeBytes: number): Datagram {
  const address = number % 2 === 0 ? '192.0.2.1' : '2001:db8::1';
  const local = number % 3 === 0 ? { localAddress: address } : {};
  const bytes = pattern(sizeBytes, number);
  return { port: 1 + (number % ports), peerAddress: address, peerNumber: number, ...local, bytes };
}

/** See the head of this file. */
export class DatagramFlow {
  private readonly sent: Sent[] = [];
  private readonly lastOfPort = new Map<number, number>();
  /** Up to here whatever is missing went with a label. */
  private excused = 0;
  heard = 0;

  /** The next datagram; it is sent now. */
  next(sizeBytes: number): Datagram {
    this.sent.push({ sizeBytes, heard: false });
    return datagramOf(this.sent.length, sizeBytes);
  }

  /** The sender's label is gone, or there was none: what is under way may never come. */
  labelLost(): void {
    this.excused = this.sent.length;
  }

  /** @throws Error when that datagram should not have come, or not so */
  hear(datagram: Datagram): void {
    const { port, peerNumber: number } = datagram;
    const sent = this.sent[number - 1];
    if (sent === undefined) throw new Error(`datagram ${number} was never sent`);
    if (sent.heard) throw new Error(`datagram ${number} came twice`);
    if (number < (this.lastOfPort.get(port) ?? 0))
      throw new Error(`datagram ${number} came late on its port`);
    checkSame(datagram, datagramOf(number, sent.sizeBytes));
    sent.heard = true;
    this.heard++;
    this.lastOfPort.set(port, number);
  }

  /** Datagrams that did not come although no label was lost. */
  get missing(): number {
    return this.sent.slice(this.excused).filter(({ heard }) => !heard).length;
  }
}

function checkSame(came: Datagram, sent: Datagram): void {
  const { bytes: cameBytes, ...cameHead } = came;
  const { bytes: sentBytes, ...sentHead } = sent;
  const isSame = JSON.stringify(cameHead) === JSON.stringify(sentHead) && cameBytes.equals(sentBytes);
  if (!isSame) throw new Error(`datagram ${sent.peerNumber} is not the one that was sent`);
}
