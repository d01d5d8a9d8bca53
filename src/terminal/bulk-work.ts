import { once } from 'node:events';
import type { DeviceListing, PortListing, Protocol } from '../wire/messages/command.ts';
import type { Endpoint } from './forward-tcp.ts';
import type { LimitListing, MediatorAttachment } from './mediator-attachment.ts';

/** Something that {@link runBulk} can do at each mediator; what came of it can be written as JSON. */
export type BulkWork<T extends object> = (attachment: MediatorAttachment, signal: AbortSignal) => Promise<T>;

/** A target that answers. */
export interface ConnectedWork {
  /** Where, with the address that a name meant. */
  readonly connected: Endpoint;
  readonly afterMs: number;
}

/** OPEN and CONNECT: does a target answer? It is connected to, and reset. */
function connect({ host, port }: Endpoint): BulkWork<ConnectedWork> {
  return async (attachment, signal) => {
    const began = performance.now();
    const socket = attachment.connect({ host, port, signal });
    await once(socket, 'connect');
    const afterMs = Math.round(performance.now() - began);
    const connected = { host: socket.remoteAddress ?? host, port };
    socket.resetAndDestroy();
    return { connected, afterMs };
  };
}

/** A number of the mediator. */
export interface WantedNumber {
  readonly protocol: Protocol;
  readonly address?: string | undefined;
  readonly number: number;
}

/** OPEN of that very number, and CLOSE: could it be had? */
function open({ protocol, address, number }: WantedNumber): BulkWork<{ readonly free: object }> {
  return async (attachment, signal) => {
    const where = address === undefined ? {} : { address };
    const port = await attachment.open({ protocol, number, choice: 'mandatory', signal, ...where });
    await port.close();
    return { free: { protocol, number } };
  };
}

/** QUERY resolve: what a name means there. */
function resolve(name: string): BulkWork<{ readonly addresses: readonly string[] }> {
  return async (attachment, signal) => ({ addresses: await attachment.resolve(name, { signal }) });
}

/** QUERY key-ports: what all attachments of this terminal's key have open. */
const ports: BulkWork<{ readonly ports: readonly PortListing[] }> = async attachment => ({
  ports: await attachment.keyPorts(),
});

/** QUERY limits: limits, and how much of them is used. */
const limits: BulkWork<{ readonly limits: readonly LimitListing[] }> = async attachment => ({
  limits: await attachment.limits(),
});

/** QUERY devices: who is in the LAN. */
const devices: BulkWork<{ readonly devices: readonly DeviceListing[] }> = async attachment => ({
  devices: await attachment.devices(),
});

/** What can be done at many mediators. */
export const bulkWork = { connect, open, resolve, ports, limits, devices } as const;
