import { randomBytes } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { type Deferred, deferred } from '../base/deferred.ts';
import { EntremiseError, type ErrorCode, errorCodeOf } from '../base/errors.ts';
import type { SigningKey } from '../base/keys.ts';
import type { Log } from '../base/log.ts';
import { firstOf } from '../base/staggered.ts';
import { parseServerAddress, type ServerAddress } from '../policy/server-address.ts';
import type { Welcomed } from '../session/handshake.ts';
import { Member, type MemberHandlers } from '../session/member.ts';
import type { MemberLink } from '../session/member-link.ts';
import { parsePeer } from '../session/parse-peer.ts';
import { TcpInterval } from '../session/tcp-interval.ts';
import type { HttpProxy } from '../transport/proxy.ts';
import { connectTls, type SocketTuner } from '../transport/tls.ts';
import type { Transport } from '../transport/transport.ts';
import { type Statement, statement } from '../wire/messages/link.ts';
import { alpnProtocol, frameType } from '../wire/spec.ts';
import type { LastServer, MemberDirectory } from './directory.ts';
import { proxySetting } from './proxy-setting.ts';
import { ServerBook } from './server-book.ts';
import { TrustKeeper } from './trust-keeper.ts';

/** How long one try to reach the server may take, TLS included. */
const connectTimeoutMs = 10_000;

/** A server that keeps us waiting for so long is not given up, but the next one is tried beside it. */
const nextServerAfterMs = 2_000;

/** How long a server may take to look at documents that were handed to it. */
const answerTimeoutMs = 15_000;

/** What a member program tells its link's owner; STATEMENT is dealt with here. */
export type RunningMemberHandlers = Omit<MemberHandlers, 'onStatement'>;

/** What a member program is started with. */
export interface RunningMemberOptions {
  readonly directory: MemberDirectory;
  readonly role: 'mediator' | 'terminal';
  readonly software: string;
  readonly capabilities: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  readonly handlers: RunningMemberHandlers;
  /** Instead of 240 s: how long a link may be silent, until losses shorten it (P8.1). */
  readonly keepaliveMs?: number;
  /** What a second is to the judge of that silence: 1,000, shorter in tests only. */
  readonly unitMs?: number;
  /** The way out towards an address, in words: where it changes, what links could bear is forgotten. */
  wan?(serverAddress: string): string;
  /** Instead of a connection to one of the servers: a server in this process. */
  connect?(): Promise<Transport>;
  /** Instead of the addresses of the trust statement and the membership. */
  readonly servers?: readonly ServerAddress[];
  /** The HTTP proxy that the network forces; default: what ENTREMISE_PROXY names. */
  readonly proxy?: HttpProxy | undefined;
  /** Socket options of the link, and what is known of its path, which need the addon. */
  readonly tune?: SocketTuner;
}

/** A member program: identity, what it believes, and its link, kept alive. */
export interface RunningMember {
  readonly key: SigningKey;
  /** 16 random bytes: this process life (P4.1). */
  readonly instance: Buffer;
  readonly trust: TrustKeeper;
  readonly member: Member;
  /** How long links may be silent. */
  readonly tcpInterval: TcpInterval;
  /**
   * Hands documents to the server (P6.2); one entry each: undefined when accepted.
   * @throws EntremiseError `link-lost` when the link goes before the answer, `idle-timeout` when none comes,
   * `frame-too-large`
   */
  pushDocuments(documents: readonly string[]): Promise<(ErrorCode | undefined)[]>;
  /** Ends the link; nothing goes on. */
  stop(): void;
}

function serversOf(options: RunningMemberOptions, trust: TrustKeeper): readonly ServerAddress[] {
  if (options.servers !== undefined && options.servers.length > 0) return options.servers;
  // Those it enrolled at come last: a wrong address in the trust statement must not strand every member. Pins guard both.
  const enrolledAt = options.directory.requireMembership().servers.map(parseServerAddress);
  return [...trust.current.serverAddresses, ...enrolledAt];
}

