import type { TLSSocket } from 'node:tls';
import type { Clock } from '../../base/clock.ts';
import { asEntremiseError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { MemberStatement, TrustStatement } from '../../policy/documents.ts';
import type { Audit } from '../../switch/permit.ts';
import type { Switch } from '../../switch/switch.ts';
import type { TlsListenerCounters } from '../../transport/tls.ts';
import type { DeniedGrants } from '../denied-grants.ts';
import { type Feature, featureDirectory, startFeature } from '../features/feature-terminal.ts';
import type { Features } from '../features/features.ts';
import { delegateKeyPath } from '../features/held-keys.ts';
import type { KeepaliveFigures } from '../keepalive-figures.ts';
import type { Invitations } from '../member-registry.ts';
import { ApiAttachments } from './api-attachments.ts';
import { type ApiDatabase, openApiDatabase } from './api-database.ts';
import { BulkJobs } from './bulk-jobs.ts';
import { EnrolmentDesk } from './enrolment-desk.ts';
import { GrantDesk } from './grant-desk.ts';
import { openHttpDoor } from './http-door.ts';
import { IssuedCodes } from './issued-codes.ts';
import { IssuedGrants } from './issued-grants.ts';
import { JobStore } from './job-store.ts';
import { createMetrics } from './metrics.ts';
import { addRoutes } from './routes.ts';
import type { TokenStore } from './token-store.ts';

/** The HTTP API put together: a feature of the server, that is a terminal in its process, behind tokens. */

/** What it needs of the server. */
export interface ApiFeatureOptions {
  readonly stateDir: string;
  /** Closed by who has opened it. */
  readonly tokens: TokenStore;
  readonly auditFile: string;
  readonly audit: Audit;
  readonly memberNamed: (name: string) => MemberStatement | undefined;
  readonly denied: DeniedGrants;
  readonly invitations: Invitations;
  /** The statement in force. */
  readonly trust: () => TrustStatement;
  /** Undefined until the server has begun. */
  readonly features: () => Features | undefined;
  readonly keepalives: KeepaliveFigures;
  readonly hub: Switch;
  /** SHA-256 of the SPKI of the server's TLS key (P6.1). */
  readonly serverPin: Buffer;
  /** The same of the key that new connections are met with, base64url: it changes when the certificate is read again. */
  readonly pinNow: () => string;
  /** Undefined until the server listens. */
  readonly listener: () => TlsListenerCounters | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** The API that runs. */
export interface ApiFeature {
  serve(socket: TLSSocket, authenticated: () => void): void;
  close(): Promise<void>;
}

/** How soon attachments end whose token was revoked or has expired. */
const tokenCheckMs = 5_000;

/**
 * Starts the API.
 * @throws EntremiseError `not-enrolled`, `environment-unfit`, `state-unreadable`, and what a terminal does not start for
 */
export async function startApi(options: ApiFeatureOptions): Promise<ApiFeature> {
  const { stateDir, hub, serverPin, clock, log } = options;
  const directory = featureDirectory(stateDir, 'api');
  const feature = { name: 'api', directory, hub, serverPin, clock, log, plainUdp: false } as const;
  const started = await startFeature(feature);
  let issued: IssuedGrants | undefined;
  let database: ApiDatabase | undefined;
  try {
    issued = await IssuedGrants.open(stateDir);
    database = await openApiDatabase(stateDir);
    return await startOn(started, { issued, database }, options);
  } catch (thrown) {
    await started.terminal.close();
    issued?.close();
    database?.database.close();
    throw thrown;
  }
}

async function startOn(
  { terminal, member }: Feature,
  { issued, database }: { readonly issued: IssuedGrants; readonly database: ApiDatabase },
  options: ApiFeatureOptions,
): Promise<ApiFeature> {
  const { hub, tokens, clock, log } = options;
  const attachments = new ApiAttachments(terminal);
  const jobs = new BulkJobs(terminal, new JobStore({ ...database, clock, log }));
  const metrics = await createMetrics({
    status: () => hub.status(),
    keepalives: () => options.keepalives.all(),
    listener: options.listener,
    apiAttachments: () => attachments.size,
    declared: () => options.features()?.figures(),
  });
  let ready = true;
  const parts = {
    terminal,
    attachments,
    jobs,
    grants: grantDesk(member, issued, options),
    enrolments: enrolmentDesk(member, new IssuedCodes(database), options),
    pushDocuments: member.pushDocuments,
    auditFile: options.auditFile,
    features: options.features,
    ready: () => ready,
    metrics: () => metrics.metrics(),
  };
  const door = await openHttpDoor({ tokens, clock, log, routes: api => addRoutes(api, parts) });
  const stopChecking = checkTokens(tokens, [attachments, jobs], options);
  return {
    serve: door.serve,
    async close() {
      ready = false;
      stopChecking();
      await door.close();
      await jobs.close();
      await terminal.close();
      issued.close();
    },
  };
}

function grantDesk(
  { trust, pushDocuments: push }: Feature['member'],
  issued: IssuedGrants,
  { stateDir, memberNamed, denied, audit, clock }: ApiFeatureOptions,
): GrantDesk {
  const keyPath = delegateKeyPath(stateDir);
  return new GrantDesk({
    keyPath,
    issued,
    trust: () => trust.current,
    memberKey: name => memberNamed(name)?.key,
    push,
    denied,
    audit,
    clock,
  });
}

function enrolmentDesk(
  { pushDocuments: push }: Feature['member'],
  issued: IssuedCodes,
  { stateDir, pinNow, trust, memberNamed, invitations, audit, clock }: ApiFeatureOptions,
): EnrolmentDesk {
  const keyPath = delegateKeyPath(stateDir);
  const ofServer = { trust, serverPin: pinNow, memberNamed, invitations };
  return new EnrolmentDesk({ keyPath, issued, ...ofServer, push, audit, clock });
}

/** Ends what a token has attached once it is good no more. Returns how to stop. */
function checkTokens(
  tokens: TokenStore,
  made: readonly Pick<ApiAttachments, 'size' | 'endOthers'>[],
  { clock, log }: ApiFeatureOptions,
) {
  let cancel = () => {};
  const check = () => {
    cancel = clock.after(tokenCheckMs, check);
    if (made.every(({ size }) => size === 0)) return;
    try {
      const nowMs = clock.wallTimeMs();
      const live = tokens.list().filter(each => each.revokedAtMs === undefined && nowMs < each.expiresAtMs);
      const good = new Set(live.map(({ id }) => id));
      for (const each of made) each.endOthers(id => good.has(id));
    } catch (thrown) {
      log.error({ err: asEntremiseError(thrown) }, 'the tokens cannot be read');
    }
  };
  check();
  return () => cancel();
}
