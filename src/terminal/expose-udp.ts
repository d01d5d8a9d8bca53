import dgram, { type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { udpSocketBestWay } from './best-way.ts';
import { ExposedPort, type ExposeOptions, type OpenedPort } from './exposed-port.ts';
import { PeerTable } from './peer-table.ts';
import type { RemoteInfo, TunnelDatagramSocket } from './tunnel-datagram-socket.ts';

/**
 * Lets devices of the LAN reach a UDP service of this machine: every device gets a local socket of its own, so that the
 * service can tell them apart. One that is silent for 120 s is forgotten; 256 at once.
 */
export function exposeUdp(options: ExposeOptions): ExposedPort {
  const exposed: ExposedPort = new ExposedPort(options, async (attachment, { address, port: number }) => {
    const { address: host, family } = await lookup(options.target.host);
    const port = await udpSocketBestWay(attachment, { address, number, choice: 'mandatory' });
    const target = { host, port: options.target.port };
    return serve(exposed, options, port, target, family === 6 ? 'udp6' : 'udp4');
  });
  return exposed;
}

function serve(
  exposed: ExposedPort,
  options: ExposeOptions,
  port: TunnelDatagramSocket,
  target: { readonly host: string; readonly port: number },
  type: 'udp4' | 'udp6',
): OpenedPort {
  const devices = new PeerTable<Socket>(options.source.clock, socket => socket.close());
  const add = (remote: RemoteInfo) => {
    const socket = dgram.createSocket(type);
    const device = { host: remote.address, port: remote.port };
    // ECONNREFUSED: nobody serves the port here. The device may try again; its socket stays.
    socket.on('error', error => exposed.emit('refused', { device, error }));
    socket.on('message', bytes => {
      devices.touch(remote.address, remote.port);
      port.send(bytes, remote.port, remote.address, () => {});
    });
    socket.connect(target.port, target.host);
    return socket;
  };
  port.on('message', (bytes, remote) => {
    const socket = devices.get(remote.address, remote.port, () => add(remote));
    if (socket !== undefined) sendWhenConnected(socket, bytes);
  });
  port.on('channel', channel => exposed.emit('channel', channel));
  port.on('error', () => {});
  port.once('close', () => devices.clear());
  const { address: host, port: number } = port.address();
  return {
    at: { host, port: number },
    get channel() {
      return port.channel;
    },
    closed: once(port, 'close').then(() => {}),
    close: () => void port.close(),
  };
}

/** dgram connects in the background even when the target is an address. */
function sendWhenConnected(socket: Socket, bytes: Buffer): void {
  try {
    socket.remoteAddress();
    socket.send(bytes, () => {});
  } catch {
    const copy = Buffer.from(bytes);
    socket.once('connect', () => socket.send(copy, () => {}));
  }
}
