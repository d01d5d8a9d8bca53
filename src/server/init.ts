import { EntremiseError } from '../base/errors.ts';
import { isKeyText } from '../base/keys.ts';
import { createPrivateFile, readStateFileIfPresent } from '../base/state-file.ts';
import { type ServerAddress, serverAddressText } from '../policy/server-address.ts';
import { serverConfigPath } from './config.ts';
import { Store } from './store.ts';
import { createServerKey, ensureSpareKey, hasServerKey } from './tls-keys.ts';

/** What a new server is made with. */
export interface ServerInitOptions {
  readonly stateDir: string;
  /** Text of the authority's key. */
  readonly authorityKey: string;
  readonly listen: ServerAddress;
  /** How members reach it; the names and addresses in its certificate. */
  readonly addresses: readonly ServerAddress[];
}

/**
 * Makes the state directory of a server: TLS key and certificate, a spare of both, server.toml, an empty store. Gives the
 * pins that members compare (P6.1), as base64url.
 * @throws EntremiseError `bad-usage` when there is one already, `environment-unfit` without SQLite, `state-unreadable`
 */
export async function initServer(
  options: ServerInitOptions,
): Promise<{ readonly pin: string; readonly sparePin: string }> {
  const { stateDir, authorityKey, listen, addresses } = options;
  if (!isKeyText(authorityKey)) {
    throw new EntremiseError('bad-usage', {
      message: 'The authority key is 43 characters of base64url; "entremise authority show" prints it.',
    });
  }
  if (hasServerKey(stateDir)) {
    throw new EntremiseError('bad-usage', {
      message: `${stateDir} holds a server already; its key is not overwritten.`,
    });
  }
  writeConfig(serverConfigPath(stateDir), configText(authorityKey, listen));
  (await Store.open(stateDir)).close();
  // Whatever was interrupted before the private key is there can be begun again.
  const hosts = addresses.map(({ host }) => host);
  const pin = await createServerKey(stateDir, hosts);
  const { spare = '' } = await ensureSpareKey(stateDir);
  return { pin, sparePin: spare };
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
