import { constants } from 'node:crypto';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import {
  createSecureContext,
  createServer as createTlsServer,
  type TLSSocket,
  type TlsOptions,
  type Server as TlsServer,
} from 'node:tls';
import { type Clock, systemClock } from '../base/clock.ts';
import { EntremiseError } from '../base/errors.ts';
import { AcceptLimiter, type AcceptLimits, defaultAcceptLimits, type OverLimit } from './accept-limiter.ts';
import { asError, reportFault } from './fault.ts';
import { pinOf } from './pin.ts';
import { cipherOrder, minTlsVersion } from './tls-settings.ts';
import { remoteOf, TlsTransport } from './tls-transport.ts';
import type { Transport } from './transport.ts';

/**
 * The server's side of TLS links, and the door for HTTP on the same port.
 *
 * Two servers of Node in a row: a plain one that owns the listening socket and asks the limiter, and a TLS one that
 * never listens and is handed what was admitted (its documented `'connection'` injection). What belongs to a connection
 * before it is somebody's transport is an `Admission`; Node gives no way from a TLS socket to the TCP socket below, so
 * admissions are found by the two addresses and numbers of the connection, which no two live ones share.
 *
 *     accepted ──limiter──> admitted ──handshake, ALPN──> handed over (counted until it has authenticated or closed)
 *         └─ refused            └─ too-slow, tls-failed, no-alpn
 */

/** Why a connection was not handed over. `internal` is a fault of our own. */
export type RefusalReason = OverLimit | 'too-slow' | 'tls-failed' | 'no-alpn' | 'internal';

/** What a listener needs. */
export interface ListenTlsOptions {
  /** IP address to listen at; `::` takes IPv4 too. */
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  /** PEM, private. */
  readonly key: string;
  /** PEM. */
  readonly cert: string;
  /** ALPN name of links. */
  readonly alpn: string;
  /**
   * A link has come. Calling `authenticated` ends its being counted among those that have not; closing it does too.
   */
  onTransport(transport: Transport, authenticated: () => void): void;
  /** An HTTP connection has come; without this `http/1.1` is not offered. Counted like a link. */
  onHttp?(socket: TLSSocket, authenticated: () => void): void;
  /** For the log: a connection was closed, `cause` is what Node said. */
  onRefused?(remote: string, reason: RefusalReason, cause: Error | undefined): void;
  /** From accept to the end of the handshake; 10 s by default. Also ends connections that say nothing. */
  readonly handshakeTimeoutMs?: number;
  readonly limits?: AcceptLimits;
  /** Sets socket options that Node does not know, on every socket before it is handed over. */
  readonly tune?: (socket: Socket) => void;
  readonly clock?: Clock;
}

/** Totals since the listener was made, but for `unauthenticated`, which is now. */
export interface TlsListenerCounters {
  readonly accepted: number;
  readonly handedOver: number;
  readonly unauthenticated: number;
  readonly refused: Readonly<Record<RefusalReason, number>>;
}

/** A listening server. */
export interface TlsListener {
  readonly address: AddressInfo;
  readonly counters: TlsListenerCounters;
  /**
   * Later handshakes use this key; transports keep the pin they have.
   * @throws EntremiseError `bad-config`, and the old one stays
   */
  setCertificate(pair: { readonly key: string; readonly cert: string }): void;
  /** Stops listening and closes what is not handed over. What is handed over belongs to who got it. */
  close(): void;
}

interface Admission {
  readonly remote: string;
  /** Of the key that this connection's handshake uses. */
  readonly serverPin: Buffer;
  readonly release: () => void;
  readonly cancelDeadline: () => void;
  failure: { reason: RefusalReason; cause: Error | undefined } | undefined;
}

function tlsSettings(key: string, cert: string): TlsOptions {
  return {
    key,
    cert,
    minVersion: minTlsVersion,
    ciphers: cipherOrder.aes,
    honorCipherOrder: true,
    secureOptions: constants.SSL_OP_PRIORITIZE_CHACHA,
    ca: [],
  };
}

/** @throws EntremiseError `bad-config` when the two are not a pair */
function checkPair(key: string, cert: string): void {
  try {
    createSecureContext(tlsSettings(key, cert));
  } catch (cause) {
    throw new EntremiseError('bad-config', {
      message: `The server's TLS key and certificate cannot be used (${asError(cause).message}); check that both are PEM and belong together.`,
      cause,
    });
  }
}

function connectionKey(socket: Socket): string {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}

class Listener implements TlsListener {
  private readonly options: ListenTlsOptions;
  private readonly clock: Clock;
  private readonly limiter: AcceptLimiter;
  private readonly door: Server;
  private readonly tls: TlsServer;
  private readonly admissions = new Map<string, Admission>();
  /** TCP sockets that are not handed over. */
  private readonly pending = new Map<Admission, Socket>();
  private readonly refused: Record<RefusalReason, number> = {
    'over-limit': 0,
    'over-source-limit': 0,
    'too-slow': 0,
    'tls-failed': 0,
    'no-alpn': 0,
    internal: 0,
  };
  private accepted = 0;
  private handedOver = 0;
  private serverPin: Buffer;

