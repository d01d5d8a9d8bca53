import { EntremiseError, type ErrorCode } from '../base/errors.ts';
import type { ErrnoName } from './addon.ts';

const anyTime: Readonly<Record<ErrnoName, ErrorCode>> = {
  EACCES: 'not-permitted',
  EPERM: 'not-permitted',
  EAFNOSUPPORT: 'bad-request',
  EADDRINUSE: 'port-in-use',
  EMFILE: 'limit',
  ENFILE: 'limit',
  ENOBUFS: 'limit',
  ENOMEM: 'limit',
};

const whenBinding: Readonly<Record<ErrnoName, ErrorCode>> = {
  ...anyTime,
  EADDRNOTAVAIL: 'address-not-available',
  ENODEV: 'address-not-available',
  EINVAL: 'bad-request',
};

const whenConnecting: Readonly<Record<ErrnoName, ErrorCode>> = {
  ...anyTime,
  // The number is bound already, so what is not available is the pair of both ends.
  EADDRNOTAVAIL: 'address-in-use',
  ECONNREFUSED: 'refused',
  ECONNRESET: 'refused',
  ETIMEDOUT: 'timed-out',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  EHOSTDOWN: 'unreachable',
  ENETDOWN: 'unreachable',
  ENODEV: 'unreachable',
  // A loopback source and a target outside.
  EINVAL: 'unreachable',
};

function sentence(code: ErrorCode, errno: ErrnoName, doing: string): string {
  if (code === 'not-permitted' && doing.startsWith('bind'))
    return `${doing}: ${errno}; numbers below 1024 need CAP_NET_BIND_SERVICE`;
  return `${doing}: ${errno}`;
}

function failure(
  table: Readonly<Record<ErrnoName, ErrorCode>>,
  errno: ErrnoName,
  doing: string,
  cause: unknown,
) {
  const code = table[errno] ?? 'internal';
  return new EntremiseError(code, { message: sentence(code, errno, doing), by: 'mediator', cause });
}

/** Why `address` and `port` could not be reserved, listened on or used, as an error of the catalogue (P5.1). */
export function bindError(errno: ErrnoName, address: string, port: number, cause?: unknown): EntremiseError {
  return failure(whenBinding, errno, `bind ${address} port ${port}`, cause);
}

/** Why the connection to `host` and `port` was not made, as an error of the catalogue (P5.2). */
export function connectError(errno: ErrnoName, host: string, port: number, cause?: unknown): EntremiseError {
  return failure(whenConnecting, errno, `connect to ${host} port ${port}`, cause);
}

/** The errno's name of what Node threw or emitted, for instance 'ECONNRESET'; 'UNKNOWN' when it has none. */
export function errnoOf(thrown: unknown): ErrnoName {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  return typeof code === 'string' ? code : 'UNKNOWN';
}
