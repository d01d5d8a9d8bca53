/**
 * The native addon, typed. The only file that loads the .node.
 *
 * How a call answers: arguments of a wrong type throw a TypeError; what the kernel refuses comes back as the
 * errno's name, a string ('EADDRINUSE'); a call that has nothing to tell answers undefined. An fd that is
 * closed, or that the addon does not own where it must, is 'EBADF'.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { EntremiseError } from '../base/errors.ts';
import type { NativeRelays } from './relay-addon.ts';

/** The name of an errno, as Node writes it in `error.code`. */
export type ErrnoName = string;

/** A number that is held: bound, neither listening nor connected. The addon owns the fd. */
export interface BoundFd {
  readonly fd: number;
  /** As the kernel has it; a link-local IPv6 address with %zone. */
  readonly address: string;
  /** 1 to 65535. */
  readonly port: number;
}

/** What the kernel knows of a TCP connection (TCP_INFO). Fields that a kernel lacks are 0. */
export interface TcpInfo {
  /** Kernel number: 1 established, 7 closed, 8 the peer's FIN came. */
  readonly state: number;
  readonly rttUs: number;
  readonly rttVarUs: number;
  readonly minRttUs: number;
  /** Bytes that the peer has acknowledged, the SYN counted as one. */
  readonly bytesAcked: number;
  readonly bytesReceived: number;
  readonly unackedSegments: number;
  /** Written, but not sent even once. */
  readonly notSentBytes: number;
  /** How long ago an acknowledgement came last. */
  readonly sinceAckMs: number;
  /** Retransmissions in a row without an answer. */
  readonly retransmits: number;
  /** Segments that were sent again since the connection began. */
  readonly totalRetransmits: number;
  /** Bytes a second that the kernel means to send. */
  readonly pacingRate: number;
  /** How long in all something was under way. */
  readonly busyUs: number;
  /** Bytes a second at which the last of what it sent arrived. */
  readonly deliveryRate: number;
}

/** What a capture has done since it was started. */
export interface CaptureCounters {
  /** Packets that the kernel's filter let through. */
  readonly seen: number;
  /** Events that came of them. */
  readonly recorded: number;
  /** Events for which ring or queue had no room. */
  readonly lost: number;
}

/** An entry of the kernel's neighbour table (ARP, IPv6 ND). */
export interface Neighbour {
  readonly interface: string;
  /** 4 or 16 bytes. */
  readonly address: Buffer;
  /** Empty while it is not known. */
  readonly hardwareAddress: Buffer;
  /** NUD_* of <linux/neighbour.h>. */
  readonly state: number;
}

/** What the peer did: orderly end of its direction, or abort (also time-outs and other failures). */
export type Disconnect = 'fin' | 'reset';

