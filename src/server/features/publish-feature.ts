import { asEntremiseError, EntremiseError, type ErrorCode } from '../../base/errors.ts';
import type { NativeSockets } from '../../native/addon.ts';
import type { Audit } from '../../switch/permit.ts';
import { byFile, type Declared } from '../declared/declarations.ts';
import { type Publication, type PublicationText, publicationText } from '../declared/publication.ts';
import type { TokenBounds } from '../declared/token-bounds.ts';
import type { PublishedCounts } from '../publish/client-limits.ts';
import { openPublished, type PublishedPort } from '../publish/open-published.ts';
import { Coalesced } from './coalesced.ts';
import type { AttachmentLease, DeclaredState } from './feature-attachments.ts';
import { FeatureHost, type FeatureHostOptions } from './feature-host.ts';
import { type AskRelay, askOnce, countStates, type DeclaredFigures, EndedFlows } from './flow.ts';

/** Published ports (P7.6): what is declared of them, kept as it is declared. */

/** How soon a number that could not be had is tried again. */
const retryMs = 5_000;

/** How a publication stands. */
export type PublicationStatus = {
  readonly id: string;
  readonly declaredBy: string;
  readonly expires?: string;
} & PublicationText &
  DeclaredState & { readonly counts?: PublishedCounts };

/** What the feature needs. */
export interface PublishFeatureOptions extends Omit<FeatureHostOptions, 'name'> {
  readonly native: NativeSockets | undefined;
  readonly audit: Audit;
  readonly bounds: Pick<TokenBounds, 'ofPublication'>;
}

interface Entry {
  readonly declared: Declared<Publication>;
  /** As long as it is there, nothing else tells a publication from another. */
  readonly spec: string;
  lease: AttachmentLease | undefined;
  port: PublishedPort | undefined;
  failure: EntremiseError | undefined;
  isOpening: boolean;
  isOver: boolean;
  cancelRetry: () => void;
}

function specOf({ value, expiresAtMs }: Declared<Publication>): string {
  return JSON.stringify([publicationText(value), expiresAtMs]);
}

/** See the head of this file. */
export class PublishFeature {
  private readonly options: PublishFeatureOptions;
  private readonly host: FeatureHost;
  private readonly look: Coalesced;
  private readonly entries = new Map<string, Entry>();
  private readonly ended = new EndedFlows();

  constructor(options: PublishFeatureOptions) {
    this.options = options;
    this.look = new Coalesced(options.clock, () => this.onChange());
    this.host = new FeatureHost({ ...options, name: 'publish', onChange: () => this.look.soon() });
  }

  private onChange(): void {
    for (const entry of this.entries.values()) if (entry.failure === undefined) this.open(entry);
    this.options.onChange();
  }

  /** Makes it so: what is there already, the same, is not touched. */
  reconcile(declared: readonly Declared<Publication>[]): void {
    const wanted = new Map(declared.map(each => [each.value.id, each]));
    for (const [id, entry] of [...this.entries]) {
      const next = wanted.get(id);
      if (next === undefined || specOf(next) !== entry.spec) this.end(id, entry, next === undefined);
    }
    for (const [id, each] of wanted) if (!this.entries.has(id)) this.begin(id, each);
    if (wanted.size > 0) this.host.begin();
    this.look.soon();
  }

  /** Ends what the token that has declared it may have no more, and begins what it may have again. */
  recheck(): void {
    for (const entry of this.entries.values()) {
      const refusal = this.options.bounds.ofPublication(entry.declared);
      if (refusal !== undefined && entry.port !== undefined) this.takeAway(entry, refusal);
    }
  }

  private takeAway(entry: Entry, refusal: EntremiseError): void {
    this.closePort(entry);
    const { value, declaredBy } = entry.declared;
    this.tell('publication-ended', { ...publicationText(value), declaredBy, reason: refusal.message });
    this.onFailure(entry, refusal);
  }

  private begin(id: string, declared: Declared<Publication>): void {
    const entry: Entry = {
      declared,
      spec: specOf(declared),
      lease: undefined,
      port: undefined,
      failure: undefined,
      isOpening: false,
      isOver: false,
      cancelRetry: () => {},
    };
    this.entries.set(id, entry);
    this.open(entry);
  }

  private end(id: string, entry: Entry, isGone: boolean): void {
    this.entries.delete(id);
    entry.isOver = true;
    entry.cancelRetry();
    this.closePort(entry);
    entry.lease?.release();
    const { declaredBy, value, expiresAtMs } = entry.declared;
    const isExpired = expiresAtMs !== undefined && this.options.clock.wallTimeMs() >= expiresAtMs;
    if (isGone) this.tell('publication-ended', { ...publicationText(value), declaredBy, expired: isExpired });
  }

