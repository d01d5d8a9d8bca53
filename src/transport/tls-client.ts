import { isIP, type Socket } from 'node:net';
import {
  type ConnectionOptions,
  connect,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import { type Clock, systemClock } from '../base/clock.ts';
import { deferred } from '../base/deferred.ts';
import { EntremiseError } from '../base/errors.ts';
import { watchAddress } from './address-watch.ts';
import {
  type ConnectStage,
  connectFailure,
  connectTimedOut,
  pinMismatch,
  wrongProtocol,
} from './connect-failure.ts';
import { dial } from './dial.ts';
import { asError } from './fault.ts';
import { pinOf } from './pin.ts';
import { type HttpProxy, throughProxy } from './proxy.ts';
import { cipherOrder, minTlsVersion } from './tls-settings.ts';
import { remoteOf, type SocketTuner, TlsTransport } from './tls-transport.ts';
import type { Transport } from './transport.ts';

/**
 * The member's side of a TLS link. The server is known by the pin of its key and by nothing else: no certificate
 * authority is trusted, no session is ever resumed (a resumed one shows no certificate),
 * and the pin is compared before a byte is written (P6.1).
 */

/** Where to connect and whom to accept there. */
export interface ConnectTlsOptions {
  /** Name or IP address. */
  readonly host: string;
  readonly port: number;
  /** The one ALPN name that is offered and must be agreed. */
  readonly alpn: string;
  /**
   * The pins of which the server must have one. `compare-later` is for enrolment, where the caller compares
   * {@link Transport.serverPin} with the code before it proves anything.
   */
  readonly expectedPins: readonly Buffer[] | 'compare-later';
  /** For name, TCP and TLS together. */
  readonly timeoutMs: number;
  /** Addresses that the name had when they were last good: for a time in which DNS does not answer. */
  readonly knownAddresses?: readonly string[];
  /** The network lets connections out through this one only. */
  readonly proxy?: HttpProxy | undefined;
  /** IP address of this machine to connect from. */
  readonly localAddress?: string;
  /** Gives up early. */
  readonly signal?: AbortSignal;
  /** For a machine whose processor has no AES instructions. */
  readonly prefersChaCha?: boolean;
  readonly tune?: SocketTuner;
  readonly clock?: Clock;
}

const contexts = new Map<string, SecureContext>();

function contextFor(ciphers: string): SecureContext {
  const made = contexts.get(ciphers) ?? createSecureContext({ minVersion: minTlsVersion, ciphers, ca: [] });
  contexts.set(ciphers, made);
  return made;
}

function tlsOptions(options: ConnectTlsOptions, socket: Socket): ConnectionOptions {
  const { host, alpn } = options;
  return {
    socket,
    ALPNProtocols: [alpn],
    secureContext: contextFor(options.prefersChaCha === true ? cipherOrder.chacha : cipherOrder.aes),
    rejectUnauthorized: false,
    allowHalfOpen: false,
    ...(isIP(host) === 0 ? { servername: host } : {}),
  } as ConnectionOptions;
}

/** The pin that the server showed, once it is one of the expected and the protocol is the right one. */
function checkedPin(endpoint: string, socket: TLSSocket, options: ConnectTlsOptions): Buffer {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) throw wrongProtocol(endpoint, options.alpn);
  const pin = pinOf(certificate);
  const { expectedPins } = options;
  if (expectedPins !== 'compare-later' && !expectedPins.some(expected => expected.equals(pin))) {
    throw pinMismatch(endpoint, pin);
  }
  if (socket.alpnProtocol !== options.alpn) throw wrongProtocol(endpoint, options.alpn);
  return pin;
}

