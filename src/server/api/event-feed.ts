/** An event as clients get it. */
export interface FedEvent {
  /** Rises by one within an attachment. */
  readonly id: number;
  readonly kind: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** How many events are kept for who comes back (`Last-Event-ID`). */
const keptEvents = 1_000;

/** The events of one attachment, numbered, the last of them kept, told to whoever follows. */
export class EventFeed {
  private readonly kept: FedEvent[] = [];
  private readonly followers = new Set<(event: FedEvent) => void>();
  private readonly onEnd = new Set<() => void>();
  private nextId = 1;
  private over = false;

  /** Adds one. */
  add(kind: string, data: Readonly<Record<string, unknown>>): void {
    const event = { id: this.nextId++, kind, data };
    this.kept.push(event);
    if (this.kept.length > keptEvents) this.kept.shift();
    for (const tell of [...this.followers]) tell(event);
  }

  /** Nothing follows. */
  end(): void {
    this.over = true;
    for (const tell of [...this.onEnd]) tell();
  }

  /**
   * Tells of the events behind `afterId` that are kept, and of those to come. A gap is told as `lost` with how many.
   * Returns how to stop.
   */
  follow(afterId: number, tell: (event: FedEvent) => void, ended: () => void): () => void {
    const first = this.kept[0]?.id ?? this.nextId;
    const missing = first - 1 - afterId;
    if (missing > 0) tell({ id: first - 1, kind: 'lost', data: { count: missing } });
    for (const event of this.kept) if (event.id > afterId) tell(event);
    if (this.over) ended();
    this.followers.add(tell);
    this.onEnd.add(ended);
    return () => {
      this.followers.delete(tell);
      this.onEnd.delete(ended);
    };
  }
}
