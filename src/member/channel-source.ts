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

/** One that nobody shares. */
export interface OwnChannel extends ChannelSource {
  /** It is of no use any more. */
  end(): void;
}

/** All channels of a member: as a source, the one that is shared. */
export interface MemberChannels extends ChannelSource {
  /**
   * A channel that nobody else uses, until it is ended; undefined when there are as many as may be. Where the server grants
   * none the shared one carries what was meant for it.
   */
  ownChannel(): OwnChannel | undefined;
}
