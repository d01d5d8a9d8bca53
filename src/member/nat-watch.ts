import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { ownPlace } from '../session/member-channel.ts';
import { NatProbe } from '../session/nat-probe.ts';
import { type NatView, natView } from '../session/nat-view.ts';
import type { PacketPeer } from '../wire/packet.ts';
import type { ChannelKeeper } from './channel-keeper.ts';

/** What a watch needs. */
export interface NatWatchOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Of the channel whose path it is. */
  keeper(): Pick<ChannelKeeper, 'sight' | 'drop' | 'numberOf'>;
  isOwn?(address: string): boolean;
  /** {@link NatWatch.view} has changed. */
  onChange(): void;
}

/** What the NATs on the way of a channel do to it, looked at whenever it has come up (P8.5). */
export class NatWatch {
  private readonly options: NatWatchOptions;
  private readonly probe: NatProbe;
  private readonly watchers = new Set<() => void>();
  private observed: PacketPeer | undefined;
  private seen: NatView | undefined;

  constructor(options: NatWatchOptions) {
    this.options = options;
    this.probe = new NatProbe({
      clock: options.clock,
      sight: (place, id) => options.keeper().sight(place, id),
      drop: place => options.keeper().drop(place),
      onDone: seen => this.onDone(seen),
    });
  }

  /** What was seen last; undefined before anything was. */
  get view(): NatView | undefined {
    return this.seen;
  }

  /** The channel is up, and the server sees it so. */
  start(observed: PacketPeer): void {
    this.observed = observed;
    this.probe.start();
  }

  /** The server sees a spare place so. */
  onSeen(place: number, as: PacketPeer): void {
    this.probe.onAlive(place, as);
  }

  /** The channel is down. */
  stop(): void {
    this.probe.stop();
  }

  /** Calls `watcher` whenever something was seen, until the returned function is called. */
  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => void this.watchers.delete(watcher);
  }

  private onDone(seen: ReadonlyMap<number, PacketPeer>): void {
    const { observed, options } = this;
    const own = observed === undefined ? [] : [[ownPlace, observed] as const];
    const sightings = [...own, ...seen].map(([place, as]) => ({
      localNumber: options.keeper().numberOf(place),
      observed: as,
    }));
    this.seen = natView(sightings, address => options.isOwn?.(address) ?? false);
    options.log.info({ ...this.seen }, 'what NATs do to UDP');
    options.onChange();
    for (const watcher of [...this.watchers]) watcher();
  }
}
