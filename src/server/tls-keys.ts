import { X509Certificate } from 'node:crypto';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { EntremiseError } from '../base/errors.ts';
import {
  createPrivateFile,
  readPrivateFile,
  readStateFile,
  readStateFileIfPresent,
  removeStateFile,
  writePrivateFile,
} from '../base/state-file.ts';
import { createKeyAndCertificate, type KeyAndCertificate } from '../transport/certificate.ts';
import { pinOf } from '../transport/pin.ts';
import { guarded } from './sqlite.ts';

/**
 * The server's TLS keys in its state directory: the one in use (`server.key`, `server.crt`) and its spare (`next.key`,
 * `next.crt`), whose pin members are told long before it is used, so that whoever was away meanwhile finds it pinned
 * (P6.1, P6.2).
 */

/** The pins of the keys of a server, base64url. */
export interface ServerPins {
  /** Undefined when that key is lost. */
  readonly inUse: string | undefined;
  readonly spare: string | undefined;
}

interface Files {
  readonly key: string;
  readonly cert: string;
}

const filesIn = (stateDir: string, name: 'server' | 'next'): Files => ({
  key: join(stateDir, `${name}.key`),
  cert: join(stateDir, `${name}.crt`),
});

/** The key in use is there: a server was made in this directory. */
export function hasServerKey(stateDir: string): boolean {
  return readStateFileIfPresent(filesIn(stateDir, 'server').key) !== undefined;
}

function pinIfAny(pem: string): string | undefined {
  try {
    return pinOf(pem).toString('base64url');
  } catch {
    return undefined;
  }
}

const pinInFile = (path: string) => pinIfAny(readStateFileIfPresent(path)?.toString('utf8') ?? '');

/**
 * Key and certificate of a server.
 * @throws EntremiseError `state-unreadable`, also when they are damaged or do not belong together
 */
export function readKeyAndCertificate(stateDir: string): KeyAndCertificate {
  const files = filesIn(stateDir, 'server');
  const pair = {
    key: readPrivateFile(files.key).toString('utf8'),
    cert: readStateFile(files.cert).toString('utf8'),
  };
  const pin = pinIfAny(pair.cert);
  if (pin !== undefined && pin === pinIfAny(pair.key)) return pair;
  const cure =
    pin !== undefined && pin === pinInFile(filesIn(stateDir, 'next').key)
      ? 'a rotation was cut off: run "entremise server rotate-key" again'
      : 'put a backup in their place';
  throw new EntremiseError('state-unreadable', {
    message: `${files.key} and ${files.cert} are damaged, or not of the same server; ${cure}.`,
  });
}

/** The pin of a server's certificate, base64url. */
export function pinText(pair: KeyAndCertificate): string {
  return pinOf(pair.cert).toString('base64url');
}

/** The pins of the keys that are there. */
export function serverPins(stateDir: string): ServerPins {
  return {
    inUse: pinInFile(filesIn(stateDir, 'server').key),
    spare: pinInFile(filesIn(stateDir, 'next').key),
  };
}

/**
 * Makes the key in use; last its private half, since with it this is a server. Gives its pin.
 * @throws EntremiseError `state-unreadable`, also when there is one
 */
export async function createServerKey(stateDir: string, hosts: readonly string[]): Promise<string> {
  const made = await createKeyAndCertificate(hosts);
  const files = filesIn(stateDir, 'server');
  writePrivateFile(files.cert, made.cert);
  createPrivateFile(files.key, made.key);
  return pinText(made);
}

/** Names and addresses in the certificate that is there, for its successor (RFC 5280 §4.2.1.6 as Node prints it). */
function hostsOf(stateDir: string): string[] {
  try {
    const { subjectAltName = '' } = new X509Certificate(readStateFile(filesIn(stateDir, 'server').cert));
    return [...subjectAltName.matchAll(/(?:DNS|IP Address):([^,]+)/g)].map(([, host = '']) => host.trim());
  } catch {
    return [];
  }
}

/**
 * Makes the spare key if there is none.
 * @throws EntremiseError `state-unreadable`
 */
export async function ensureSpareKey(stateDir: string): Promise<ServerPins> {
  const pins = serverPins(stateDir);
  if (pins.spare !== undefined) return pins;
  const made = await createKeyAndCertificate(hostsOf(stateDir));
  const files = filesIn(stateDir, 'next');
  writePrivateFile(files.cert, made.cert);
  writePrivateFile(files.key, made.key);
  return { ...pins, spare: pinText(made) };
}

/**
 * The spare key becomes the one in use, that one is no more, and there is a new spare. Cut off at any moment, it is finished
 * when it is called again; the private key moves last.
 * @throws EntremiseError `state-unreadable`, also when there is no spare
 */
export async function useSpareKey(stateDir: string): Promise<ServerPins> {
  const [server, next] = [filesIn(stateDir, 'server'), filesIn(stateDir, 'next')];
  readPrivateFile(next.key);
  writePrivateFile(server.cert, readStateFile(next.cert));
  guarded(server.key, () => renameSync(next.key, server.key));
  removeStateFile(next.cert);
  return ensureSpareKey(stateDir);
}
