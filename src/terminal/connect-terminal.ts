import { type Clock, systemClock } from '../base/clock.ts';
import { type Log, silentLog } from '../base/log.ts';
import { MemberDirectory } from '../member/directory.ts';
import { isOwnAddress } from '../member/own-address.ts';
import { proxySetting } from '../member/proxy-setting.ts';
import { startMember } from '../member/running-member.ts';
import { UdpPath } from '../member/udp-path.ts';
import { loadAddon } from '../native/addon.ts';
import { tuneLink } from '../native/link-socket.ts';
import { parseServerAddress } from '../policy/server-address.ts';
import { bestRelay } from '../relay/best-relay.ts';
import type { SocketTuner } from '../transport/tls.ts';
import { startTerminal, type Terminal, type TerminalOptions } from './terminal.ts';
import { tunnelError } from './tunnel-error.ts';

/** How {@link connectTerminal} starts. */
export interface ConnectTerminalOptions extends Partial<TerminalOptions> {
  /** The directory in which this terminal enrolled (`entremise enroll`). */
  readonly directory: string;
  /** `host:number` of servers to use instead of those that the operator names. */
  readonly servers?: readonly string[];
  /** Name and version of this program, for the operator's lists. */
  readonly software?: string;
  readonly log?: Log;
  readonly clock?: Clock;
  /** Packets that pass under one epoch's keys of a UDP channel, 2^28 when left out (P7.3); fewer are for tests. */
  readonly rekeyPackets?: number;
}

/** Bytes that may lie unsent in the kernel, so that what is urgent overtakes (P2.1). */
const notSentLowatBytes = 32 * 1024;

/**
 * Starts this program as the terminal that has enrolled in `directory`. Resolves at once; the link to the server is made
 * and kept in the background, until {@link Terminal.close}, which also lets the process end.
 * @throws TunnelError `not-enrolled`, `state-unreadable`, `document-invalid`, `key-revoked`, `bad-request`
 */
export async function connectTerminal(options: ConnectTerminalOptions): Promise<Terminal> {
  const { software = 'entremise-sdk', log = silentLog(), clock = systemClock, servers } = options;
  const directory = new MemberDirectory(options.directory);
  const storedGrants = () => directory.grants();
  const native = loadAddon();
  const tune: SocketTuner = socket => native && tuneLink(native, socket, notSentLowatBytes);
  const member = { directory, role: 'terminal' as const, software, capabilities: [], clock, log, tune };
  const addresses = servers?.map(parseServerAddress);
  const udp = new UdpPath({
    clock,
    log,
    directory: options.directory,
    openRelay: bestRelay(clock, native),
    lazy: true,
    rekeyPackets: options.rekeyPackets,
    proxied: proxySetting() !== undefined,
    random: Math.random,
    // A terminal does not watch its interfaces: the address that the server sees tells one path from another.
    wan: () => 'terminal',
    isOwn: isOwnAddress,
    onChange: () => {},
  });
  try {
    return await startTerminal(
      async handlers => {
        const started = await startMember({ ...member, handlers, ...(addresses && { servers: addresses }) });
        return { ...started, storedGrants };
      },
      { udp, ...options, clock },
    );
  } catch (thrown) {
    throw tunnelError(thrown);
  }
}
