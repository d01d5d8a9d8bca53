import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { EntremiseError, type ErrorCode } from '../base/errors.ts';
import type { NativeSockets } from '../native/addon.ts';
import type { PlainUdpSource } from '../native/held-number.ts';
import { canonicalIp } from '../wire/ip.ts';
import type { PacketPeer } from '../wire/packet.ts';
import type { OnArrival, RelaySocket, RelaySockets } from './relay-sockets.ts';

/** UDP sockets of Node. */

/** Bytes that may wait in Node's send queue: what comes on top is as lost as in a full kernel queue. */
const sendQueueBytes = 256 * 1024;

const bindCodes: Readonly<Record<string, ErrorCode>> = {
  EADDRINUSE: 'port-in-use',
  EADDRNOTAVAIL: 'address-not-available',
  EACCES: 'not-permitted',
};

function bindError(thrown: unknown): EntremiseError {
  if (thrown instanceof EntremiseError) return thrown;
  const errno = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  return new EntremiseError(bindCodes[errno] ?? 'internal', { cause: thrown });
}

/** A peer's address as the product spells it: no zone, and IPv4 without its IPv6 mapping. */
function peerOf({ address, port }: RemoteInfo): PacketPeer | undefined {
  const bare = address.split('%')[0] ?? '';
  const plain = canonicalIp(bare.replace(/^::ffff:(?=\d+\.)/i, ''));
  return plain === undefined ? undefined : { address: plain, number: port };
}

/** `spell`: an address as the socket wants it. */
function relaySocket(socket: Socket, onArrival: OnArrival, spell: (address: string) => string): RelaySocket {
  socket.on('error', () => {});
  socket.on('message', (bytes, remote) => {
    const from = peerOf(remote);
    if (from !== undefined) onArrival(bytes, from);
  });
  let open = true;
  return {
    send({ buffer, byteOffset, byteLength }, { address, number }, failed) {
      if (!open || number === 0 || socket.getSendQueueSize() > sendQueueBytes) return failed();
      // Told to a callback, a failure is no 'error' event.
      socket.send(new Uint8Array(buffer, byteOffset, byteLength), number, spell(address), error => {
        if (error !== null) failed();
      });
    },
    number() {
      try {
        return socket.address().port;
      } catch {
        // Not bound yet, or no more.
        return undefined;
      }
    },
    close() {
      if (open) socket.close();
      open = false;
    },
  };
}

function socketOf(family: 4 | 6, { ipv6Only = false, reuseAddr = false } = {}): Socket {
  return createSocket({
    type: family === 4 ? 'udp4' : 'udp6',
    ipv6Only,
    reuseAddr,
    // Only literals are sent to: nothing is ever resolved here.
    lookup: (host, _options, done) => done(null, host, family),
  });
}

const plain = (address: string) => address;

async function serviceDoor(address: string, number: number, onArrival: OnArrival): Promise<RelaySocket> {
  const family = address.includes(':') ? 6 : 4;
  const socket = socketOf(family);
  const listening = once(socket, 'listening');
  try {
    socket.bind({ address, port: number, exclusive: true });
    await listening;
  } catch (thrown) {
    socket.close();
    throw bindError(thrown);
  }
  return relaySocket(socket, onArrival, to => (family === 6 && !to.includes(':') ? `::ffff:${to}` : to));
}

function memberDoor(server: PacketPeer, onArrival: OnArrival): RelaySocket {
  const socket = socketOf(server.address.includes(':') ? 6 : 4);
  const fromServer: OnArrival = (bytes, from) => {
    if (from.address === server.address && from.number === server.number) onArrival(bytes, from);
  };
  // Whoever has nothing but this to wait for may end.
  socket.unref();
  return relaySocket(socket, fromServer, plain);
}

/** Binds a port that no addon has bound. Since only literals are looked up Node is done, or has failed, at once. */
function bindPlain(socket: Socket, { address, port, scope }: PlainUdpSource): void {
  let failure: unknown;
  socket.once('error', error => {
    failure = error;
  });
  const isIpv6 = address.includes(':');
  const isShared = scope?.shared === true;
  // The zone makes a link-local group the interface's alone.
  const at = isShared && isIpv6 ? `${address}%${scope.interface}` : address;
  socket.bind({ address: at, port, exclusive: true });
  if (failure !== undefined) throw failure;
  if (scope === undefined) return;
  // As native/udp_scope.h, as far as Node can.
  const by = isIpv6 ? `::%${scope.interface}` : isShared ? ipv4Of(scope.interface) : address;
  socket.setMulticastInterface(by);
  socket.setMulticastLoopback(false);
  socket.setMulticastTTL(1);
  if (isShared && isGroup(address)) socket.addMembership(address, by);
}

/** Node names an interface of IPv4 by an address. */
function ipv4Of(name: string): string {
  const found = networkInterfaces()[name]?.find(({ family }) => family === 'IPv4');
  if (found === undefined) throw new EntremiseError('address-not-available');
  return found.address;
}

/** RFC 5771, RFC 4291 §2.7. */
function isGroup(address: string): boolean {
  const first = Number(address.split('.')[0]);
  return address.includes(':') ? /^ff/i.test(address) : first >= 224 && first < 240;
}

/** From a shared number it would leave by the default route, which is none of the LAN's: no socket of Node is one interface's. */
const everybody = '255.255.255.255';

/** Whose a bound fd is until a socket here takes it over: the addon's. */
export type FdOwner = Pick<NativeSockets, 'release'>;

/** Sockets of this machine. `owner`: of the fds that become ports. */
export const dgramSockets = (owner?: FdOwner): RelaySockets => ({
  // Node has no way to ask for it: Linux cuts up what is longer than the device takes.
  setsDf: false,
  serviceDoor,
  memberDoor,
  port(source, { family, broadcast }, onArrival) {
    const isShared = typeof source !== 'number' && source.scope?.shared === true;
    const socket = socketOf(family, { ipv6Only: family === 6, reuseAddr: isShared });
    // `exclusive`: never the shared handle of a cluster.
    try {
      if (typeof source === 'number') socket.bind({ fd: source, exclusive: true });
      else bindPlain(socket, source);
    } catch (thrown) {
      if (typeof source !== 'number') socket.close();
      throw bindError(thrown);
    }
    // In the same tick (native/README.md): two owners would close it twice, and by then the number is somebody else's.
    if (typeof source === 'number') owner?.release(source);
    if (broadcast === true) socket.setBroadcast(true);
    // On a port of a link-local address its peers are on the same link.
    const zone = socket.address().address.split('%')[1];
    const spell = (to: string) => (zone !== undefined && /^fe[89ab]/.test(to) ? `${to}%${zone}` : to);
    const made = relaySocket(socket, onArrival, spell);
    if (!isShared) return made;
    const send: RelaySocket['send'] = (bytes, to, failed) =>
      to.address === everybody ? failed() : made.send(bytes, to, failed);
    return { ...made, send };
  },
});
