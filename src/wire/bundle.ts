import { packetKind, probeBytes } from './packet.ts';

/** When datagrams may share a packet (P7.2). */

/** Kinds that this version opens beyond the first eleven, as CHANNEL says (P7.1). */
export const openedKinds: readonly number[] = [packetKind.bundle];

/** What is known of the way that packets take: the longest that come through, and whether those of 1,200 bytes do at all. */
export interface KnownPath {
  readonly packetBytes: number;
  readonly passesBase: boolean;
}

/**
 * The longest packet that datagrams may share on that path, towards a side that opens the kinds of `opens`; undefined: none.
 * Not beyond what PROBE has shown: a path that grows shorter, down to that, loses none by it (P7.2).
 */
export function bundleBytesOf(
  { packetBytes, passesBase }: KnownPath,
  opens: readonly number[],
): number | undefined {
  return passesBase && opens.includes(packetKind.bundle) ? Math.min(packetBytes, probeBytes) : undefined;
}
