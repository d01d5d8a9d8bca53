import { type IpText, ipFromBytes } from '../wire/ip.ts';
import {
  type ControlBody,
  decodePacketBody,
  decodePeer,
  isControlBody,
  kindOfNumber,
  type PacketPeer,
} from '../wire/packet.ts';
import type { RelayHandlers } from './relay.ts';

/** Reads what the addon's relay tells, packed as native/relay_upcalls.h says, and tells it on. */

const upcall = {
  control: 1,
  elsewhere: 2,
  datagram: 3,
  portDatagram: 4,
  unapproved: 5,
  oversize: 6,
  unreachable: 7,
  spent: 8,
  idle: 9,
} as const;

interface Told {
  readonly type: number;
  readonly x: number;
  readonly y: number;
  readonly detail: number;
  readonly peer: PacketPeer | undefined;
  readonly local: IpText | undefined;
  readonly bytes: Buffer;
  readonly end: number;
}

/** Type, x, y, detail. */
const headBytes = 10;

function read(batch: Buffer, at: number): Told {
  const found = decodePeer(batch, at + headBytes);
  const localAt = found?.end ?? at + headBytes + 1;
  const family = batch.readUInt8(localAt);
  const lengthAt = localAt + 1 + (family === 0 ? 0 : family === 4 ? 4 : 16);
  const bytesAt = lengthAt + 4;
  const end = bytesAt + batch.readUInt32BE(lengthAt);
  return {
    type: batch.readUInt8(at),
    x: batch.readUInt32BE(at + 1),
    y: batch.readUInt32BE(at + 5),
    detail: batch.readUInt8(at + 9),
    peer: found?.peer,
    local: family === 0 ? undefined : ipFromBytes(batch.subarray(localAt + 1, lengthAt)),
    bytes: batch.subarray(bytesAt, end),
    end,
  };
}

/** A control body, or undefined when it is laid out like none. */
function readControl(kindNumber: number, bytes: Buffer): ControlBody | undefined {
  const kind = kindOfNumber.get(kindNumber);
  if (kind === undefined) return undefined;
  try {
    const body = decodePacketBody(kind, bytes);
    return isControlBody(body) ? body : undefined;
  } catch {
    return undefined;
  }
}

function tell(record: Told, handlers: RelayHandlers, owner: UpcallOwner): void {
  const { type, x, y, detail, peer, local, bytes } = record;
  if (type === upcall.spent) return handlers.onSpent(x);
  if (peer === undefined) return;
  switch (type) {
    case upcall.control: {
      const body = readControl(detail, bytes);
      return body === undefined ? owner.onMalformed(x) : handlers.onControl(x, y, peer, body);
    }
    case upcall.elsewhere:
      return handlers.onElsewhere(x, y, peer);
    case upcall.datagram:
      return handlers.onDatagram(x, y, peer, bytes);
    case upcall.portDatagram:
      return handlers.onPortDatagram(x, peer, bytes, local);
    case upcall.unapproved:
      return handlers.onUnapproved(x, peer);
    case upcall.oversize:
      return handlers.onOversize(x, y, peer, bytes);
    case upcall.unreachable:
      return handlers.onUnreachable(x, peer, y);
    case upcall.idle:
      return handlers.onIdle(x, peer);
  }
}

/** What the relay itself is asked and told while a batch is told on. */
export interface UpcallOwner {
  /** False once a handler has closed it: the rest is not told. */
  readonly isOpen: boolean;
  /** A control body of that channel, well sealed, is laid out like none. */
  onMalformed(cid: number): void;
}

/** Tells everything of a batch. */
export function tellUpcalls(batch: Buffer, handlers: RelayHandlers, owner: UpcallOwner): void {
  for (let at = 0; at < batch.length && owner.isOpen; ) {
    const record = read(batch, at);
    at = record.end;
    tell(record, handlers, owner);
  }
}
