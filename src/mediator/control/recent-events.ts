/** What the log has said of late, for the gateway's owner, who may have no other way to see it. */

/** A line of the log. */
export interface RecentEvent {
  /** ISO 8601 by this machine's clock. */
  readonly time: string;
  /** One of the program's own sentences. */
  readonly what: string;
  /** What it was about. Texts may come from elsewhere. */
  readonly details: Readonly<Record<string, string | number>>;
}

const keptEvents = 20;
const keptCharacters = 200;

/** Fields of log lines that say something to an owner; no other is kept. */
const telling = ['reason', 'grant', 'purpose', 'code', 'minutes', 'protocol', 'address', 'number', 'closed'];

function detailsOf(fields: Readonly<Record<string, unknown>>): RecentEvent['details'] {
  const details: Record<string, string | number> = {};
  for (const name of telling) {
    const value = fields[name];
    if (typeof value === 'number') details[name] = value;
    if (typeof value === 'string') details[name] = value.slice(0, keptCharacters);
  }
  return details;
}

/** The newest lines; older ones are forgotten. */
export class RecentEvents {
  private events: readonly RecentEvent[] = [];
  private readonly isoNow: () => string;

  constructor(isoNow: () => string) {
    this.isoNow = isoNow;
  }

  /** The newest last. */
  get all(): readonly RecentEvent[] {
    return this.events;
  }

  /** Takes a line down; `fields` and `message` as they were given to the log. */
  note(fields: unknown, message: unknown): void {
    if (typeof fields !== 'object' || fields === null || typeof message !== 'string') return;
    const event = { time: this.isoNow(), what: message, details: detailsOf({ ...fields }) };
    this.events = [...this.events, event].slice(-keptEvents);
  }
}