/** How a server is reached: all of them in the order of the book, the next one when one keeps us waiting. */
function connector(
  options: RunningMemberOptions,
  trust: TrustKeeper,
): (hinted?: string) => Promise<Transport> {
  const { directory, clock, tune, log } = options;
  const proxy = proxySetting(options.proxy);
  const book = new ServerBook(directory.lastServer(), last => keepLastServer(directory, log, last));
  const expectedPins = () => trust.current.serverPins.map(pin => Buffer.from(pin, 'base64url'));
  const attemptAt = (server: ServerAddress) => async (signal: AbortSignal) => {
    const transport = await connectTls({
      host: server.host,
      port: server.number,
      alpn: alpnProtocol,
      expectedPins: expectedPins(),
      timeoutMs: connectTimeoutMs,
      knownAddresses: book.knownAddresses(server),
      proxy,
      signal,
      clock,
      ...(tune === undefined ? {} : { tune }),
    });
    book.onGood(server, proxy === undefined ? transport.remote : undefined);
    return transport;
  };
  return async hinted => {
    const servers = book.order(serversOf(options, trust), hinted);
    if (servers.length === 0)
      throw new EntremiseError('bad-config', {
        message: 'No server address is known; enrol again with --server.',
      });
    const discard = (late: Transport) => late.destroy();
    try {
      return await firstOf(servers.map(attemptAt), { clock, delayMs: nextServerAfterMs, discard });
    } catch (thrown) {
      throw thrown instanceof AggregateError ? thrown.errors[0] : thrown;
    }
  };
}

/** A disk that is full keeps nobody from their server. */
function keepLastServer(directory: MemberDirectory, log: Log, last: LastServer): void {
  try {
    directory.saveLastServer(last);
  } catch (thrown) {
    log.warn({ err: thrown }, 'where the server is could not be kept');
  }
}

/** Answers to STATEMENTs of ours, by their id. */
class DocumentPushes {
  private readonly clock: Clock;
  private readonly waiting = new Map<number, Deferred<(ErrorCode | undefined)[]>>();
  private nextId = 1;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  async push(link: MemberLink | undefined, documents: readonly string[]): Promise<(ErrorCode | undefined)[]> {
    if (link === undefined) throw new EntremiseError('link-lost');
    const id = this.nextId++;
    link.driver.send(frameType.statement, statement.toBytes({ id, documents }));
    const answer = deferred<(ErrorCode | undefined)[]>();
    this.waiting.set(id, answer);
    const message = 'The server did not say whether it takes the documents.';
    const tooLate = () => answer.reject(new EntremiseError('idle-timeout', { message, by: 'server' }));
    const cancel = this.clock.after(answerTimeoutMs, tooLate);
    try {
      const outcomes = await answer.promise;
      if (outcomes.length === documents.length) return outcomes;
      throw new EntremiseError('protocol-error', { message: 'The server answered about other documents.' });
    } finally {
      cancel();
      this.waiting.delete(id);
    }
  }

  onAnswer(message: Statement): void {
    const { id = 0, results = [] } = message;
    this.waiting
      .get(id)
      ?.resolve(results.map(number => (number === 0 ? undefined : (errorCodeOf(number) ?? 'internal'))));
  }

  onOffline(): void {
    for (const answer of this.waiting.values()) answer.reject(new EntremiseError('link-lost'));
  }
}

/**
 * Starts a member from its directory.
 * @throws EntremiseError `not-enrolled`, `state-unreadable`, `document-invalid`, `key-revoked`
 */
export async function startMember(options: RunningMemberOptions): Promise<RunningMember> {
  const { directory, role, software, capabilities, clock, log, handlers } = options;
  const interval = new TcpInterval(options.keepaliveMs, options.unitMs);
  const key = directory.key();
  const instance = randomBytes(16);
  const trust = await TrustKeeper.load({ directory, clock, log });
  const connect = options.connect ?? connector(options, trust);
  const pushes = new DocumentPushes(clock);
  let lastLink: MemberLink | undefined;
  const identity = { role, signer: key, instance, software, capabilities };
  const member = new Member(
    {
      async connect(hinted) {
        const transport = await connect(hinted);
        const wan = options.wan?.(parsePeer(transport.remote)?.address ?? '') ?? '';
        interval.onReached(`${wan} to ${transport.remote}`, clock.now());
        return transport;
      },
      identity,
      clock,
      log,
      keepaliveMs: () => interval.intervalMs,
      random: Math.random,
    },
    {
      ...handlers,
      onOnline(link: MemberLink, welcomed: Welcomed) {
        trust.learnTime(welcomed.serverTimeMs);
        lastLink = link;
        handlers.onOnline(link, welcomed);
      },
      onOffline(error, retryInMs) {
        pushes.onOffline();
        const unsaid = error.code === 'link-lost';
        if (lastLink !== undefined)
          interval.onLost({ idleMs: lastLink.driver.idleMs, unsaid, atMs: clock.now() });
        lastLink = undefined;
        handlers.onOffline(error, retryInMs);
      },
      onStatement(message) {
        if (message.results !== undefined) pushes.onAnswer(message);
        void trust.accept(message.documents ?? []);
      },
    },
  );
  member.start();
  return {
    key,
    instance,
    trust,
    member,
    tcpInterval: interval,
    pushDocuments: documents => pushes.push(member.link, documents),
    stop: () => member.stop(),
  };
}
