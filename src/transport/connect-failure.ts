import { EntremiseError } from '../base/errors.ts';

/** Why a connection to the server did not come about, in sentences that say what to do. */

/** How far a connection had come when it failed. */
export type ConnectStage = 'connecting' | 'handshaking';

const whileConnecting: Readonly<Record<string, string>> = {
  ENOTFOUND: 'the name has no address; check its spelling and the DNS of this machine',
  EAI_AGAIN: 'DNS does not answer; check the network and the resolver of this machine',
  ECONNREFUSED: 'nothing accepts connections there; check the port and whether the server runs',
  ECONNRESET:
    'the connection was reset; the server is busy, or a firewall in between cuts it; try again, then check the port',
  ETIMEDOUT: 'nothing answers; check the address, and whether a firewall drops what goes to that port',
  EHOSTUNREACH: 'there is no way to that host; check the network of this machine',
  ENETUNREACH: 'there is no route to that network; check the network of this machine',
  EACCES: 'this machine does not allow it; check its firewall',
  EPERM: 'this machine does not allow it; check its firewall',
  EADDRNOTAVAIL: 'this machine does not have the local address that was asked for, or no free number is left',
};

/** The peer, or something before it, went away without a word of TLS. */
const cutOff = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH']);

function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : '';
}

/** Node's words may quote the peer; they go into one line. */
function reasonOf(error: Error): string {
  return (error.message || codeOf(error) || error.name).replaceAll(/[^\x20-\x7e]+/g, ' ').trim();
}

/**
 * `server-unreachable` or, when TLS itself failed, `tls-failed`. A connection that is closed during the handshake counts
 * as unreachable: so does a busy server refuse (its accept limits), and a firewall that looks inside.
 */
export function connectFailure(endpoint: string, stage: ConnectStage, cause: Error): EntremiseError {
  const code = codeOf(cause);
  if (stage === 'connecting') {
    const reason = whileConnecting[code] ?? reasonOf(cause);
    return new EntremiseError('server-unreachable', {
      message: `Cannot reach ${endpoint}: ${reason}.`,
      cause,
    });
  }
  if (cutOff.has(code)) {
    const message = `${endpoint} took the connection and closed it before TLS was up: the server is busy, or a firewall in between cuts it; try again, then check the port.`;
    return new EntremiseError('server-unreachable', { message, cause });
  }
  const message = `TLS with ${endpoint} failed (${reasonOf(cause)}); check that this is the port of an Entremise server and that nothing in between rewrites TLS.`;
  return new EntremiseError('tls-failed', { message, cause });
}

/** The whole took too long. */
export function connectTimedOut(endpoint: string, stage: ConnectStage, timeoutMs: number): EntremiseError {
  const silent =
    stage === 'connecting' ? 'has not taken the connection' : 'has not finished the TLS handshake';
  const message = `Cannot reach ${endpoint}: it ${silent} within ${timeoutMs / 1000} s; check the address, and whether a firewall drops what goes to that port.`;
  return new EntremiseError('server-unreachable', { message });
}

/** Another key than the pinned ones (P6.1). */
export function pinMismatch(endpoint: string, seen: Buffer): EntremiseError {
  const message = `${endpoint} has another key than the pinned one (its pin is ${seen.toString('hex')}), so nothing was sent. Either something in between opens TLS, or the server has a new key: then a trust statement with its pin is needed, or a new enrolment.`;
  return new EntremiseError('pin-mismatch', { message });
}

/** The right key but not the right protocol. */
export function wrongProtocol(endpoint: string, alpn: string): EntremiseError {
  return new EntremiseError('tls-failed', {
    message: `${endpoint} speaks TLS but not ${alpn}; check the port and the version of the server.`,
  });
}
