import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { OpenRelay } from '../relay/relay.ts';

/** What a path is made with. */
export interface UdpPathOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Where `path.json` is kept. */
  readonly directory: string;
  /** What stands for a second in the ladder; tests have shorter ones. */
  readonly unitMs?: number;
  /** Packets that pass under one epoch's keys of a channel (P7.3); tests have fewer. */
  readonly rekeyPackets?: number | undefined;
  readonly openRelay: OpenRelay;
  /** No channel until {@link UdpPath.want}. */
  readonly lazy?: boolean;
  /** Links go through an HTTP proxy: there is no way for UDP. */
  readonly proxied?: boolean;
  /** Between 0 and 1. */
  random(): number;
  /** WAN interface and gateway in words, as they are now, towards an address. */
  wan(serverAddress: string): string;
  /** True for an address of this machine. */
  isOwn?(address: string): boolean;
  /** {@link UdpPath.state} or {@link UdpPath.knowledge} has changed. */
  onChange(): void;
}
