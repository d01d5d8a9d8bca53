/** TCP events of opened ports off the wire (S15, S16), as the addon's capture thread saw them. */
import type { CaptureCounters, ErrnoName, NativeSockets } from './addon.ts';

/** An address of this machine with a TCP number. */
export interface CaptureEndpoint {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly number: number;
}

/** One packet that began, ended or destroyed a connection of an opened port. */
export interface WireSighting {
  /** `syn`: begins a connection, so it is the peer's. */
  readonly kind: 'syn' | 'fin' | 'rst';
  readonly from: 'peer' | 'gateway';
  readonly interfaceIndex: number;
  /** Numbers of RFC 9293 §3.1. */
  readonly sequence: number;
  readonly acknowledgement: number;
  /** When the kernel saw it, ms since 1970, with fractions. */
  readonly timeMs: number;
  /** Opaque text of the own address and number: as {@link endpointKey}. */
  readonly local: string;
  /** As `local`, of the peer. */
  readonly peer: string;
}

/** Bytes of a record (native/capture.h). */
const recordBytes = 64;

const endpointBytes = 18;

const ipv4Prefix = Buffer.from('00000000000000000000ffff', 'hex');

function endpointIn(target: Buffer, offset: number, { address, number }: CaptureEndpoint): void {
  target.writeUInt16BE(number, offset);
  target.set(address.length === 4 ? ipv4Prefix : address, offset + 2);
  if (address.length === 4) target.set(address, offset + 2 + ipv4Prefix.length);
}

/** What stands for an endpoint in {@link WireSighting}. */
export function endpointKey(endpoint: CaptureEndpoint): string {
  const bytes = Buffer.alloc(endpointBytes);
  endpointIn(bytes, 0, endpoint);
  return bytes.toString('latin1');
}

/** The endpoint that a key stands for. */
export function endpointOf(key: string): CaptureEndpoint {
  const bytes = Buffer.from(key, 'latin1');
  const isIpv4 = bytes.subarray(2, 2 + ipv4Prefix.length).equals(ipv4Prefix);
  return { number: bytes.readUInt16BE(0), address: bytes.subarray(isIpv4 ? 2 + ipv4Prefix.length : 2) };
}

const kinds = [undefined, 'syn', 'fin', 'rst'] as const;

function sightingAt(records: Buffer, offset: number): WireSighting | undefined {
  const kind = kinds[records.readUInt8(offset)];
  if (kind === undefined) return undefined;
  const timeUs = records.readUInt32BE(offset + 16) * 2 ** 32 + records.readUInt32BE(offset + 20);
  return {
    kind,
    from: records.readUInt8(offset + 1) === 1 ? 'peer' : 'gateway',
    interfaceIndex: records.readUInt32BE(offset + 4),
    sequence: records.readUInt32BE(offset + 8),
    acknowledgement: records.readUInt32BE(offset + 12),
    timeMs: timeUs / 1000,
    local: records.toString('latin1', offset + 24, offset + 24 + endpointBytes),
    peer: records.toString('latin1', offset + 42, offset + 42 + endpointBytes),
  };
}

function sightingsIn(records: Buffer): WireSighting[] {
  const sightings: WireSighting[] = [];
  for (let offset = 0; offset + recordBytes <= records.length; offset += recordBytes) {
    const sighting = sightingAt(records, offset);
    if (sighting !== undefined) sightings.push(sighting);
  }
  return sightings;
}

/** What a capture tells: sightings in the order in which each interface had them, and how many were lost since. */
export type OnSightings = (sightings: readonly WireSighting[], lost: number) => void;

/** A capture that runs. Captures nothing before {@link PacketCapture.watch} and {@link PacketCapture.setTargets}. */
export class PacketCapture {
  readonly #native: NativeSockets;
  readonly #handle: number;
  readonly #interfaces = new Map<string, number>();

  private constructor(native: NativeSockets, handle: number) {
    this.#native = native;
    this.#handle = handle;
  }

  /** Starts, or says why it cannot: EPERM without CAP_NET_RAW. */
  static start(native: NativeSockets, onSightings: OnSightings): PacketCapture | ErrnoName {
    const handle = native.startCapture((records, lost) => onSightings(sightingsIn(records), lost));
    return typeof handle === 'string' ? handle : new PacketCapture(native, handle);
  }

  /** Captures on these interfaces and no others. Answers the first refusal: that interface is tried again next time. */
  watch(names: readonly string[]): ErrnoName | undefined {
    for (const name of this.#interfaces.keys()) if (!names.includes(name)) this.#leave(name);
    let refused: ErrnoName | undefined;
    for (const name of names) {
      const index = this.#native.captureInterface(this.#handle, name);
      if (typeof index === 'number') this.#interfaces.set(name, index);
      else refused ??= index;
    }
    return refused;
  }

  #leave(name: string): void {
    this.#native.leaveInterface(this.#handle, name);
    this.#interfaces.delete(name);
  }

  /** The index of an interface that is watched. */
  indexOf(name: string): number | undefined {
    return this.#interfaces.get(name);
  }

  /** What it is about from now on; what was before and still is goes on without a gap. */
  setTargets(endpoints: readonly CaptureEndpoint[]): ErrnoName | undefined {
    const bytes = Buffer.alloc(endpoints.length * endpointBytes);
    for (const [index, endpoint] of endpoints.entries()) endpointIn(bytes, index * endpointBytes, endpoint);
    return this.#native.captureTargets(this.#handle, bytes);
  }

  /** Packets seen, events told, events lost, since the start. */
  get counters(): CaptureCounters | undefined {
    const counters = this.#native.captureCounters(this.#handle);
    return typeof counters === 'string' ? undefined : counters;
  }

  /** Ends it; nothing is told any more. */
  stop(): void {
    this.#native.stopCapture(this.#handle);
  }
}
