import { LabError } from './errors.ts';
import { until } from './wait.ts';

/** What can listen on a port; for `udp` it is enough to be bound and not connected. */
export type ListeningProtocol = 'tcp' | 'udp';

/** A socket that waits for others. */
export interface ListeningSocket {
  readonly protocol: ListeningProtocol;
  readonly port: number;
}

/** States in /proc/net: 0A is TCP's LISTEN; 07 (CLOSE) is what an unconnected UDP socket shows. */
const waitingState = { tcp: '0A', udp: '07' } as const;

/**
 * Reads `/proc/net/{tcp,tcp6,udp,udp6}` as `grep -H` prints them: `<file>:  <n>: <address>:<port> <remote> <state> …`,
 * numbers in hexadecimal.
 */
export function parseListening(tables: string): ListeningSocket[] {
  return tables.split('\n').flatMap(line => {
    const match =
      /^\/proc\/net\/(tcp|udp)6?:\s*\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) /.exec(
        line,
      );
    if (!match) return [];
    const protocol = match[1] === 'tcp' ? 'tcp' : 'udp';
    return match[3] === waitingState[protocol]
      ? [{ protocol, port: Number.parseInt(match[2] ?? '', 16) }]
      : [];
  });
}

/**
 * Waits until `readTables` shows a socket that waits on the port.
 *
 * @throws LabError `deadline`, listing what does listen.
 */
export async function untilListening(
  readTables: () => Promise<string>,
  where: string,
  protocol: ListeningProtocol,
  port: number,
  deadlineMs: number,
): Promise<void> {
  if (protocol !== 'tcp' && protocol !== 'udp') {
    throw new LabError('bad-input', `bad protocol ${JSON.stringify(protocol)}: tcp or udp`);
  }
  let seen: ListeningSocket[] = [];
  await until(
    async () => {
      seen = parseListening(await readTables());
      return seen.some(socket => socket.protocol === protocol && socket.port === port);
    },
    {
      what: `a listener on ${protocol} ${port} in ${where}`,
      deadlineMs,
      explain: () => `listening there: ${seen.map(s => `${s.protocol} ${s.port}`).join(', ') || 'nothing'}`,
    },
  );
}
