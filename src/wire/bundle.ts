import { packetKind, probeBytes } from './packet.ts';

/** When datagrams may share a packet (P7.2). */

/** Kinds that this version opens beyond the first eleven, as CHANNEL says (P7.1). */
export const openedKinds: readonly number[] = [packetKind.bundle];

/**
 * The longest packet that datagrams may share on a path that packets of `packetBytes` come through, towards a side that opens
 * the kinds of `opens`; undefined: none. Not beyond what PROBE has shown: a path that grows shorter loses none by it (P7.2).
 */
export function bundleBytesOf(packetBytes: number, opens: readonly number[]): number | undefined {
  return opens.includes(packetKind.bundle) ? Math.min(packetBytes, probeBytes) : undefined;
}
