/** Who waits for channels: told whenever one has come up or gone. */
export type ChannelWatcher = () => void;

/** The UDP channel of a member, as those see it who use it. */
export interface ChannelSource {
  /** The cid of the channel, while it is up. */
  readonly cid: number | undefined;
  /** It may come up soon. */
  readonly isTrying: boolean;
  /**
   * Calls `watcher` whenever that changes, until the returned function is called. While anybody watches UDP is offered,
   * and where it does not pass tried again and again.
   */
  watch(watcher: ChannelWatcher): () => void;
}
