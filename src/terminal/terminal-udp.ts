import type { MemberChannels } from '../member/channel-source.ts';
import type { UdpPath } from '../member/udp-path.ts';
import type { ChannelRoute, PlainTarget, Relay } from '../relay/relay.ts';
import type { RouteListener } from '../relay/relay-hub.ts';
import type { PathReport } from '../wire/messages/report.ts';

/** What a terminal's redirected ports go over: a member's UDP path, or what stands for one in the server's process (P7.6). */

/** What this end needs of a relay, and of who tells what it tells. */
export interface RouteHub {
  readonly relay: Pick<Relay, 'bindRoute' | 'unbindRoute' | 'sendDatagram'>;
  listenToRoute(cid: number, route: number, listener: RouteListener | undefined): void;
}

/** The UDP side of a terminal. */
export interface TerminalUdp {
  readonly hub: RouteHub;
  readonly channels: MemberChannels;
}

/** A member's UDP path, as a terminal uses it. */
export type TerminalUdpPath = MemberChannels &
  Pick<UdpPath, 'onOnline' | 'onOffline' | 'onMessage' | 'stop'> & {
    readonly hub: RouteHub;
    /** See {@link UdpPath.survey}; absent where there is no network on the way. */
    survey?(): Promise<PathReport>;
  };

/** A way past this program for what comes and goes by UDP on one redirected port. */
export interface PortBypass {
  /** What comes by UDP leaves there. */
  readonly to: PlainTarget;
  /** From now on the port's datagrams leave by UDP on that route; undefined: by whatever the port's socket says. */
  onRoute(route: ChannelRoute | undefined): void;
}
