import type { Endpoint } from '../terminal/index.ts';
import { badUsage } from './output.ts';

/** `host:port`, an IPv6 address in brackets. */
export function endpointText({ host, port }: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

const localFailures: Readonly<Record<string, string>> = {
  EADDRINUSE: 'that number is taken; choose another, or 0 for any that is free',
  EACCES: 'this user may not have that number; choose one from 1024 up',
  EADDRNOTAVAIL: 'this computer does not have that address',
};

/** What a local port that cannot be had is told as; anything else as it is. */
export function localFailure(thrown: unknown, listen: Partial<Endpoint>): unknown {
  const { code = '' } = thrown as NodeJS.ErrnoException;
  const reason = localFailures[code];
  if (reason === undefined) return thrown;
  return badUsage(
    `Cannot listen on ${endpointText({ host: '127.0.0.1', port: 0, ...listen })} of this computer: ${reason}.`,
  );
}
