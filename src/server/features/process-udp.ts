import type { ChannelWatcher } from '../../member/channel-source.ts';
import type { PlainSide } from '../../switch/plain-side.ts';
import type { TerminalUdpPath } from '../../terminal/index.ts';

/** The UDP path of a terminal in the server's process: there as long as its link is (P7.6). */
export class ProcessUdp implements TerminalUdpPath {
  readonly hub: PlainSide;
  readonly isTrying = false;
  private online = false;
  private readonly watchers = new Set<ChannelWatcher>();

  constructor(side: PlainSide) {
    this.hub = side;
  }

  get cid(): number | undefined {
    return this.online ? this.hub.cid : undefined;
  }

  watch(watcher: ChannelWatcher): () => void {
    this.watchers.add(watcher);
    return () => void this.watchers.delete(watcher);
  }

  /** Ports go past this program: there is nothing to share. */
  ownChannel(): undefined {}

  onOnline(): void {
    this.become(true);
  }

  onOffline(): void {
    this.become(false);
  }

  private become(online: boolean): void {
    this.online = online;
    for (const watcher of [...this.watchers]) watcher();
  }

  /** It offers no channels, so none is spoken of. */
  onMessage(): void {}
  stop(): void {}
}
