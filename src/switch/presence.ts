import type { Clock } from '../base/clock.ts';
import { keyFromText } from '../base/keys.ts';
import { type PresenceEntry, presence, presenceEntry, type Report } from '../wire/messages/report.ts';
import { frameType } from '../wire/spec.ts';
import type { ServerLink } from './server-link.ts';

/**
 * PRESENCE (P1.8): a terminal that subscribes is told of every mediator that its valid grants name, in pages, and from
 * then on of changes, several of them together. What a subscriber has not been told is a set of keys, not a queue of
 * messages: however often a mediator comes and goes, and however slowly a terminal reads, nothing grows.
 */

/** Changes within this time go together. */
const gatherMs = 100;

/** Bytes of entries in one message; one entry more may stand in it. */
const pageBytes = 48 * 1024;

/** The longest entry that is sent whole; a report that makes it longer is left out. */
const maxEntryBytes = 128 * 1024;

/** While a subscriber has this much of label 0 before it, it is told nothing more. */
const maxBacklogBytes = 128 * 1024;

/** What is known of a mediator, online or not. */
export interface MediatorRecord {
  /** Its member statement. */
  readonly statement: string;
  /** Its last REPORT. */
  readonly report: Report | undefined;
  /** When it was last connected, milliseconds since 1970; 0 when it never was. */
  readonly lastSeenMs: number;
}

/** Whoever knows documents and reports. Keys are text. */
export interface Directory {
  /** The mediators that the terminal's valid grants name. */
  visibleTo(terminal: string): Iterable<string>;
  isVisible(terminal: string, mediator: string): boolean;
  record(mediator: string): MediatorRecord | undefined;
}

/** A mediator's link and since when it has one without a break. */
export interface OnlineMediator {
  readonly link: ServerLink;
  readonly sinceMs: number;
}

/** What the desk needs of the switch. */
export interface PresenceDeskOptions {
  readonly clock: Clock;
  readonly directory: Directory;
  online(mediator: string): OnlineMediator | undefined;
}

interface Subscriber {
  readonly link: ServerLink;
  /** Mediators it has been told of. */
  readonly told: Set<string>;
  /** Mediators it has still to be told of. */
  readonly due: Set<string>;
  /** The first answer is not complete. */
  opening: boolean;
  /** It has subscribed and is to be told everything. */
  again: boolean;
  cancelTimer: (() => void) | undefined;
}

function newSubscriber(link: ServerLink): Subscriber {
  const nothing = { told: new Set<string>(), due: new Set<string>() };
  return { link, ...nothing, opening: false, again: false, cancelTimer: undefined };
}

/** See the head of this file. */
export class PresenceDesk {
  private readonly options: PresenceDeskOptions;
  private readonly subscribers = new Map<ServerLink, Subscriber>();
  /** When a link was last told everything from the beginning, also when it has unsubscribed since. */
  private readonly begunMs = new WeakMap<ServerLink, number>();

  constructor(options: PresenceDeskOptions) {
    this.options = options;
  }

  /**
   * A terminal wants to be told from now on, beginning with everything. Who says so again is told everything once more,
   * but not more often than of changes: to find out who sees whom is work.
   */
  subscribe(link: ServerLink): void {
    const subscriber = this.subscribers.get(link) ?? newSubscriber(link);
    subscriber.again = true;
    this.subscribers.set(link, subscriber);
    const sinceMs = this.options.clock.now() - (this.begunMs.get(link) ?? Number.NEGATIVE_INFINITY);
    if (sinceMs < gatherMs) this.flushSoon(subscriber);
    else this.flush(subscriber);
  }

  /** A terminal is gone, or wants to be told no more. */
  forget(link: ServerLink): void {
    this.subscribers.get(link)?.cancelTimer?.();
    this.subscribers.delete(link);
  }

  /** A mediator came, went, reported or got another statement. */
  changed(mediator: string): void {
    const { directory } = this.options;
    for (const subscriber of this.subscribers.values()) {
      const concerned =
        subscriber.told.has(mediator) || directory.isVisible(subscriber.link.identity.key, mediator);
      if (concerned) this.makeDue(subscriber, [mediator]);
    }
  }

