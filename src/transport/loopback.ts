import type { ExecutionContext } from 'ava';
import { deferred } from '../base/deferred.ts';
import type { RefusalReason } from './admissions.ts';
import { createKeyAndCertificate } from './certificate.ts';
import type { ConnectedPair } from './compliance.ts';
import { type ConnectTlsOptions, connectTls } from './tls-client.ts';
import { type ListenTlsOptions, listenTls, type TlsListener } from './tls-server.ts';
import type { Transport } from './transport.ts';

/** For tests: a TLS listener on a free port of the loopback, and what connects to it. */

/** ALPN name of links (P1.7). */
export const testAlpn = 'entremise/1';

/** One key for all tests of a file. */
export const testCertificate = await createKeyAndCertificate(['localhost', '127.0.0.1']);

/** A connection that was refused, as `onRefused` told. */
export interface Refusal {
  readonly remote: string;
  readonly reason: RefusalReason;
  readonly cause: Error | undefined;
}

/** Resolves when `holds` does, looked at once a turn of the event loop; rejects after 10 s. */
export async function eventually(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`not within 10 s: ${holds}`);
    await new Promise(setImmediate);
  }
}

/** A list that can be waited on. */
export class Arrivals<T> {
  readonly all: T[] = [];
  private waiting: ((item: T) => void)[] = [];
  private taken = 0;

  add(item: T): void {
    this.all.push(item);
    this.settle();
  }

  /** The next one that nobody has taken. */
  next(): Promise<T> {
    const { promise, resolve } = deferred<T>();
    this.waiting.push(resolve);
    this.settle();
    return promise;
  }

  private settle(): void {
    while (this.waiting.length > 0 && this.taken < this.all.length) {
      const item = this.all[this.taken++];
      if (item !== undefined) this.waiting.shift()?.(item);
    }
  }
}

/** A listener with everything that came to it. */
export interface Loopback {
  readonly listener: TlsListener;
  readonly transports: Arrivals<Transport>;
  readonly refusals: Arrivals<Refusal>;
  /** How `authenticated` of each transport is called, in the order of {@link transports}. */
  readonly authenticated: (() => void)[];
}

/** Starts a listener; everything is closed at the end of the test. */
export async function loopback(
  t: ExecutionContext,
  options: Partial<ListenTlsOptions> = {},
): Promise<Loopback> {
  const transports = new Arrivals<Transport>();
  const refusals = new Arrivals<Refusal>();
  const authenticated: (() => void)[] = [];
  const listener = await listenTls({
    host: '127.0.0.1',
    port: 0,
    ...testCertificate,
    alpn: testAlpn,
    onTransport(transport, whenAuthenticated) {
      authenticated.push(whenAuthenticated);
      transports.add(transport);
    },
    onRefused: (remote, reason, cause) => refusals.add({ remote, reason, cause }),
    ...options,
  });
  t.teardown(() => {
    listener.close();
    for (const transport of transports.all) transport.destroy();
  });
  return { listener, transports, refusals, authenticated };
}

/** Connects to it without looking at the pin; closed at the end of the test. */
export async function connectTo(
  t: ExecutionContext,
  listener: TlsListener,
  options: Partial<ConnectTlsOptions> = {},
): Promise<Transport> {
  const transport = await connectTls({
    host: '127.0.0.1',
    port: listener.address.port,
    alpn: testAlpn,
    expectedPins: 'compare-later',
    timeoutMs: 10_000,
    ...options,
  });
  t.teardown(() => transport.destroy());
  return transport;
}

/** Two ends of one TLS connection. */
export async function tlsPair(t: ExecutionContext): Promise<ConnectedPair> {
  const { listener, transports } = await loopback(t);
  const client = await connectTo(t, listener);
  return { client, server: await transports.next() };
}
