import { randomBytes } from 'node:crypto';
import { ChainedFile } from '../base/chained-file.ts';
import type { Clock } from '../base/clock.ts';
import { asEntremiseError, type ErrorCode } from '../base/errors.ts';
import { keyFromText } from '../base/keys.ts';
import type { Log } from '../base/log.ts';
import { SparingLog } from '../base/sparing-log.ts';
import { loadAddon, type NativeSockets } from '../native/addon.ts';
import { tuneLink } from '../native/link-socket.ts';
import { bestRelay } from '../relay/best-relay.ts';
import type { OpenRelay } from '../relay/relay.ts';
import type { AuditHead } from '../switch/audit-heads.ts';
import type { Audit } from '../switch/permit.ts';
import { Switch } from '../switch/switch.ts';
import { pinOf } from '../transport/pin.ts';
import { listenTls, type SocketTuner, type TlsListener } from '../transport/tls.ts';
import { alpnProtocol } from '../wire/spec.ts';
import { AdmissionDesk } from './admission.ts';
import type { ApiFeature, ApiFeatureOptions } from './api/api-feature.ts';
import { TokenStore } from './api/token-store.ts';
import { readServerConfig, type ServerConfig } from './config.ts';
import { DeclarationStore } from './declared/declaration-store.ts';
import { DeniedGrants } from './denied-grants.ts';
import { type DocumentChange, Documents } from './documents.ts';
import { type Features, startFeatures } from './features/features.ts';
import { watchInbox } from './inbox.ts';
import { KeepaliveFigures } from './keepalive-figures.ts';
import { decideAttach } from './permit.ts';
import { HeadPublisher } from './publish-heads.ts';
import { Reports } from './reports.ts';
import { lockState } from './state-lock.ts';
import { Store } from './store.ts';
import { tell } from './tell-members.ts';
import { pinText, readKeyAndCertificate } from './tls-keys.ts';
import { boundsOfTokens } from './token-desk.ts';

/** The server program: switch, store, audit and TLS put together. Nothing but composition stands here. */

/** Bytes that may lie unsent in the kernel per link, so that what is urgent overtakes (architecture: streams). */
const notSentLowatBytes = 32 * 1024;

/** A running server. */
export interface Server {
  /** The service port's number. */
  readonly number: number;
  /** SHA-256 of the SPKI of its TLS key, base64url. */
  readonly pin: string;
  readonly switch: Switch;
  readonly documents: Documents;
  readonly features: Features;
  /**
   * Closes the audit file, so that the next line opens it anew (after it was rotated), takes the certificate that is
   * there now for later handshakes, and what server.toml declares; what is wrong is told in the log and the old one stays.
   * No link is touched.
   */
  reload(): void;
  /** Ends every link with GOAWAY and stops. */
  close(): Promise<void>;
}

/** What a server runs with. */
export interface ServerOptions {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly log: Log;
}

function tuner(log: Log, native: NativeSockets | undefined): SocketTuner | undefined {
  if (native === undefined) {
    log.warn('the native addon is not there: urgent frames may wait behind bulk in the kernel');
    return undefined;
  }
  return socket => tuneLink(native, socket, notSentLowatBytes);
}

/** What the switch asks its questions of. */
interface Desks {
  readonly documents: Documents;
  readonly denied: DeniedGrants;
  readonly reports: Reports;
  readonly keepalives: KeepaliveFigures;
  readonly audit: Audit;
}

