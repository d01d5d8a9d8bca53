import { join } from 'node:path';
import { EntremiseError } from '../base/errors.ts';
import { isKeyText } from '../base/keys.ts';
import {
  createPrivateFile,
  readPrivateFile,
  readStateFile,
  readStateFileIfPresent,
  writePrivateFile,
} from '../base/state-file.ts';
import { type ServerAddress, serverAddressText } from '../policy/server-address.ts';
import { createKeyAndCertificate, type KeyAndCertificate } from '../transport/certificate.ts';
import { pinOf } from '../transport/pin.ts';
import { serverConfigPath } from './config.ts';
import { Store } from './store.ts';

/** What a new server is made with. */
export interface ServerInitOptions {
  readonly stateDir: string;
  /** Text of the authority's key. */
  readonly authorityKey: string;
  readonly listen: ServerAddress;
  /** How members reach it; the names and addresses in its certificate. */
  readonly addresses: readonly ServerAddress[];
}

const keyFile = (stateDir: string) => join(stateDir, 'server.key');
const certificateFile = (stateDir: string) => join(stateDir, 'server.crt');

/**
 * Makes the state directory of a server: TLS key and certificate, server.toml, an empty store. Gives the pin that members
 * compare (P6.1), as base64url.
 * @throws EntremiseError `bad-usage` when there is one already, `environment-unfit` without SQLite, `state-unreadable`
 */
export async function initServer(options: ServerInitOptions): Promise<{ readonly pin: string }> {
  const { stateDir, authorityKey, listen, addresses } = options;
  if (!isKeyText(authorityKey)) {
    throw new EntremiseError('bad-usage', {
      message: 'The authority key is 43 characters of base64url; "entremise authority show" prints it.',
    });
  }
  if (readStateFileIfPresent(keyFile(stateDir)) !== undefined) {
    throw new EntremiseError('bad-usage', {
      message: `${stateDir} holds a server already; its key is not overwritten.`,
    });
  }
  const made = await createKeyAndCertificate(addresses.map(({ host }) => host));
  writePrivateFile(certificateFile(stateDir), made.cert);
  writeConfig(serverConfigPath(stateDir), configText(authorityKey, listen));
  (await Store.open(stateDir)).close();
  // Last, since with it this is a server: whatever was interrupted before can be begun again.
  createPrivateFile(keyFile(stateDir), made.key);
  return { pin: pinOf(made.cert).toString('base64url') };
}

/** @throws EntremiseError `bad-usage` when there is one that says something else */
function writeConfig(path: string, text: string): void {
  const there = readStateFileIfPresent(path)?.toString('utf8');
  if (there === undefined) return createPrivateFile(path, text);
  if (there === text) return;
  throw new EntremiseError('bad-usage', {
    message: `${path} is there already and says something else; move it away first.`,
  });
}

function configText(authorityKey: string, listen: ServerAddress): string {
  return `# The authority whose documents count.\nauthorityKey = "${authorityKey}"\n\n# The one service port.\nlisten = "${serverAddressText(listen)}"\n`;
}

/**
 * Key and certificate of a server.
 * @throws EntremiseError `state-unreadable`, also when they are damaged or do not belong together
 */
export function readKeyAndCertificate(stateDir: string): KeyAndCertificate {
  const pair = {
    key: readPrivateFile(keyFile(stateDir)).toString('utf8'),
    cert: readStateFile(certificateFile(stateDir)).toString('utf8'),
  };
  if (pinIfAny(pair.key)?.equals(pinIfAny(pair.cert) ?? Buffer.of())) return pair;
  throw new EntremiseError('state-unreadable', {
    message: `${keyFile(stateDir)} and ${certificateFile(stateDir)} are damaged, or not of the same server; put a backup in their place.`,
  });
}

function pinIfAny(pem: string): Buffer | undefined {
  try {
    return pinOf(pem);
  } catch {
    return undefined;
  }
}

/** The pin of a server's certificate, base64url. */
export function pinText(pair: KeyAndCertificate): string {
  return pinOf(pair.cert).toString('base64url');
}
