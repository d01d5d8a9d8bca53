import { asEntremiseError } from '../base/errors.ts';
import { keyToText } from '../base/keys.ts';
import type { MemberStatement } from '../policy/member-statement.ts';
import type { Presence, PresenceEntry, Report } from '../wire/messages/report.ts';

/** A mediator that this terminal's grants name (P1.8). */
export interface Mediator {
  /** Its public key as text. */
  readonly key: string;
  /** By the operator's word; undefined while there is no valid member statement. */
  readonly name: string | undefined;
  /** By the operator's word; empty without a valid member statement. */
  readonly labels: readonly string[];
  /** True when name and labels come from a member statement that holds. Only such a mediator can be attached to. */
  readonly verified: boolean;
  /** Why it is not verified. */
  readonly problem: string | undefined;
  /** As the server says; false while this terminal has no link. */
  readonly online: boolean;
  /** When it came or went. */
  readonly since: Date;
  /** What the gateway says of itself: hostile text, to be shown with care. Undefined before its first REPORT. */
  readonly report: Report | undefined;
  /** The address and number that its link comes from. */
  readonly observed: string | undefined;
  /** Round trip between mediator and server in milliseconds. */
  readonly roundTripMs: number | undefined;
}

/** What happened to a mediator in the list. */
export interface MediatorChange {
  readonly kind: 'online' | 'offline' | 'changed' | 'gone';
  readonly mediator: Mediator;
}

/** What the list needs of its terminal. */
export interface MediatorListOptions {
  /** @throws EntremiseError `document-invalid`, `key-revoked` */
  verifyMember(text: string): Promise<MemberStatement>;
  /** Resolves when every document that came before has been looked at. */
  documentsTaken(): Promise<unknown>;
  onChange(change: MediatorChange): void;
  /** The list is complete since the link is up. */
  onComplete(): void;
  /** Milliseconds since 1970. */
  wallTimeMs(): number;
}

interface Known {
  readonly statementText: string | undefined;
  readonly seq: number;
  readonly mediator: Mediator;
}

interface Verified {
  readonly statement: MemberStatement | undefined;
  readonly problem: string | undefined;
}

/** The mediators that the server tells of, each with what the operator says of it. Messages are taken one after another. */
export class MediatorList {
  private readonly options: MediatorListOptions;
  private readonly known = new Map<string, Known>();
  /** Keys told of since the subscription; undefined when its answer is complete. */
  private fresh: Set<string> | undefined;
  private work: Promise<void> = Promise.resolve();
  /** Rises when the link goes: what was told before it counts no more. */
  private round = 0;

  constructor(options: MediatorListOptions) {
    this.options = options;
  }

  /** All of them, by name. */
  get all(): readonly Mediator[] {
    const mediators = [...this.known.values()].map(({ mediator }) => mediator);
    return mediators.sort((a, b) => (a.name ?? a.key).localeCompare(b.name ?? b.key));
  }

  /** The verified one with that name; of two the one whose member statement is newer. */
  find(name: string): Mediator | undefined {
    const named = [...this.known.values()].filter(({ mediator }) => mediator.name === name);
    return named.sort((a, b) => b.seq - a.seq)[0]?.mediator;
  }

  /** The one with that key. */
  get(key: string): Mediator | undefined {
    return this.known.get(key)?.mediator;
  }

  /** A link is up and the subscription is sent. */
  onSubscribed(): void {
    this.fresh = new Set();
  }

  /** The link is gone: who is online is not known. */
  onOffline(): void {
    this.round++;
    this.fresh = undefined;
    const since = new Date(this.options.wallTimeMs());
    for (const each of [...this.known.values()]) {
      if (each.mediator.online) this.put({ ...each, mediator: { ...each.mediator, online: false, since } });
    }
  }

  /** The server tells of some. */
  onPresence(message: Presence): void {
    const { round } = this;
    this.work = this.work.then(() => this.take(message, round));
  }

  /** What is believed has changed: every statement is looked at again. */
  onTrustChanged(): void {
    this.work = this.work.then(() => this.verifyAgain());
  }

  private async take({ entries = [], complete }: Presence, round: number): Promise<void> {
    // What the server sent first may be the grant by which the list is meant, and verifying takes its time.
    await this.options.documentsTaken();
    for (const entry of entries) {
      const verified = await this.verify(entry);
      if (round !== this.round) return;
      this.apply(entry, verified);
    }
    if (complete !== true || round !== this.round || this.fresh === undefined) return;
    for (const key of [...this.known.keys()]) if (!this.fresh.has(key)) this.drop(key);
    this.fresh = undefined;
    this.options.onComplete();
  }

  private async verify(entry: { key: Uint8Array; statement?: string | undefined }): Promise<Verified> {
    const { key, statement: text } = entry;
    if (text === undefined) return { statement: undefined, problem: 'The server sent no member statement.' };
    try {
      const statement = await this.options.verifyMember(text);
      if (statement.key === keyToText(key) && statement.role === 'mediator')
        return { statement, problem: undefined };
      return { statement: undefined, problem: 'The member statement is not that of this mediator.' };
    } catch (thrown) {
      return { statement: undefined, problem: asEntremiseError(thrown).message };
    }
  }

  private apply(entry: PresenceEntry, verified: Verified): void {
    const key = keyToText(entry.key);
    this.fresh?.add(key);
    if (entry.gone === true) return this.drop(key);
    const before = this.known.get(key)?.mediator;
    const { statement, problem } = verified;
    const mediator: Mediator = {
      key,
      name: statement?.name,
      labels: statement?.labels ?? [],
      verified: statement !== undefined,
      problem,
      online: entry.online,
      since: new Date(entry.sinceMs),
      report: entry.report ?? before?.report,
      observed: entry.observed,
      roundTripMs: entry.roundTripMs,
    };
    this.put({ statementText: entry.statement, seq: statement?.seq ?? -1, mediator });
  }

  private put(known: Known): void {
    const { mediator } = known;
    const before = this.known.get(mediator.key)?.mediator;
    this.known.set(mediator.key, known);
    const turned = (before?.online ?? false) !== mediator.online;
    const kind = turned ? (mediator.online ? 'online' : 'offline') : 'changed';
    this.options.onChange({ kind, mediator });
  }

  private drop(key: string): void {
    const mediator = this.known.get(key)?.mediator;
    this.known.delete(key);
    if (mediator !== undefined) this.options.onChange({ kind: 'gone', mediator });
  }

  private async verifyAgain(): Promise<void> {
    for (const { statementText, mediator } of [...this.known.values()]) {
      const key = Buffer.from(mediator.key, 'base64url');
      const { statement, problem } = await this.verify({ key, statement: statementText });
      const now = this.known.get(mediator.key);
      if (now === undefined || now.statementText !== statementText) continue;
      const same = statement?.name === now.mediator.name && problem === now.mediator.problem;
      if (same) continue;
      const said = { name: statement?.name, labels: statement?.labels ?? [], problem };
      const verified = statement !== undefined;
      this.put({
        statementText,
        seq: statement?.seq ?? -1,
        mediator: { ...now.mediator, ...said, verified },
      });
    }
  }
}
