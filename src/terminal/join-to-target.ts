import net from 'node:net';
import { joinSockets } from './join-sockets.ts';
import type { TunnelSocket } from './tunnel-socket.ts';

/**
 * Connects to a TCP service that this machine reaches and joins a device's connection to it, as joinSockets does. Where it
 * cannot be connected to, the device is reset and `onRefused` told why. Its name is looked up here. Gives
 * the connection to it.
 */
export function joinToTarget(
  remote: TunnelSocket,
  target: { readonly host: string; readonly port: number },
  onRefused: (error: Error) => void,
): net.Socket {
  const local = net.connect({ ...target, allowHalfOpen: true });
  const giveUp = (error: Error) => {
    remote.resetAndDestroy();
    onRefused(error);
  };
  const onRemoteEnd = () => void local.destroy();
  local.once('error', giveUp);
  remote.once('close', onRemoteEnd);
  remote.on('error', () => {});
  local.once('connect', () => {
    local.off('error', giveUp);
    remote.off('close', onRemoteEnd);
    joinSockets(local, remote);
  });
  return local;
}
