import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { MemberChannels } from '../../member/channel-source.ts';
import type { NativeSockets } from '../../native/addon.ts';
import type { Command as AccessCommand } from '../../policy/authorise.ts';
import type { GatewayFacts } from '../../policy/gateway-facts.ts';
import type { NumberRange } from '../../policy/number-range.ts';
import type { CanonicalAddress } from '../../policy/target.ts';
import type { Denial } from '../../policy/verdict.ts';
import type { RelayHub } from '../../relay/relay-hub.ts';
import type { NewStream } from '../../session/attachment.ts';
import type { SlabPool } from '../../session/slab.ts';
import type { Stream } from '../../session/stream.ts';
import type { Portroute } from '../../wire/messages/attach.ts';
import type { Datagram, DatagramMark } from '../../wire/messages/binary.ts';
import type { Result } from '../../wire/messages/command.ts';
import type { PortEvent } from '../../wire/messages/event.ts';
import type { AuditDetails } from '../audit.ts';
import type { WireView } from '../capture/wire-view.ts';
import type { CorkRound } from '../cork.ts';
import type { Device } from '../devices/device.ts';
import type { UsageShare } from '../grant-usage.ts';
import type { NumberHolder, NumberRegistry } from './number-registry.ts';

/** What a RESULT says besides id and code. */
export type ResultFields = Omit<Result, 'id' | 'code'>;

/** The one way to ask whether something may be done (P5.8). */
export interface Door {
  /** Asks, and does nothing else: for candidates. Undefined: allowed. */
  ask(command: AccessCommand): Denial | undefined;
  /**
   * Asks, and leaves the audit line that stands before every act.
   * @throws EntremiseError the refusal, or `audit-unavailable` when it may be done but the line cannot be written
   */
  permit(command: AccessCommand, details: AuditDetails): void;
  /** The numbers that grant and owner let a port have: where the candidates of `preferred` and `any` come from. */
  portNumbers(protocol: 'tcp' | 'udp'): readonly NumberRange[];
}

/** What the ports of one attachment need of it and of the process. Everything a port can do goes through here. */
export interface PortSurroundings {
  readonly door: Door;
  readonly usage: UsageShare;
  /** The gateway's addresses and interfaces, as they are now. */
  facts(): GatewayFacts;
  /** Undefined: numbers are held as far as Node can. */
  readonly native: NativeSockets | undefined;
  /** The relay of UDP ports. */
  readonly hub: RelayHub;
  /** The channels that redirected ports go over. */
  readonly channels: MemberChannels;
  readonly clock: Clock;
  readonly log: Log;
  readonly pool: SlabPool;
  readonly cork: CorkRound;
  readonly numbers: NumberRegistry;
  /** What is seen on the wire; undefined where only sockets tell of connections. */
  readonly wire: Pick<WireView, 'tap'> | undefined;
  /** The attachment, for the registry of numbers. */
  readonly holder: NumberHolder;
  /** A new id, unique for the mediator's boot (P1.3). */
  nextPortId(): number;
  /** `creates`: the stream that `connected` makes. */
  sendEvent(event: PortEvent, creates?: Stream): void;
  sendDatagram(datagram: Datagram | DatagramMark): void;
  /** Says PORTROUTE on the label of now; false when there is none. */
  sendPortroute(message: Omit<Portroute, 'label'>): boolean;
  /** A stream of this end for an accepted connection; undefined when the budgets have no floor (P3.3). */
  createStream(peerLimit: number): NewStream | undefined;
  /** Stream 0 holds all it may: accept nothing (P3.7). */
  controlFull(): boolean;
  /** Stream 0 holds half of that: make no events that may as well be counted. */
  controlBusy(): boolean;
  /**
   * The addresses of a name as the gateway resolves it, in the resolver's order.
   * @throws EntremiseError `no-such-name`, `timed-out`
   */
  lookup(name: string): Promise<readonly CanonicalAddress[]>;
  /** The devices of the LAN, by their first address. */
  devices(): readonly Device[];
}
