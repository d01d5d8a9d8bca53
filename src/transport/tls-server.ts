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
import { type AcceptLimits, defaultAcceptLimits } from './accept-limiter.ts';
import { type Admission, Admissions, type RefusalReason } from './admissions.ts';
import { asError, reportFault } from './fault.ts';
import { pinOf } from './pin.ts';
import { cipherOrder, minTlsVersion } from './tls-settings.ts';
import { remoteOf, type SocketTuner, TlsTransport } from './tls-transport.ts';
import type { Transport } from './transport.ts';

/**
 * The server's side of TLS links, and the door for HTTP on the same port: two servers of Node in a row. A plain one
 * owns the listening socket and asks {@link Admissions}; a TLS one that never listens is handed what was admitted (its
 * documented `'connection'` injection). Nothing that a peer sends and nothing that a callback throws ends the process.
 */

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
  readonly tune?: SocketTuner;
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
  /** @throws EntremiseError `link-closed` after {@link close} */
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

/** @throws EntremiseError `bad-config` when key and certificate are not a pair */
function tlsSettings(key: string, cert: string): TlsOptions {
  const settings: TlsOptions = {
    key,
    cert,
    minVersion: minTlsVersion,
    ciphers: cipherOrder.aes,
    honorCipherOrder: true,
    secureOptions: constants.SSL_OP_PRIORITIZE_CHACHA,
    ca: [],
  };
  try {
    createSecureContext(settings);
    return settings;
  } catch (cause) {
    throw new EntremiseError('bad-config', {
      message: `The server's TLS key and certificate cannot be used (${asError(cause).message}); check that both are PEM and belong together.`,
      cause,
    });
  }
}

const listenAdvice: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program has that port; stop it or choose another one',
  EACCES: 'ports below 1024 need CAP_NET_BIND_SERVICE; give it to the service or choose another port',
  EADDRNOTAVAIL: 'this machine does not have that address; choose one of its own, or ::',
};

function listenFailure(endpoint: string, cause: Error): EntremiseError {
  const reason = ('code' in cause ? listenAdvice[String(cause.code)] : undefined) ?? cause.message;
  return new EntremiseError('environment-unfit', {
    message: `Cannot listen on ${endpoint}: ${reason}.`,
    cause,
  });
}

/**
 * Where more than so many wait that have not proved who they are, the next have to speak before they get a TLS session: it costs a
 * third of a millisecond, and memory that is collected in one go. Strangers that say nothing come in thousands at once.
 */
const crowd = 32;

class Listener implements TlsListener {
  private readonly options: ListenTlsOptions;
  private readonly clock: Clock;
  private readonly admissions: Admissions;
  private readonly door: Server;
  private readonly tls: TlsServer;
  private serverPin: Buffer;
  private accepted = 0;
  private handedOver = 0;

  constructor(options: ListenTlsOptions) {
    const { key, cert, alpn, onHttp, clock = systemClock } = options;
    this.options = options;
    this.clock = clock;
    this.admissions = new Admissions({
      limits: options.limits ?? defaultAcceptLimits,
      clock,
      handshakeTimeoutMs: options.handshakeTimeoutMs ?? 10_000,
      onRefused: (remote, reason, cause) => options.onRefused?.(remote, reason, cause),
    });
    const alpnNames = onHttp === undefined ? [alpn] : [alpn, 'http/1.1'];
    // Of a list Node keeps a copy with each socket, and with it the 8 KiB of its pool that the copy stands in.
    const ALPNCallback = ({ protocols }: { protocols: readonly string[] }) =>
      alpnNames.find(name => protocols.includes(name));
    this.tls = createTlsServer({ ...tlsSettings(key, cert), ALPNCallback });
    this.tls.on('secureConnection', socket => this.secured(socket));
    this.tls.on('tlsClientError', (cause, socket) => this.handshakeFailed(cause, socket));
    this.serverPin = pinOf(cert);
    this.door = createServer({ noDelay: true }, socket => this.accept(socket));
  }

  get address(): AddressInfo {
    const address = this.door.address();
    if (address === null || typeof address === 'string') throw new EntremiseError('link-closed');
    return address;
  }

  get counters(): TlsListenerCounters {
    const { accepted, handedOver, admissions } = this;
    const { unauthenticated, refused } = admissions;
    return { accepted, handedOver, unauthenticated, refused: { ...refused } };
  }

  listen(): Promise<void> {
    const { host, port } = this.options;
    return new Promise((resolve, reject) => {
      this.door.once('error', cause => reject(listenFailure(remoteOf(host, port), cause)));
      this.door.listen({ host, port }, () => {
        // From now on accept() has failed, for want of file descriptors as a rule. The server lives on.
        this.door.removeAllListeners('error').on('error', reportFault);
        resolve();
      });
    });
  }

  setCertificate({ key, cert }: { readonly key: string; readonly cert: string }): void {
    this.tls.setSecureContext(tlsSettings(key, cert));
    this.serverPin = pinOf(cert);
  }

  close(): void {
    this.door.close();
    this.admissions.close();
  }

  private accept(socket: Socket): void {
    this.accepted++;
    if (!this.admissions.admit(socket, this.serverPin)) return;
    if (this.admissions.unauthenticated <= crowd) this.secure(socket);
    else this.secureOnceItSpeaks(socket);
  }

  private secureOnceItSpeaks(socket: Socket): void {
    socket.once('data', first => {
      socket.pause();
      // Node's TLS takes first what a socket has read already.
      socket.unshift(first);
      this.secure(socket);
    });
  }

  private secure(socket: Socket): void {
    try {
      this.options.tune?.(socket);
      this.tls.emit('connection', socket);
    } catch (thrown) {
      this.fails(socket, { reason: 'internal', cause: asError(thrown) });
    }
  }

  private handshakeFailed(cause: Error, socket: TLSSocket): void {
    this.fails(socket, { reason: 'tls-failed', cause });
  }

  private fails(socket: Socket, failure: NonNullable<Admission['failure']>): void {
    const admission = this.admissions.find(socket);
    if (admission !== undefined) admission.failure ??= failure;
    socket.destroy();
  }

  private secured(socket: TLSSocket): void {
    const admission = this.admissions.find(socket);
    if (admission === undefined || socket.destroyed) {
      // Reset in the same moment.
      socket.destroy();
    } else if (socket.alpnProtocol === false || socket.alpnProtocol === null) {
      admission.failure ??= { reason: 'no-alpn', cause: undefined };
      socket.destroy();
    } else {
      this.handOver(socket, admission);
    }
  }

  private handOver(socket: TLSSocket, admission: Admission): void {
    const { serverPin, release, remote } = admission;
    const { options, clock } = this;
    this.admissions.handOver(admission);
    try {
      const path = options.tune?.(socket);
      if (socket.alpnProtocol === options.alpn) {
        options.onTransport(new TlsTransport(socket, { serverPin, clock, path }), release);
      } else options.onHttp?.(socket, release);
      this.handedOver++;
    } catch (thrown) {
      socket.destroy();
      this.admissions.refuse(remote, 'internal', asError(thrown));
    }
  }
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