function createSwitch(options: ServerOptions, desks: Desks): Switch {
  const { documents, reports, keepalives, audit } = desks;
  const { config, clock, log } = options;
  const admission = new AdmissionDesk(documents, clock);
  return new Switch({
    clock,
    log,
    bootId: randomBytes(16),
    capabilities: [],
    limits: { creditBytes: config.creditBytes, queuedBytes: config.queuedBytes },
    audit,
    authorityKey: () => keyFromText(documents.authorityKey),
    admit: (member, remote) => admission.admit(member, remote),
    authoriseAttach: question => decideAttach({ ...desks, clock }, question),
    recheckMember: (key, role) => documents.refusalOf(key, role),
    acceptDocuments: async texts => {
      const outcomes: (ErrorCode | undefined)[] = [];
      for (const text of texts) outcomes.push(await documents.accept(text));
      return outcomes;
    },
    onReport: (mediator, value) => {
      keepalives.onReport(mediator, value);
      reports.keep(mediator, value);
    },
    onMember: ({ key, role }) => {
      if (role === 'mediator') reports.seen(key);
    },
    directory: {
      visibleTo: terminal => documents.mediatorsKnownTo(terminal).map(({ key }) => key),
      isVisible(terminal, mediator) {
        const member = documents.member(mediator);
        return member !== undefined && documents.mayKnow(terminal, member);
      },
      record(mediator) {
        const statement = documents.member(mediator)?.text;
        return statement === undefined ? undefined : { statement, ...reports.last(mediator) };
      },
    },
  });
}

/** Opens UDP at the service port's number; where it cannot be had members go on over TCP. Returns how to end it. */
async function openUdp(
  hub: Switch,
  { relay: open, log, host, number }: { relay: OpenRelay; log: Log; host: string; number: number },
): Promise<() => void> {
  const relay = open(hub.udp.relayHandlers);
  try {
    hub.udp.offer(relay, await relay.openServiceDoor(host, number));
  } catch (thrown) {
    log.warn(
      { number, code: asEntremiseError(thrown).code },
      'no UDP at that number: no UDP channels are offered',
    );
  }
  return () => relay.close();
}

/** Gives the pin from now on; undefined when the old certificate stays. */
function reloadCertificate(listener: TlsListener, { config, log }: ServerOptions): string | undefined {
  try {
    const pair = readKeyAndCertificate(config.stateDir);
    listener.setCertificate(pair);
    const pin = pinText(pair);
    log.info({ pin }, 'certificate read again');
    return pin;
  } catch (thrown) {
    const { code, message } = asEntremiseError(thrown);
    log.error({ code, reason: message }, 'the certificate cannot be used: the old one stays');
    return undefined;
  }
}

/** Published ports and standing services of server.toml; everything else in it wants another start. */
function reloadDeclared({ declarations }: Features, { config, log }: ServerOptions): void {
  try {
    declarations.setFile(readServerConfig(config.stateDir, config.path));
  } catch (thrown) {
    const { code, message } = asEntremiseError(thrown);
    log.error({ code, reason: message }, 'what is declared cannot be used: the old stays');
  }
}

/** The HTTP API, where it is wanted and can begin; without it the switch goes on. */
async function apiOf(
  { config, clock, log }: ServerOptions,
  { documents, denied, keepalives, audit }: Desks,
  wiring: Pick<ApiFeatureOptions, 'hub' | 'serverPin' | 'pinNow' | 'tokens' | 'listener' | 'features'>,
): Promise<ApiFeature | undefined> {
  if (!config.api) return undefined;
  try {
    const { startApi } = await import('./api/api-feature.ts');
    const { stateDir, auditFile } = config;
    const memberNamed = (wanted: string) => documents.allMembers().find(({ name }) => name === wanted);
    const { invitations } = documents;
    const trust = () => documents.trust();
    const asked = { denied, keepalives, audit, memberNamed, invitations, trust };
    return await startApi({ stateDir, auditFile, ...asked, ...wiring, clock, log });
  } catch (thrown) {
    const { code, message } = asEntremiseError(thrown);
    log.error({ code, reason: message }, 'the HTTP API does not run');
    return undefined;
  }
}