/** TCP to the server, or to the proxy and from there on. */
async function reach(options: ConnectTlsOptions, endpoint: string, signal: AbortSignal): Promise<Socket> {
  const { host, port, localAddress, knownAddresses, proxy, clock = systemClock } = options;
  if (proxy === undefined) return dial({ host, port, localAddress, knownAddresses, clock }, signal);
  const socket = await dial({ host: proxy.host, port: proxy.port, localAddress, clock }, signal);
  const giveUp = () => socket.destroy();
  signal.addEventListener('abort', giveUp);
  try {
    await throughProxy(socket, proxy, endpoint);
    return socket;
  } catch (thrown) {
    socket.destroy();
    throw thrown;
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

function secure(options: ConnectTlsOptions, socket: Socket, signal: AbortSignal): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const secured = connect(tlsOptions(options, socket));
    const giveUp = () => secured.destroy();
    signal.addEventListener('abort', giveUp);
    secured.on('error', reject);
    secured.once('secureConnect', () => {
      signal.removeEventListener('abort', giveUp);
      resolve(secured);
    });
  });
}

/**
 * Connects to a server, through a proxy if there must be one.
 * @throws EntremiseError `server-unreachable` (name, TCP, proxy, time), `tls-failed`, `pin-mismatch`, `aborted` (the
 * signal), `bad-config` (a port or local address that is none)
 */
export async function connectTls(options: ConnectTlsOptions): Promise<Transport> {
  const { signal, timeoutMs, clock = systemClock } = options;
  if (signal?.aborted === true) throw new EntremiseError('aborted');
  const endpoint = remoteOf(options.host, options.port);
  const attempt = new TlsAttempt(options, endpoint);
  const late = deferred<never>();
  const onAbort = () => late.reject(new EntremiseError('aborted'));
  signal?.addEventListener('abort', onAbort);
  const cancel = clock.after(timeoutMs, () =>
    late.reject(connectTimedOut(endpoint, attempt.stage, timeoutMs)),
  );
  try {
    return await Promise.race([attempt.run(), late.promise]);
  } catch (failure) {
    attempt.giveUp();
    throw failure;
  } finally {
    cancel();
    signal?.removeEventListener('abort', onAbort);
  }
}

/** One for all: Node would make one with a stack each time. */
const givenUp = new Error('given up');

/** One way from a name to a transport, and how far it has come. */
class TlsAttempt {
  stage: ConnectStage = 'connecting';
  private readonly options: ConnectTlsOptions;
  private readonly endpoint: string;
  private readonly abort = new AbortController();
  private socket: Socket | undefined;

  constructor(options: ConnectTlsOptions, endpoint: string) {
    this.options = options;
    this.endpoint = endpoint;
  }

  giveUp(): void {
    this.abort.abort(givenUp);
    this.socket?.destroy();
  }

  async run(): Promise<Transport> {
    const plain = await this.step(() => reach(this.options, this.endpoint, this.abort.signal));
    this.socket = plain;
    if (this.abort.signal.aborted) plain.destroy();
    else this.options.tune?.(plain);
    this.stage = 'handshaking';
    const secured = await this.step(() => secure(this.options, plain, this.abort.signal));
    this.socket = secured;
    return this.transportOf(secured);
  }

  private async step<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (thrown) {
      if (thrown instanceof EntremiseError) throw thrown;
      const cause = asError(thrown);
      if (cause instanceof RangeError || cause instanceof TypeError)
        throw new EntremiseError('bad-config', { message: `Cannot connect: ${cause.message}.`, cause });
      throw connectFailure(this.endpoint, this.stage, cause);
    }
  }

  private transportOf(secured: TLSSocket): Transport {
    const { options, endpoint } = this;
    const { clock = systemClock, tune, proxy } = options;
    const serverPin = checkedPin(endpoint, secured, options);
    const path = tune?.(secured);
    // What a proxy's machine acknowledges tells nothing of the server's.
    const transport = new TlsTransport(secured, {
      serverPin,
      clock,
      path: proxy === undefined ? path : undefined,
    });
    const onReplaced = () => transport.destroy(new Error('this machine has another address now'));
    secured.once('close', watchAddress(secured.localAddress, clock, onReplaced));
    return transport;
  }
}
