import { EntremiseError } from '../base/errors.ts';
import { parseTargetHost, quoted } from './target.ts';

/** Where a server is reached: host (name or address without brackets) and the number of its service port. */
export interface ServerAddress {
  readonly host: string;
  readonly number: number;
}

/**
 * Reads `server.example:8443`, `203.0.113.5:8443` or `[2001:db8::5]:8443`.
 * @throws EntremiseError `bad-request` when it is none of these
 */
export function parseServerAddress(text: string): ServerAddress {
  const match = /^(?:\[([^[\]]+)\]|([^:[\]]+)):([1-9]\d{0,4})$/.exec(text);
  const number = Number(match?.[3]);
  if (match === null || number > 65_535) {
    throw new EntremiseError('bad-request', {
      message: `${quoted(text)} is no server address; write it like server.example:8443 or [2001:db8::5]:8443.`,
    });
  }
  const host = parseTargetHost(match[1] ?? match[2] ?? '');
  if (host.kind === 'name' && match[1] === undefined) return { host: host.name, number };
  if (host.kind === 'address') return { host: host.address.text, number };
  throw new EntremiseError('bad-request', {
    message: `${quoted(text)}: in brackets stands an IPv6 address only.`,
  });
}

/** The text that {@link parseServerAddress} reads. */
export function serverAddressText({ host, number }: ServerAddress): string {
  return host.includes(':') ? `[${host}]:${number}` : `${host}:${number}`;
}