  private closePort(entry: Entry): void {
    const { port, declared } = entry;
    entry.port = undefined;
    if (port === undefined) return;
    this.ended.add(declared.value, port.flow(askOnce(this.host.running?.side?.relay)));
    port.close();
  }

  /** How all of them stand, in figures. */
  figures(): DeclaredFigures {
    const open = [...this.entries.values()].flatMap(({ port, declared: { value } }) =>
      port === undefined ? [] : [{ protocol: value.protocol, port }],
    );
    const peers = { tcp: 0, udp: 0 };
    for (const { protocol, port } of open) peers[protocol] += port.counts.clients;
    const flowing = open.map(({ protocol, port }) => ({
      protocol,
      flow: (relay: AskRelay) => port.flow(relay),
    }));
    const states = countStates([...this.entries.values()].map(entry => this.stateOf(entry)));
    return { states, peers, flows: this.ended.with(flowing, askOnce(this.host.running?.side?.relay)) };
  }

  /** That something ends is told as well as can be. */
  private tell(action: string, fields: Readonly<Record<string, unknown>>): void {
    const { audit, log } = this.options;
    log.info(fields, action);
    try {
      audit(action, fields);
    } catch (thrown) {
      log.error({ err: asEntremiseError(thrown) }, 'the audit cannot be written');
    }
  }

  private open(entry: Entry): void {
    const { running } = this.host;
    if (running === undefined || entry.port !== undefined || entry.isOpening || entry.isOver) return;
    entry.cancelRetry();
    const refusal = this.options.bounds.ofPublication(entry.declared);
    if (refusal !== undefined) return this.onFailure(entry, refusal);
    entry.isOpening = true;
    entry.lease ??= running.attachments.use(entry.declared.value.mediator);
    this.take(entry, entry.lease)
      .catch(thrown => this.onFailure(entry, asEntremiseError(thrown)))
      .finally(() => {
        entry.isOpening = false;
      });
  }

  private async take(entry: Entry, { keeper }: AttachmentLease): Promise<void> {
    const { value, declaredBy } = entry.declared;
    const port = await openPublished(value, keeper, { ...this.options, side: this.host.running?.side });
    if (entry.isOver) return port.close();
    const fields = { ...publicationText(value), declaredBy };
    try {
      this.options.audit('publication', fields);
    } catch (cause) {
      port.close();
      throw new EntremiseError('audit-unavailable', { cause, by: 'server' });
    }
    entry.port = port;
    entry.failure = undefined;
    this.options.log.info(fields, 'published');
    this.look.soon();
  }

  private onFailure(entry: Entry, error: EntremiseError): void {
    if (entry.isOver) return;
    const isNew = entry.failure?.message !== error.message;
    entry.failure = error;
    const { clock, log } = this.options;
    entry.cancelRetry = clock.after(retryMs, () => this.open(entry));
    if (!isNew) return;
    const { code, message: reason } = error;
    log.error({ ...publicationText(entry.declared.value), code, reason }, 'a port cannot be published');
    this.look.soon();
  }

  /** How each stands. */
  status(): PublicationStatus[] {
    return [...this.entries.values()].map(entry => {
      const { value, declaredBy, expiresAtMs } = entry.declared;
      const { id } = value;
      return {
        id,
        ...publicationText(value),
        declaredBy,
        ...(expiresAtMs === undefined ? {} : { expires: new Date(expiresAtMs).toISOString() }),
        ...this.stateOf(entry),
        ...(entry.port === undefined ? {} : { counts: entry.port.counts }),
      };
    });
  }

  private stateOf({ port, lease, failure }: Entry): DeclaredState {
    const error = failure ?? this.host.failure;
    if (port === undefined && error !== undefined) return refusedBy(error.code, error.message);
    return lease?.state ?? { state: 'pending', code: 'server-unreachable', reason: 'It begins.' };
  }

  /** Ends all of them, and the terminal. */
  async close(): Promise<void> {
    this.look.close();
    for (const [id, entry] of [...this.entries]) this.end(id, entry, false);
    await this.host.close();
  }
}

function refusedBy(code: ErrorCode, reason: string): DeclaredState {
  return { state: 'refused', code, reason };
}

/** True for what server.toml declares. */
export function isOfFile({ declaredBy }: { readonly declaredBy: string }): boolean {
  return declaredBy === byFile;
}
