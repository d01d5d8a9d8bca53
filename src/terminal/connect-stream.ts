import { EntremiseError } from '../base/errors.ts';
import { parseTargetHost } from '../policy/target.ts';
import { earlyDataBytes } from '../session/attachment.ts';
import type { Stream } from '../session/stream.ts';
import { type IpText, ipFamilyOf, ipFromBytes } from '../wire/ip.ts';
import type { CommandOf } from '../wire/messages/command.ts';
import type { PortHost } from './port-host.ts';
import { reasonOf } from './tunnel-error.ts';
import type { SocketPlug } from './tunnel-socket.ts';

/** A port by its id, or by the seq of the OPEN that makes it (P3.4). */
export type PortReference = { readonly port: number } | { readonly portOf: number };

/** Where a connection goes: as CONNECT says it. */
export type Target = Pick<CommandOf<'connect'>, 'address' | 'zone' | 'name' | 'number'>;

/**
 * A host and number as a {@link Target}. `host` is an address, a link-local one with `%zone`, or a name, which the
 * mediator resolves.
 * @throws EntremiseError `bad-request` when it is none of these
 */
export function targetOf(host: string, number: number): Target {
  if (!Number.isInteger(number) || number < 1 || number > 65_535)
    throw new EntremiseError('bad-request', { message: `${number} is no port number; 1 to 65535 are.` });
  const parsed = parseTargetHost(host);
  if (parsed.kind === 'name') return { name: parsed.name, number };
  const { bytes, zone } = parsed.address;
  return { address: ipFromBytes(bytes), number, ...(zone === undefined ? {} : { zone }) };
}

/** 'ipv4' or 'ipv6'. */
export function familyOf(address: IpText): 'ipv4' | 'ipv6' {
  return ipFamilyOf(address) === 4 ? 'ipv4' : 'ipv6';
}

/** A CONNECT and the socket that gets its stream. */
export interface ConnectRequest {
  /** Called when the command goes. */
  reference(): PortReference;
  readonly target: Target;
  readonly plug: SocketPlug;
  /** Bytes may go before the answer (P3.4). */
  readonly early: boolean;
  /** The port's own address and number, known with the answer. */
  local(): { readonly address: IpText; readonly number: number };
}

const nobody = { onData() {}, onFin() {}, onReset() {}, onRoom() {}, onFinished() {} };

/**
 * Runs a CONNECT. Resolves when the socket is connected; then everything else happens at the socket.
 * @throws TunnelError with the mediator's answer; the socket is not told
 */
export async function connectStream(host: PortHost, request: ConnectRequest): Promise<void> {
  const { target, plug, early } = request;
  let stream: Stream | undefined;
  const running = host.commands.run(
    () => {
      if (plug.gone) throw new EntremiseError('aborted');
      const reference = request.reference();
      const made = host.session.createStream(earlyDataBytes);
      if (made === undefined)
        throw new EntremiseError('limit', { message: 'This terminal has no memory left for a stream.' });
      stream = made.stream;
      plug.begin(stream, early);
      const where = { stream: stream.id, limit: made.limit };
      return { command: { verb: 'connect', ...reference, ...target, ...where }, creates: stream };
    },
    {
      onAnswer({ address = target.address, limit = 0 }) {
        stream?.raiseLimit(limit);
        const { address: localAddress, number: localPort } = request.local();
        const remoteAddress = address ?? localAddress;
        plug.connected({ remoteAddress, remotePort: target.number, localAddress, localPort }, true);
      },
    },
  );
  try {
    await running.result;
  } catch (thrown) {
    // The mediator has no such stream: there is nothing to reset.
    stream?.setHandlers(nobody);
    stream?.end(reasonOf(thrown));
    throw thrown;
  }
}
