import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { AppendFile } from '../base/append-file.ts';
import type { Clock } from '../base/clock.ts';
import type { ErrorCode } from '../base/errors.ts';
import { keyFromText } from '../base/keys.ts';
import type { Log } from '../base/log.ts';
import { loadAddon } from '../native/addon.ts';
import { fdOf } from '../native/fd-of.ts';
import { Switch } from '../switch/switch.ts';
import { listenTls } from '../transport/tls.ts';
import { type Report, report } from '../wire/messages/report.ts';
import { alpnProtocol } from '../wire/spec.ts';
import { AdmissionDesk } from './admission.ts';
import type { ServerConfig } from './config.ts';
import { type DocumentChange, Documents } from './documents.ts';
import { watchInbox } from './inbox.ts';
import { pinText, readKeyAndCertificate } from './init.ts';
import { decideAttach } from './permit.ts';
import { Store } from './store.ts';

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
  /** Ends every link with GOAWAY and stops. */
  close(): Promise<void>;
}

/** What a server runs with. */
export interface ServerOptions {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly log: Log;
}

function tuner(log: Log): ((socket: Socket) => void) | undefined {
  const native = loadAddon();
  if (native === undefined) {
    log.warn('the native addon is not there: urgent frames may wait behind bulk in the kernel');
    return undefined;
  }
  return socket => {
    const fd = fdOf(socket);
    if (fd === undefined) return;
    native.setNotSentLowat(fd, notSentLowatBytes);
    native.setKeepAlive(fd, 60, 10, 3);
  };
}

/** Last REPORTs: of this process's life in memory, older ones from the store. */
class Reports {
  private readonly fresh = new Map<string, Report>();
  private readonly store: Store;
  private readonly clock: Clock;

  constructor(store: Store, clock: Clock) {
    this.store = store;
    this.clock = clock;
  }

  keep(mediator: string, value: Report): void {
    this.fresh.set(mediator, value);
    this.store.saveReport(mediator, report.toBytes(value), this.clock.wallTimeMs());
  }

  last(mediator: string): { report: Report | undefined; lastSeenMs: number } {
    const stored = this.store.mediator(mediator);
    const kept = this.fresh.get(mediator) ?? (stored?.report && report.fromBytes(stored.report));
    return { report: kept, lastSeenMs: stored?.lastSeenMs ?? 0 };
  }
}

function tell(changed: DocumentChange, { documents, hub }: { documents: Documents; hub: Switch }): void {
  switch (changed.kind) {
    case 'trust':
      hub.broadcastDocuments([changed.text]);
      break;
    case 'member':
      hub.sendDocuments(changed.key, [changed.text]);
      if (documents.member(changed.key)?.role === 'mediator') hub.memberChanged(changed.key);
      break;
    case 'grant':
      if (changed.terminal !== undefined) hub.sendDocuments(changed.terminal, [changed.text]);
      break;
    case 'invitation':
      return;
  }
  hub.revalidate();
}

function createSwitch(options: ServerOptions, store: Store, documents: Documents): Switch {
  const { config, clock, log } = options;
  const admission = new AdmissionDesk(documents, clock);
  const reports = new Reports(store, clock);
  const audit = new AppendFile(config.auditFile);
  return new Switch({
    clock,
    log,
    bootId: randomBytes(16),
    capabilities: [],
    limits: { creditBytes: config.creditBytes, queuedBytes: config.queuedBytes },
    audit: (action, fields) =>
      audit.append({ time: new Date(clock.wallTimeMs()).toISOString(), action, ...fields }),
    authorityKey: () => keyFromText(config.authorityKey),
    admit: (member, remote) => admission.admit(member, remote),
    authoriseAttach: question => decideAttach(documents, clock, question),
    recheckMember: key => documents.refusalOf(key),
    acceptDocuments: async texts => {
      const outcomes: (ErrorCode | undefined)[] = [];
      for (const text of texts) outcomes.push(await documents.accept(text));
      return outcomes;
    },
    onReport: (mediator, value) => reports.keep(mediator, value),
    onMember: ({ key, role }) => {
      if (role === 'mediator') store.saveSeen(key, clock.wallTimeMs());
    },
    directory: {
      visibleTo: terminal =>
        documents
          .allMembers()
          .filter(member => documents.mayKnow(terminal, member))
          .map(({ key }) => key),
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

/**
 * Starts a server from its state directory.
 * @throws EntremiseError `state-unreadable`, `environment-unfit`, `bad-config`; what listening fails with
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { config, clock, log } = options;
  const pair = readKeyAndCertificate(config.stateDir);
  const store = await Store.open(config.stateDir);
  let hub: Switch | undefined;
  const documents: Documents = await Documents.load({
    store,
    clock,
    log,
    authorityKey: config.authorityKey,
    onChange: change => hub !== undefined && tell(change, { documents, hub }),
  });
  const running = createSwitch(options, store, documents);
  hub = running;
  const tune = tuner(log);
  const listener = await listenTls({
    host: config.listen.host,
    port: config.listen.number,
    ...pair,
    alpn: alpnProtocol,
    onTransport: (transport, authenticated) => running.accept(transport, authenticated),
    onRefused: (remote, reason) => log.debug({ remote, reason }, 'connection refused'),
    ...(tune === undefined ? {} : { tune }),
    clock,
  });
  const stopInbox = await watchInbox({
    stateDir: config.stateDir,
    clock,
    log,
    accept: text => documents.accept(text),
  });
  const number = listener.address.port;
  log.info({ listen: `${config.listen.host}:${number}`, pin: pinText(pair) }, 'server ready');
  return {
    number,
    pin: pinText(pair),
    switch: running,
    documents,
    async close() {
      listener.close();
      stopInbox();
      running.close();
      await new Promise<void>(resolve => setImmediate(resolve));
      store.close();
    },
  };
}