/**
 * Starts a server from its state directory.
 * @throws EntremiseError `state-unreadable`, `environment-unfit`, `bad-config`; what listening fails with
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  /** What to undo, the last first: when the server ends, or cannot begin. */
  const undo: (() => unknown)[] = [];
  const close = async () => {
    for (const step of undo.splice(0).reverse()) {
      try {
        await step();
      } catch (thrown) {
        options.log.error({ err: thrown }, 'a part of the server did not end cleanly');
      }
    }
  };
  try {
    return { ...(await start(options, undo)), close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

async function start(options: ServerOptions, undo: (() => unknown)[]): Promise<Omit<Server, 'close'>> {
  const { config, clock, log } = options;
  const { stateDir, authorityKey, listen } = config;
  const pair = readKeyAndCertificate(stateDir);
  undo.push(await lockState(stateDir));
  const store = await Store.open(stateDir, true);
  undo.push(() => store.close());
  // Whether or not it has the API: `server token` works beside it, and may not change the schema.
  const tokens = await TokenStore.open(stateDir, true);
  undo.push(() => tokens.close());
  let hub: Switch | undefined;
  const onHeard = (keys: readonly string[]) => store.saveAllSeen(keys, clock.wallTimeMs());
  const onChange = (change: DocumentChange) => hub !== undefined && tell(change, { documents, hub, onHeard });
  const auditFile = new ChainedFile(config.auditFile, 'server');
  undo.push(() => auditFile.reopen());
  const audit: Audit = (action, fields) =>
    auditFile.append({ time: new Date(clock.wallTimeMs()).toISOString(), action, ...fields });
  const documents: Documents = await Documents.load({ store, clock, log, authorityKey, onChange, audit });
  const reports = new Reports({ store, clock, log });
  undo.push(() => reports.end());
  const denied = new DeniedGrants({ store, clock, log, audit, onChange: () => hub?.revalidate() });
  const desks = { documents, denied, reports, keepalives: new KeepaliveFigures(), audit };
  const running = createSwitch(options, desks);
  hub = running;
  const tellHead = (head: AuditHead) => running.auditHeads.tell(head);
  const heads = new HeadPublisher({
    file: auditFile,
    clock,
    log,
    syslog: config.auditSyslog,
    tell: tellHead,
  });
  undo.push(() => heads.stop());
  heads.start();
  undo.push(() => running.close(config.successor));
  undo.push(await watchInbox({ stateDir, clock, log, accept: text => documents.accept(text) }));
  const native = loadAddon();
  const tune = tuner(log, native);
  const serverPin = pinOf(pair.cert);
  let listening: TlsListener | undefined;
  let declared: Features | undefined;
  let pin = pinText(pair);
  const late = { listener: () => listening?.counters, features: () => declared, pinNow: () => pin };
  const api = await apiOf(options, desks, { hub: running, serverPin, tokens, ...late });
  if (api !== undefined) undo.push(() => api.close());
  const refused = new SparingLog({ log, clock, lines: 20, withinMs: 60_000 });
  const listener = await listenTls({
    host: listen.host,
    port: listen.number,
    ...pair,
    alpn: alpnProtocol,
    onTransport: (transport, authenticated) => running.accept(transport, authenticated),
    onRefused: (remote, reason) => refused.info({ remote, reason }, 'connection refused'),
    ...(api === undefined ? {} : { onHttp: api.serve }),
    ...(tune === undefined ? {} : { tune }),
    clock,
  });
  listening = listener;
  undo.push(() => listener.close());
  const number = listener.address.port;
  undo.push(await openUdp(running, { relay: bestRelay(clock, native), log, host: listen.host, number }));
  const features = startFeatures({
    stateDir,
    file: config,
    store: await DeclarationStore.open(stateDir, true),
    bounds: boundsOfTokens({ ...desks, tokens, stateDir, clock }),
    knownMediators: () => documents.allMembers().filter(({ role }) => role === 'mediator'),
    hub: running,
    serverPin,
    native,
    audit,
    clock,
    log,
  });
  declared = features;
  undo.push(() => features.close());
  log.info({ listen: `${listen.host}:${number}`, pin }, 'server ready');
  const reload = () => {
    heads.publish();
    auditFile.reopen();
    pin = reloadCertificate(listener, options) ?? pin;
    reloadDeclared(features, options);
  };
  return { number, pin, switch: running, documents, features, reload };
}
