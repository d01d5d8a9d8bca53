/** Links over TLS: {@link connectTls} at the member, {@link listenTls} at the server. */
export { type ConnectTlsOptions, connectTls } from './tls-client.ts';
export {
  type ListenTlsOptions,
  listenTls,
  type RefusalReason,
  type TlsListener,
  type TlsListenerCounters,
} from './tls-server.ts';
