import { LabError } from './errors.ts';
import { checkWhole } from './input.ts';

/*
 * Timers are per namespace, whole seconds, and an entry's clock starts anew with each of its packets.
 * Linux counts a UDP flow as a stream (`udpStreamSeconds`) once packets went both ways and the flow is
 * more than two seconds old; until then `udpSeconds` rules.
 */

/** Conntrack timers of a namespace: the time an entry lives without a packet, in whole seconds. */
export interface ConntrackTimers {
  readonly udpSeconds?: number;
  readonly udpStreamSeconds?: number;
  readonly tcpSynSentSeconds?: number;
  readonly tcpSynRecvSeconds?: number;
  readonly tcpEstablishedSeconds?: number;
  readonly tcpFinWaitSeconds?: number;
  readonly tcpCloseWaitSeconds?: number;
  readonly tcpLastAckSeconds?: number;
  readonly tcpTimeWaitSeconds?: number;
  readonly tcpCloseSeconds?: number;
  readonly tcpUnacknowledgedSeconds?: number;
  readonly tcpMaxRetransSeconds?: number;
  readonly icmpSeconds?: number;
  readonly icmpv6Seconds?: number;
  readonly genericSeconds?: number;
}

const sysctlOf: { readonly [timer in keyof Required<ConntrackTimers>]: string } = {
  udpSeconds: 'udp_timeout',
  udpStreamSeconds: 'udp_timeout_stream',
  tcpSynSentSeconds: 'tcp_timeout_syn_sent',
  tcpSynRecvSeconds: 'tcp_timeout_syn_recv',
  tcpEstablishedSeconds: 'tcp_timeout_established',
  tcpFinWaitSeconds: 'tcp_timeout_fin_wait',
  tcpCloseWaitSeconds: 'tcp_timeout_close_wait',
  tcpLastAckSeconds: 'tcp_timeout_last_ack',
  tcpTimeWaitSeconds: 'tcp_timeout_time_wait',
  tcpCloseSeconds: 'tcp_timeout_close',
  tcpUnacknowledgedSeconds: 'tcp_timeout_unacknowledged',
  tcpMaxRetransSeconds: 'tcp_timeout_max_retrans',
  icmpSeconds: 'icmp_timeout',
  icmpv6Seconds: 'icmpv6_timeout',
  genericSeconds: 'generic_timeout',
};

/**
 * The sysctls that set conntrack timers.
 *
 * @throws LabError `bad-input` for an unknown timer or anything but whole seconds from 1.
 */
export function conntrackSysctls(timers: ConntrackTimers): Record<string, number> {
  const sysctls: Record<string, number> = {};
  for (const [timer, seconds] of Object.entries(timers)) {
    const suffix: string | undefined = sysctlOf[timer as keyof ConntrackTimers];
    if (suffix === undefined) {
      throw new LabError('bad-input', `no timer ${timer}; there are ${Object.keys(sysctlOf).join(', ')}`);
    }
    sysctls[`net.netfilter.nf_conntrack_${suffix}`] = checkWhole(seconds, timer, 1, 2_147_483);
  }
  return sysctls;
}

/** One direction of a tracked connection; ports are absent where the protocol has none. */
export interface ConntrackTuple {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
}

/** A tracked connection. Under NAT, `reply` is not the mirror of `original`: there the translation shows. */
export interface ConntrackEntry {
  /** `udp`, `tcp`, `icmp`, … */
  readonly protocol: string;
  /** Until it is forgotten if nothing more passes. */
  readonly secondsLeft: number;
  /** TCP only, such as `ESTABLISHED`. */
  readonly state?: string;
  readonly original: ConntrackTuple;
  readonly reply: ConntrackTuple;
  /** Packets went both ways. */
  readonly replied: boolean;
}

/** Reads what `conntrack -L` writes; lines that are no entries are skipped. */
export function parseConntrack(output: string): ConntrackEntry[] {
  return output.split('\n').flatMap(line => {
    const entry = parseEntry(line);
    return entry ? [entry] : [];
  });
}

/** `tcp 6 299 ESTABLISHED src=… dst=… sport=… dport=… [UNREPLIED] src=… dst=… sport=… dport=… …` */
function parseEntry(line: string): ConntrackEntry | undefined {
  const head = /^(\S+)\s+\d+\s+(\d+)\s+([A-Z_0-9]+ )?/.exec(line);
  // A tuple starts at each src=; what follows the second one (flags, mark) is not read.
  const [, original, reply] = line.split(/(?=\bsrc=)/);
  if (!head || original === undefined || reply === undefined) return undefined;
  return {
    protocol: head[1] ?? '',
    secondsLeft: Number(head[2]),
    ...(head[3] !== undefined && { state: head[3].trim() }),
    original: parseTuple(original),
    reply: parseTuple(reply),
    replied: !line.includes('[UNREPLIED]'),
  };
}

function parseTuple(text: string): ConntrackTuple {
  const field = (name: string) => new RegExp(`\\b${name}=(\\S+)`).exec(text)?.[1];
  const [sourcePort, destinationPort] = [field('sport'), field('dport')];
  return {
    source: field('src') ?? '',
    destination: field('dst') ?? '',
    ...(sourcePort !== undefined && { sourcePort: Number(sourcePort) }),
    ...(destinationPort !== undefined && { destinationPort: Number(destinationPort) }),
  };
}