/** The addon's socket functions (native/sockets.h, native/disconnect_watch.h). One set a thread. */
export interface NativeSockets extends NativeRelays {
  /** Binds exactly that number, exclusively; 0 picks a free one. `address` is an IP literal, IPv6 with optional %zone. */
  reserveTcp(address: string, port: number): BoundFd | ErrnoName;
  /** As {@link reserveTcp}, for UDP. Groups are sent to as the machine's routes say. */
  reserveUdp(address: string, port: number): BoundFd | ErrnoName;
  /**
   * As {@link reserveUdp}; by that interface groups are sent to, one hop far and not to this machine's own listeners.
   * `shared`: the address is a group, which is joined there, or a broadcast; its number is shared with who shares it. ENODEV
   * when there is no such interface.
   */
  reserveScopedUdp(address: string, port: number, name: string, shared: boolean): BoundFd | ErrnoName;
  /** A second fd of the same socket, owned by the addon. */
  duplicate(fd: number): number | ErrnoName;
  /** The addon forgets an fd it owns: Node has taken it. */
  release(fd: number): ErrnoName | undefined;
  /** Closes an fd that the addon owns. */
  close(fd: number): ErrnoName | undefined;
  /** Takes back a failed or unfinished connect: the number is held as before. */
  disconnect(fd: number): ErrnoName | undefined;
  /** SO_REUSEADDR. */
  setReuseAddress(fd: number, on: boolean): ErrnoName | undefined;
  /** From now on closing the socket sends a RST and drops what is unsent. */
  setLingerZero(fd: number): ErrnoName | undefined;
  /** Takes {@link setLingerZero} back: closing the socket sends what is unsent and a FIN. */
  clearLinger(fd: number): ErrnoName | undefined;
  /** TCP_NOTSENT_LOWAT: the socket is writable only while less than `bytes` are unsent. */
  setNotSentLowat(fd: number, bytes: number): ErrnoName | undefined;
  /** TCP_USER_TIMEOUT: unacknowledged data this old kills the connection. */
  setUserTimeout(fd: number, ms: number): ErrnoName | undefined;
  /** TCP_RTO_MAX_MS, from 1,000: what is not acknowledged is sent again no later than this; ENOPROTOOPT before Linux 6.15. */
  setRetransmitMax(fd: number, ms: number): ErrnoName | undefined;
  /** TCP_CONGESTION: bbr decides what may be under way. ENOENT where the kernel does not have it (Linux: module tcp_bbr). */
  useBbr(fd: number): ErrnoName | undefined;
  /** The kernel sends no faster than that; 0xffffffff: as fast as it can (SO_MAX_PACING_RATE). */
  setPacingRate(fd: number, bytesPerSecond: number): ErrnoName | undefined;
  /** As {@link useBbr}; where BBR decides already it forgets what it believes of the path. */
  restartBbr(fd: number): ErrnoName | undefined;
  /** Switches keepalive on: first probe after `idleS` seconds, then every `intervalS`, dead after `count` unanswered. */
  setKeepAlive(fd: number, idleS: number, intervalS: number, count: number): ErrnoName | undefined;
  /** SO_ERROR: why the connection failed, undefined when it did not. Reading clears it. */
  socketError(fd: number): ErrnoName | undefined;
  /** Bytes that have arrived and were not read (FIONREAD). */
  unreadBytes(fd: number): number | ErrnoName;
  /** Bytes that were written and not sent even once (SIOCOUTQNSD). */
  unsentBytes(fd: number): number | ErrnoName;
  /** Reads into `buffer` without waiting; 0 when there is nothing (more). */
  readNow(fd: number, buffer: Uint8Array): number | ErrnoName;
  tcpInfo(fd: number): TcpInfo | ErrnoName;
  /**
   * Tells what the peer does to the connection even while nobody reads: 'fin' and 'reset' at most once each.
   * Answers the watch's own fd (a dup), by which {@link closeWatch} and {@link readNow} know it; until it is
   * closed, the connection is not closed either. Does not keep the process alive.
   */
  watchDisconnect(fd: number, callback: (seen: Disconnect) => void): number | ErrnoName;
  closeWatch(watch: number): ErrnoName | undefined;
  /**
   * Starts a capture (native/capture.h): `callback` gets whole records, laid out as its class Capture says, and how many
   * events were lost since the call before. Answers the capture's handle; EPERM without CAP_NET_RAW. Does not keep the
   * process alive.
   */
  startCapture(callback: (records: Buffer, lost: number) => void): number | ErrnoName;
  /** From now on events of that interface, too. Answers its index; one that is captured already is left as it is. */
  captureInterface(capture: number, name: string): number | ErrnoName;
  leaveInterface(capture: number, name: string): ErrnoName | undefined;
  /** What it is about, instead of what it was before: for each endpoint 2 bytes of number and 16 of address. */
  captureTargets(capture: number, targets: Uint8Array): ErrnoName | undefined;
  captureCounters(capture: number): CaptureCounters | ErrnoName;
  stopCapture(capture: number): ErrnoName | undefined;
  /** The kernel's neighbours of both families. */
  neighbours(): Neighbour[] | ErrnoName;
  /**
   * Calls when an interface, an address or a route of the machine has come, gone or changed (native/network_watch.h); many
   * changes at once may be one call. Answers the watch's fd, for {@link closeWatch}. Does not keep the process alive.
   */
  watchNetwork(callback: () => void): number | ErrnoName;
  /**
   * Tells of the SYNs and UDP datagrams that come in by an interface and bear no mark, as whole IP packets
   * (native/packet_watch.h). `segmentBytes`: the datagram stands for many, of that many payload bytes each; 0: it is one.
   * Answers the watch's fd, for {@link closeWatch}; EPERM without CAP_NET_RAW. Does not keep the process alive.
   */
  watchPackets(name: string, callback: (packet: Buffer, segmentBytes: number) => void): number | ErrnoName;
  /** A socket for {@link sendMarked}, owned by the addon. EPERM without CAP_NET_RAW. */
  openRawIp(ipv6: boolean): number | ErrnoName;
  /** Sends a whole IP packet, checksums done, to its own destination. EPERM without CAP_NET_ADMIN. */
  sendMarked(fd: number, mark: number, packet: Uint8Array): ErrnoName | undefined;
  /** IP_TRANSPARENT: a listener's connections keep the destination that they had. EPERM without CAP_NET_ADMIN. */
  setTransparent(fd: number): ErrnoName | undefined;
  /** Gives memory of the C heap that holds nothing back to the kernel (native/resident.h). Takes milliseconds. */
  trimHeap(): void;
  /** From now on pieces of the C heap of 64 KiB and more have pages of their own, for as long as this process runs (native/resident.h). */
  mapLargePieces(): void;
  /** Lets go of the program's code and constants in memory; what is used is mapped again. Takes a millisecond. */
  unmapProgram(): void;
}

