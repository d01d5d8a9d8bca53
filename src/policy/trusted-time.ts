/**
 * Time on a box that has no clock and no reason to believe anybody (P6.7): the latest of what the system says, when this
 * program was built, the newest document of the authority that verified, and what a server said. A server can so push
 * time forwards, which only denies; it can never set it back.
 */
export interface TrustedTime {
  /** The latest time known from elsewhere than the system clock, milliseconds since 1970. */
  readonly floorMs: number;
  /** The monotonic clock when the floor was set. */
  readonly setAtMs: number;
}

/**
 * Start of a process: `buildMs` is when the program was built, `keptMs` the newest issue time kept on disk (0 if none).
 */
export function startTrustedTime(buildMs: number, keptMs: number, nowMs: number): TrustedTime {
  return { floorMs: Math.max(buildMs, keptMs), setAtMs: nowMs };
}

/** Milliseconds since 1970; `systemMs` and `nowMs` are the wall clock and the monotonic clock of this moment. */
export function trustedTimeMs(time: TrustedTime, systemMs: number, nowMs: number): number {
  return Math.max(systemMs, time.floorMs + Math.max(0, nowMs - time.setAtMs));
}

/** Raises the floor to a time learned now: an issue time that verified, or the server's of WELCOME. Never lowers it. */
export function raiseTrustedTime(time: TrustedTime, learnedMs: number, nowMs: number): TrustedTime {
  if (!Number.isFinite(learnedMs) || learnedMs <= trustedTimeMs(time, 0, nowMs)) return time;
  return { floorMs: learnedMs, setAtMs: nowMs };
}
