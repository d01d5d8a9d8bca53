import type { Clock } from '../../base/clock.ts';
import { asEntremiseError, EntremiseError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { DeclarationKind, DeclarationStore, StoredDeclaration } from './declaration-store.ts';
import { type Publication, publicationText, readPublication } from './publication.ts';
import { readStandingService, type StandingService, standingServiceText } from './standing-service.ts';

/**
 * Everything that is declared: by server.toml, read when the server starts and at SIGHUP, and while it runs. Of two with one
 * id that of the file counts. Who is told of a change compares what is there with what it has: what is the same goes on.
 */

/** How soon a change by another process is seen, and an expiry. */
const lookEveryMs = 500;

/** One declaration and where it comes from. */
export interface Declared<T> {
  readonly value: T;
  /** `server.toml`, `cli`, or `token` and its id. */
  readonly declaredBy: string;
  readonly expiresAtMs: number | undefined;
}

/** What server.toml declares. */
export interface DeclaredInFile {
  readonly publish: readonly Publication[];
  readonly services: readonly StandingService[];
}

/** Says of what server.toml declares. */
export const byFile = 'server.toml';

/** What {@link Declarations} are made of. */
export interface DeclarationsOptions {
  readonly store: DeclarationStore;
  readonly file: DeclaredInFile;
  readonly clock: Clock;
  readonly log: Log;
}

/** Those of the file, and of the others those whose id the file has not. */
export function withFile<T>(
  file: readonly T[],
  others: readonly Declared<T>[],
  idOf: (value: T) => string,
): Declared<T>[] {
  const ofFile = new Set(file.map(idOf));
  return [
    ...file.map(value => ({ value, declaredBy: byFile, expiresAtMs: undefined })),
    ...others.filter(({ value }) => !ofFile.has(idOf(value))),
  ];
}

/**
 * The declarations that a store has, as they are read; `onBad` is told of those that cannot be: another version wrote them.
 * @throws EntremiseError `state-unreadable`
 */
export function readStored<T>(
  stored: readonly StoredDeclaration[],
  read: (value: unknown) => T,
  onBad: (id: string, error: EntremiseError) => void,
): Declared<T>[] {
  return stored.flatMap(({ id, spec, declaredBy, expiresAtMs }) => {
    try {
      return [{ value: read(JSON.parse(spec)), declaredBy, expiresAtMs }];
    } catch (thrown) {
      onBad(id, asEntremiseError(thrown));
      return [];
    }
  });
}

/** See the head of this file. */
export class Declarations {
  private readonly options: DeclarationsOptions;
  private file: DeclaredInFile;
  private readonly listeners = new Set<() => void>();
  private readonly bad = new Set<string>();
  private nextExpiryMs = Number.POSITIVE_INFINITY;
  private cancel = () => {};

  constructor(options: DeclarationsOptions) {
    this.options = options;
    this.file = options.file;
    this.tell();
    this.look();
  }

  /** Published ports. @throws EntremiseError `state-unreadable` */
  publications(): Declared<Publication>[] {
    return withFile(this.file.publish, this.stored('publication', readPublication), ({ id }) => id);
  }

  /** Standing services. @throws EntremiseError `state-unreadable` */
  services(): Declared<StandingService>[] {
    return withFile(this.file.services, this.stored('service', readStandingService), ({ name }) => name);
  }

  private stored<T>(kind: DeclarationKind, read: (value: unknown) => T): Declared<T>[] {
    const { store, clock } = this.options;
    return readStored(store.all(kind, clock.wallTimeMs()), read, (id, error) => this.onBad(id, error));
  }

  private onBad(id: string, { message }: EntremiseError): void {
    if (this.bad.has(id)) return;
    this.bad.add(id);
    this.options.log.error({ declaration: id, reason: message }, 'a declaration cannot be read');
  }

  /** Calls `listener` after every change, from the next turn on. Returns how to stop. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** What server.toml says now. */
  setFile(file: DeclaredInFile): void {
    this.file = file;
    this.tell();
  }

  /**
   * Declares a published port.
   * @throws EntremiseError `wrong-state` when its number is published already, `state-unreadable`
   */
  publish(value: Publication, declaredBy: string, expiresAtMs?: number): void {
    this.refuseOfFile(this.file.publish.some(({ id }) => id === value.id));
    const spec = JSON.stringify(publicationText(value));
    const createdAtMs = this.options.clock.wallTimeMs();
    this.options.store.add('publication', { id: value.id, spec, declaredBy, createdAtMs, expiresAtMs });
    this.tell();
  }

  /**
   * Declares a service, in the place of one with that name.
   * @throws EntremiseError `wrong-state` when server.toml has one, `state-unreadable`
   */
  applyService(value: StandingService, declaredBy: string): void {
    this.refuseOfFile(this.file.services.some(({ name }) => name === value.name));
    const spec = JSON.stringify(standingServiceText(value));
    const createdAtMs = this.options.clock.wallTimeMs();
    const stored = { id: value.name, spec, declaredBy, createdAtMs, expiresAtMs: undefined };
    this.options.store.put('service', stored);
    this.tell();
  }

  private refuseOfFile(isThere: boolean): void {
    if (!isThere) return;
    throw new EntremiseError('wrong-state', { message: 'server.toml declares that; change it there.' });
  }

  /**
   * Takes one back. False when there is none.
   * @throws EntremiseError `wrong-state` when server.toml declares it, `state-unreadable`
   */
  remove(kind: DeclarationKind, id: string): boolean {
    const { publish, services } = this.file;
    const isThere =
      kind === 'publication'
        ? publish.some(each => each.id === id)
        : services.some(({ name }) => name === id);
    this.refuseOfFile(isThere);
    const removed = this.options.store.remove(kind, id);
    if (removed) this.tell();
    return removed;
  }

  private look(): void {
    const { store, clock, log } = this.options;
    this.cancel = clock.after(lookEveryMs, () => this.look());
    try {
      const nowMs = clock.wallTimeMs();
      if (store.changedByOthers()) return this.tell();
      if (nowMs < this.nextExpiryMs) return;
      store.removeExpired(nowMs);
      this.tell();
    } catch (thrown) {
      log.error({ err: asEntremiseError(thrown) }, 'the declarations cannot be read');
    }
  }

  private tell(): void {
    const expiries = this.publications().map(each => each.expiresAtMs ?? Number.POSITIVE_INFINITY);
    this.nextExpiryMs = Math.min(Number.POSITIVE_INFINITY, ...expiries);
    for (const listener of [...this.listeners]) listener();
  }

  /** Looks no more. The store is closed by who has opened it. */
  close(): void {
    this.cancel();
    this.listeners.clear();
  }
}