interface LoadedAddon extends NativeSockets {
  readonly interfaceVersion: number;
}

/** Goes up with every change of the functions above, in native/addon.cc too. */
const interfaceVersion = 12;

/** Environment variable that names another .node file (a sanitizer build). */
const overrideVariable = 'ENTREMISE_ADDON';

/** Beside the bundle; in the package, seen from dist/src/native and from dist/bundle or src/native. */
const places = [
  './entremise.node',
  '../../../build/Release/entremise.node',
  '../../build/Release/entremise.node',
];

function candidates(): string[] {
  const override = process.env[overrideVariable];
  if (override !== undefined && override !== '') return [override];
  return places.map(place => fileURLToPath(new URL(place, import.meta.url)));
}

function load(path: string): NativeSockets {
  let loaded: LoadedAddon;
  try {
    loaded = createRequire(import.meta.url)(path);
  } catch (cause) {
    const message = `the native addon ${path} does not load (${String(cause)}); build it anew: npm run build`;
    throw new EntremiseError('addon-missing', { message, cause });
  }
  if (loaded.interfaceVersion === interfaceVersion) return loaded;
  const message = `the native addon ${path} belongs to another version of Entremise; build it anew: npm run build`;
  throw new EntremiseError('addon-missing', { message });
}

/**
 * The addon, for who cannot do without. Loading twice costs a look at the file system: keep the result.
 * @throws EntremiseError addon-missing, with the places looked at or the reason why it does not load
 */
export function requireAddon(): NativeSockets {
  const paths = candidates();
  const path = paths.find(candidate => existsSync(candidate));
  if (path !== undefined) return load(path);
  const message = `the native addon is at none of ${paths.join(', ')}; build it: npm run build (needs g++, make, python3)`;
  throw new EntremiseError('addon-missing', { message });
}

/** The addon, or why there is none: one sentence. */
export function findAddon(): { readonly native?: NativeSockets; readonly problem?: string } {
  try {
    return { native: requireAddon() };
  } catch (thrown) {
    if (thrown instanceof EntremiseError && thrown.code === 'addon-missing')
      return { problem: thrown.message };
    throw thrown;
  }
}

/** The addon, or undefined when it is missing or does not load: for who can do with less. */
export function loadAddon(): NativeSockets | undefined {
  return findAddon().native;
}
