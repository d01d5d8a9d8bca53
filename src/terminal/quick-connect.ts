import { EntremiseError } from '../base/errors.ts';
import type { IpText } from '../wire/ip.ts';
import { commandTimeoutMs } from './command-queue.ts';
import { connectStream, familyOf, type Target, targetOf } from './connect-stream.ts';
import type { PortHost } from './port-host.ts';
import { reasonOf, tunnelError } from './tunnel-error.ts';
import { type ConnectOptions, discardPort, openCommand } from './tunnel-port.ts';
import { type SocketPlug, TunnelSocket } from './tunnel-socket.ts';

type Family = 'ipv4' | 'ipv6';

/** Of a name, the family that connected last: next time its bytes need not wait for the answer. */
export type KnownFamilies = Map<string, Family>;

/** What {@link quickConnect} connects to. */
export interface QuickConnectOptions extends ConnectOptions {
  /** For names: 4 or 6 only; without it IPv4 is tried first. */
  readonly family?: 4 | 6 | undefined;
}

/**
 * A connection from any number of the wildcard: OPEN, CONNECT and the first bytes go together, so it costs one round
 * trip (P3.4). For a name whose family is not known the bytes wait for the answer, since they may have to go again.
 */
export function quickConnect(
  host: PortHost,
  known: KnownFamilies,
  options: QuickConnectOptions,
): TunnelSocket {
  return new TunnelSocket(host, options, plug => {
    connect(host, known, options, plug).catch(thrown => plug.fail(tunnelError(thrown)));
  });
}

async function connect(
  host: PortHost,
  known: KnownFamilies,
  options: QuickConnectOptions,
  plug: SocketPlug,
): Promise<void> {
  const target = targetOf(options.host, options.port);
  const candidates = familiesFor(target, known, options.family);
  for (const [index, family] of candidates.entries()) {
    try {
      await tryFamily(host, target, family, plug, candidates.length === 1);
      if (target.name !== undefined) known.set(target.name, family);
      return;
    } catch (thrown) {
      if (target.name !== undefined) known.delete(target.name);
      const isLast = index === candidates.length - 1;
      if (isLast || plug.gone || !mayBeOtherFamily(thrown)) throw thrown;
    }
  }
}

/** The name has no address of the family, or the mediator no way to it. */
function mayBeOtherFamily(thrown: unknown): boolean {
  return ['no-such-name', 'unreachable', 'address-not-available'].includes(reasonOf(thrown));
}

function familiesFor(target: Target, known: KnownFamilies, family: 4 | 6 | undefined): readonly Family[] {
  if (target.address !== undefined) return [familyOf(target.address)];
  if (family !== undefined) return [family === 4 ? 'ipv4' : 'ipv6'];
  const last = known.get(target.name ?? '');
  return last === undefined ? ['ipv4', 'ipv6'] : [last];
}

async function tryFamily(
  host: PortHost,
  target: Target,
  family: Family,
  plug: SocketPlug,
  early: boolean,
): Promise<void> {
  const command = openCommand({ protocol: 'tcp', family: family === 'ipv4' ? 4 : 6 });
  let opened: { id: number; address: IpText; number: number } | undefined;
  const opening = host.commands.run(() => ({ command }), {
    timeoutMs: commandTimeoutMs,
    onAnswer({ port = 0, address = '', number = 0 }) {
      opened = { id: port, address, number };
    },
    onLate: late => discardPort(host, late.port),
  });
  const connecting = connectStream(host, {
    reference: () => ({ portOf: seqOf(opening.seq) }),
    target,
    plug,
    early,
    local: () => opened ?? { address: '', number: 0 },
  });
  try {
    // A refused OPEN makes the CONNECT fail too, but only its own answer says why.
    await Promise.all([opening.result, connecting]);
  } catch (thrown) {
    await Promise.allSettled([opening.result, connecting]);
    discardPort(host, opened?.id);
    throw thrown;
  }
}

function seqOf(seq: number | undefined): number {
  if (seq === undefined) throw new EntremiseError('aborted', { message: 'OPEN was not sent.' });
  return seq;
}
