import type { Clock } from '../../base/clock.ts';
import { asEntremiseError, EntremiseError } from '../../base/errors.ts';
import { StatusFile } from '../../base/status-file.ts';
import type { DeclarationStore } from '../declared/declaration-store.ts';
import { Declarations, type DeclaredInFile } from '../declared/declarations.ts';
import { declaredStatusPath } from '../declared/declared-status.ts';
import type { TokenBounds } from '../declared/token-bounds.ts';
import type { DeclaredFigures } from './flow.ts';
import { type PublicationStatus, PublishFeature, type PublishFeatureOptions } from './publish-feature.ts';
import { ServiceFeature, type ServiceFeatureOptions, type ServiceStatus } from './service-feature.ts';

/**
 * What is declared, kept: published ports and standing services, each kind a terminal of its own with its own key and grants.
 * What cannot be kept is told of and tried again; the switch goes on.
 */

/** What the features need of the server. */
export interface FeaturesOptions
  extends Omit<PublishFeatureOptions, 'onChange'>,
    Pick<ServiceFeatureOptions, 'knownMediators'> {
  readonly store: DeclarationStore;
  readonly file: DeclaredInFile;
  readonly bounds: TokenBounds;
}

/** The features that run. */
export interface Features {
  /** What is declared, and where it is changed. */
  readonly declarations: Declarations;
  /** What tokens may declare. */
  readonly bounds: TokenBounds;
  publications(): PublicationStatus[];
  services(): ServiceStatus[];
  /** How all of them stand, in figures. */
  figures(): { readonly published: DeclaredFigures; readonly services: DeclaredFigures };
  /**
   * How a publication stands once it has been begun, or could not be within two seconds.
   * @throws EntremiseError `wrong-state` when it is gone meanwhile
   */
  settled(id: string): Promise<PublicationStatus>;
  close(): Promise<void>;
}

/** How soon what a token may have no more ends. */
const recheckEveryMs = 2_000;

const settleMs = 2_000;
const lookEveryMs = 50;

async function settled(all: () => PublicationStatus[], id: string, clock: Clock): Promise<PublicationStatus> {
  for (const endMs = clock.now() + settleMs; ; ) {
    const status = all().find(each => each.id === id);
    if (status === undefined)
      throw new EntremiseError('wrong-state', { message: `${id} has ended meanwhile.` });
    if (status.state !== 'pending' || clock.now() >= endMs) return status;
    await new Promise<void>(resolve => void clock.after(lookEveryMs, resolve));
  }
}

/** Returns how to stop. */
function everyNow(clock: Clock, act: () => void): () => void {
  let cancel = () => {};
  const next = () => {
    cancel = clock.after(recheckEveryMs, () => {
      act();
      next();
    });
  };
  next();
  return () => cancel();
}

/** Starts them. The store is closed with them. @throws EntremiseError `state-unreadable` */
export function startFeatures(options: FeaturesOptions): Features {
  const { store, clock, log, stateDir } = options;
  const declarations = new Declarations(options);
  const onChange = () => file.look();
  const publishing = new PublishFeature({ ...options, onChange });
  const serving = new ServiceFeature({ ...options, onChange });
  const publications = () => publishing.status();
  const services = () => serving.status();
  const told = () => ({ publications: publications(), services: services() });
  const file = new StatusFile(declaredStatusPath(stateDir), told, clock, log);
  const reconcile = () => {
    try {
      publishing.reconcile(declarations.publications());
      serving.reconcile(declarations.services());
    } catch (thrown) {
      log.error({ err: asEntremiseError(thrown) }, 'the declarations cannot be read');
    }
  };
  declarations.onChange(reconcile);
  const stopRechecking = everyNow(clock, () => {
    publishing.recheck();
    serving.recheck();
  });
  reconcile();
  file.start();
  file.look();
  return {
    declarations,
    bounds: options.bounds,
    publications,
    services,
    figures: () => ({ published: publishing.figures(), services: serving.figures() }),
    settled: id => settled(publications, id, clock),
    async close() {
      declarations.close();
      stopRechecking();
      await Promise.all([publishing.close(), serving.close()]);
      file.close();
      store.close();
    },
  };
}