  constructor(options: ListenTlsOptions) {
    const { key, cert, alpn, onHttp, limits = defaultAcceptLimits, clock = systemClock } = options;
    checkPair(key, cert);
    this.options = options;
    this.clock = clock;
    this.limiter = new AcceptLimiter(limits);
    this.serverPin = pinOf(cert);
    this.door = createServer({ noDelay: true }, socket => this.accept(socket));
    const alpnNames = onHttp === undefined ? [alpn] : [alpn, 'http/1.1'];
    this.tls = createTlsServer({ ...tlsSettings(key, cert), ALPNProtocols: alpnNames });
    this.tls.on('secureConnection', socket => this.secured(socket));
    this.tls.on('tlsClientError', (cause, socket) => this.handshakeFailed(cause, socket));
  }

  get address(): AddressInfo {
    const address = this.door.address();
    if (address === null || typeof address === 'string') throw new EntremiseError('link-closed');
    return address;
  }

  get counters(): TlsListenerCounters {
    const { accepted, handedOver, refused } = this;
    return { accepted, handedOver, unauthenticated: this.limiter.unauthenticated, refused: { ...refused } };
  }

  listen(): Promise<void> {
    const { host, port } = this.options;
    return new Promise((resolve, reject) => {
      this.door.once('error', cause => reject(listenFailure(remoteOf(host, port), cause)));
      this.door.listen({ host, port }, () => {
        // From now on: accept() failed, for want of file descriptors as a rule. The server lives on.
        this.door.on('error', reportFault);
        resolve();
      });
    });
  }

  setCertificate({ key, cert }: { readonly key: string; readonly cert: string }): void {
    checkPair(key, cert);
    this.tls.setSecureContext(tlsSettings(key, cert));
    this.serverPin = pinOf(cert);
  }

  close(): void {
    this.door.close();
    for (const socket of this.pending.values()) socket.destroy();
  }

  private accept(socket: Socket): void {
    this.accepted++;
    socket.on('error', () => {}); // 'close' follows and says all
    const remote = remoteOf(socket.remoteAddress, socket.remotePort);
    const release = this.limiter.admit(socket.remoteAddress ?? '');
    if (typeof release !== 'string') this.admit(socket, remote, release);
    else {
      // A RST: no FIN to wait for, no TIME_WAIT to keep.
      socket.resetAndDestroy();
      this.refuse(remote, release, undefined);
    }
  }

  private admit(socket: Socket, remote: string, release: () => void): void {
    const key = connectionKey(socket);
    const admission: Admission = {
      remote,
      serverPin: this.serverPin,
      release,
      failure: undefined,
      cancelDeadline: this.clock.after(this.options.handshakeTimeoutMs ?? 10_000, () => {
        admission.failure = { reason: 'too-slow', cause: undefined };
        socket.destroy();
      }),
    };
    this.admissions.set(key, admission);
    this.pending.set(admission, socket);
    socket.once('close', () => this.connectionClosed(key, admission));
    this.tls.emit('connection', socket);
  }

  private connectionClosed(key: string, admission: Admission): void {
    if (this.admissions.get(key) === admission) this.admissions.delete(key);
    admission.cancelDeadline();
    admission.release();
    if (!this.pending.delete(admission)) return;
    const { reason, cause } = admission.failure ?? { reason: 'tls-failed', cause: undefined };
    this.refuse(admission.remote, reason, cause);
  }

  private handshakeFailed(cause: Error, socket: TLSSocket): void {
    const admission = this.admissions.get(connectionKey(socket));
    if (admission !== undefined) admission.failure ??= { reason: 'tls-failed', cause };
    socket.destroy();
  }

  private secured(socket: TLSSocket): void {
    const admission = this.admissions.get(connectionKey(socket));
    // Reset in the same moment: it has no addresses any more.
    if (admission === undefined || socket.destroyed) {
      socket.destroy();
      return;
    }
    if (socket.alpnProtocol === false || socket.alpnProtocol === null) {
      admission.failure = { reason: 'no-alpn', cause: undefined };
      socket.destroy();
      return;
    }
    try {
      this.handOver(socket, admission);
    } catch (thrown) {
      socket.destroy();
      this.refuse(admission.remote, 'internal', asError(thrown));
    }
  }

  private handOver(socket: TLSSocket, admission: Admission): void {
    const { serverPin, release } = admission;
    const { options, clock } = this;
    admission.cancelDeadline();
    this.pending.delete(admission);
    this.handedOver++;
    options.tune?.(socket);
    if (socket.alpnProtocol === options.alpn) {
      options.onTransport(new TlsTransport(socket, { serverPin, clock }), release);
    } else options.onHttp?.(socket, release);
  }

  private refuse(remote: string, reason: RefusalReason, cause: Error | undefined): void {
    this.refused[reason]++;
    try {
      this.options.onRefused?.(remote, reason, cause);
    } catch (thrown) {
      reportFault(thrown);
    }
  }
}

function listenFailure(endpoint: string, cause: Error): EntremiseError {
  const advice: Readonly<Record<string, string>> = {
    EADDRINUSE: 'another program has that port; stop it or choose another one',
    EACCES: 'ports below 1024 need CAP_NET_BIND_SERVICE; give it to the service or choose another port',
    EADDRNOTAVAIL: 'this machine does not have that address; choose one of its own, or ::',
  };
  const reason = ('code' in cause ? advice[String(cause.code)] : undefined) ?? cause.message;
  return new EntremiseError('environment-unfit', {
    message: `Cannot listen on ${endpoint}: ${reason}.`,
    cause,
  });
}

/**
 * Listens for links.
 * @throws EntremiseError `bad-config` (key and certificate), `environment-unfit` (address or port cannot be had)
 */
export async function listenTls(options: ListenTlsOptions): Promise<TlsListener> {
  const listener = new Listener(options);
  await listener.listen();
  return listener;
}