  /** Grants or statements have changed: who may see whom is worked out anew. */
  revalidate(): void {
    for (const subscriber of this.subscribers.values()) {
      const visible = new Set(this.options.directory.visibleTo(subscriber.link.identity.key));
      const fresh = [...visible].filter(mediator => !subscriber.told.has(mediator));
      const gone = [...subscriber.told].filter(mediator => !visible.has(mediator));
      this.makeDue(subscriber, [...fresh, ...gone]);
    }
  }

  private makeDue(subscriber: Subscriber, mediators: readonly string[]): void {
    if (mediators.length === 0) return;
    for (const mediator of mediators) subscriber.due.add(mediator);
    this.flushSoon(subscriber);
  }

  private flushSoon(subscriber: Subscriber): void {
    subscriber.cancelTimer ??= this.options.clock.after(gatherMs, () => {
      subscriber.cancelTimer = undefined;
      this.flush(subscriber);
    });
  }

  private begin(subscriber: Subscriber): void {
    const { link, told, due } = subscriber;
    this.begunMs.set(link, this.options.clock.now());
    subscriber.again = false;
    subscriber.opening = true;
    for (const mediator of [...told, ...this.options.directory.visibleTo(link.identity.key)])
      due.add(mediator);
  }

  private flush(subscriber: Subscriber): void {
    const { link, due } = subscriber;
    if (subscriber.again) this.begin(subscriber);
    while (due.size > 0 || subscriber.opening) {
      if (!link.open) return;
      if (link.linkBacklogBytes > maxBacklogBytes) return this.flushSoon(subscriber);
      const entries = this.takePage(subscriber);
      const complete = subscriber.opening && due.size === 0;
      if (complete) subscriber.opening = false;
      if (entries.length === 0 && !complete) return;
      link.send(frameType.presence, presence.toBytes(complete ? { entries, complete } : { entries }));
    }
  }

  private takePage({ link, due, told }: Subscriber): PresenceEntry[] {
    const entries: PresenceEntry[] = [];
    let bytes = 0;
    for (const mediator of due) {
      if (bytes >= pageBytes) break;
      due.delete(mediator);
      const entry = this.entryFor(link.identity.key, mediator, told);
      if (entry === undefined) continue;
      entries.push(entry.value);
      bytes += entry.bytes;
    }
    return entries;
  }

  private entryFor(
    terminal: string,
    mediator: string,
    told: Set<string>,
  ): { value: PresenceEntry; bytes: number } | undefined {
    const { directory } = this.options;
    const record = directory.isVisible(terminal, mediator) ? directory.record(mediator) : undefined;
    if (record !== undefined) {
      told.add(mediator);
      return measured(this.entryOf(mediator, record));
    }
    if (!told.delete(mediator)) return undefined;
    const sinceMs = this.options.clock.wallTimeMs();
    return measured({ key: keyFromText(mediator), online: false, sinceMs, gone: true });
  }

  private entryOf(mediator: string, { statement, report, lastSeenMs }: MediatorRecord): PresenceEntry {
    const online = this.options.online(mediator);
    const known = { key: keyFromText(mediator), statement, ...(report === undefined ? {} : { report }) };
    if (online === undefined) return { ...known, online: false, sinceMs: lastSeenMs };
    const { link, sinceMs } = online;
    const roundTrip =
      link.roundTripMs === undefined ? {} : { roundTripMs: Math.max(0, Math.round(link.roundTripMs)) };
    return { ...known, online: true, sinceMs, observed: link.remote, ...roundTrip };
  }
}

/** The entry and its length; without its report when that makes it too long for a page. */
function measured(entry: PresenceEntry): { value: PresenceEntry; bytes: number } {
  const bytes = presenceEntry.toBytes(entry).length;
  if (bytes <= maxEntryBytes || entry.report === undefined) return { value: entry, bytes };
  const { report: _tooLong, ...rest } = entry;
  return measured(rest);
}
