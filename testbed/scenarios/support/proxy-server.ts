import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Namespace, Program } from 'netns-test-helpers';
import { servicePort } from '../../site.ts';

/** A real tinyproxy that lets through who knows a name and a password, and to the service port only. */

/** Where it listens. */
export const proxyPort = 8_888;

/** What it wants to be told. */
export const proxyCredentials = { name: 'anna', password: 's3cret' } as const;

/** The proxy at an address as ENTREMISE_PROXY names it. */
export function proxyUrl(address: string, password: string = proxyCredentials.password): string {
  return `http://${proxyCredentials.name}:${password}@${address}:${proxyPort}`;
}

function configuration(address: string): string {
  const lines = [
    `Port ${proxyPort}`,
    `Listen ${address}`,
    'Timeout 600',
    'MaxClients 100',
    `ConnectPort ${servicePort}`,
    `BasicAuth ${proxyCredentials.name} ${proxyCredentials.password}`,
    'LogLevel Connect',
  ];
  return `${lines.join('\n')}\n`;
}

/** Starts it at an address, in the foreground; its configuration goes to `folder`. */
export async function startProxy(where: Namespace, address: string, folder: string): Promise<Program> {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'tinyproxy.conf');
  writeFileSync(file, configuration(address));
  const program = where.spawn(['tinyproxy', '-d', '-c', file]);
  await where.untilListening('tcp', proxyPort);
  return program;
}
