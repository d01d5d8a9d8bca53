/** Links over TLS: {@link connectTls} at the member, {@link listenTls} at the server. */
export type { AcceptLimits } from './accept-limiter.ts';
export type { RefusalReason } from './admissions.ts';
export { type ConnectTlsOptions, connectTls } from './tls-client.ts';
export {
  type ListenTlsOptions,
  listenTls,
  type TlsListener,
  type TlsListenerCounters,
} from './tls-server.ts';
export type { SocketTuner } from './tls-transport.ts';
