import { isIP } from 'node:net';
import {
  type ConnectionOptions,
  connect,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import { type Clock, systemClock } from '../base/clock.ts';
import { EntremiseError } from '../base/errors.ts';
import { watchAddress } from './address-watch.ts';
import {
  type ConnectStage,
  connectFailure,
  connectTimedOut,
  pinMismatch,
  wrongProtocol,
} from './connect-failure.ts';
import { asError } from './fault.ts';
import { pinOf } from './pin.ts';
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
  /** IP address of this machine to connect from. */
  readonly localAddress?: string;
  /** Gives up early. */
  readonly signal?: AbortSignal;
  /** For a machine whose processor has no AES instructions. */
  readonly prefersChaCha?: boolean;
  readonly tune?: SocketTuner;
  readonly clock?: Clock;
}

/** Node abandons an address after 250 ms for the next one; satellites need longer. */
const nextAddressAfterMs = 1000;

const contexts = new Map<string, SecureContext>();

function contextFor(ciphers: string): SecureContext {
  const made = contexts.get(ciphers) ?? createSecureContext({ minVersion: minTlsVersion, ciphers, ca: [] });
  contexts.set(ciphers, made);
  return made;
}

function socketOptions(options: ConnectTlsOptions): ConnectionOptions {
  const { host, port, alpn, localAddress } = options;
  return {
    host,
    port,
    ALPNProtocols: [alpn],
    secureContext: contextFor(options.prefersChaCha === true ? cipherOrder.chacha : cipherOrder.aes),
    rejectUnauthorized: false,
    allowHalfOpen: false,
    autoSelectFamilyAttemptTimeout: nextAddressAfterMs,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(localAddress === undefined ? {} : { localAddress, family: isIP(localAddress) }),
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

function open(options: ConnectTlsOptions): TLSSocket {
  try {
    return connect(socketOptions(options)).setNoDelay(true);
  } catch (cause) {
    throw new EntremiseError('bad-config', { message: `Cannot connect: ${asError(cause).message}.`, cause });
  }
}

/**
 * Connects to a server.
 * @throws EntremiseError `server-unreachable` (name, TCP, time), `tls-failed`, `pin-mismatch`, `aborted` (the signal),
 * `bad-config` (a port or local address that is none)
 */
export async function connectTls(options: ConnectTlsOptions): Promise<Transport> {
  const { signal, timeoutMs, clock = systemClock } = options;
  if (signal?.aborted === true) throw new EntremiseError('aborted');
  const endpoint = remoteOf(options.host, options.port);
  const socket = open(options);
  let stage: ConnectStage = 'connecting';
  const undo: (() => void)[] = [];
  try {
    return await new Promise<Transport>((resolve, reject) => {
      const onAbort = () => reject(new EntremiseError('aborted'));
      signal?.addEventListener('abort', onAbort);
      undo.push(
        () => signal?.removeEventListener('abort', onAbort),
        clock.after(timeoutMs, () => reject(connectTimedOut(endpoint, stage, timeoutMs))),
      );
      socket.on('error', cause => reject(connectFailure(endpoint, stage, cause)));
      socket.once('connect', () => {
        stage = 'handshaking';
      });
      socket.once('secureConnect', () => {
        try {
          const serverPin = checkedPin(endpoint, socket, options);
          const readPath = options.tune?.(socket);
          const transport = new TlsTransport(socket, { serverPin, clock, readPath });
          const onReplaced = () => transport.destroy(new Error('this machine has another address now'));
          socket.once('close', watchAddress(socket.localAddress, clock, onReplaced));
          resolve(transport);
        } catch (thrown) {
          reject(thrown);
        }
      });
    });
  } catch (failure) {
    socket.destroy();
    throw failure;
  } finally {
    for (const step of undo) step();
  }
}
