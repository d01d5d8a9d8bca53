import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { Command } from 'commander';
import { type DoorPassword, newDoorPassword, openSocks, type SocksDoor } from '../../terminal/index.ts';
import { type Context, contextOf } from '../context.ts';
import { endpointText, localFailure } from '../endpoint-text.ts';
import { parseLocalPort } from '../forward-spec.ts';
import { keepAttached } from '../keeper.ts';
import { badUsage } from '../output.ts';
import { untilAborted } from '../until-aborted.ts';
import { withTerminal } from '../with-terminal.ts';

const examples = `
Examples:
  entremise socks home-4711                               # prints the address with a new password
  curl -x socks5h://entremise:…@127.0.0.1:1080 http://192.168.1.10/
  entremise socks home-4711 --no-auth                     # whoever is on this computer may use it
  entremise socks home-4711 --listen 1081 --password-file ~/.config/entremise/socks-password`;

interface SocksFlags {
  readonly listen: string;
  /** False with --no-auth. */
  readonly auth: boolean;
  readonly passwordFile?: string;
}

/** Adds `entremise socks`. */
export function addSocksVerb(program: Command): void {
  program
    .command('socks')
    .description('a local SOCKS5 and HTTP CONNECT proxy: any program reaches what a mediator reaches')
    .argument('<mediator>')
    .option('--listen <[bind:]port>', 'where it listens', '1080')
    .option('--no-auth', 'no password; only on a loopback address')
    .option('--password-file <file>', 'the password is the first line of this file, not a new one each time')
    .addHelpText('after', examples)
    .action((mediator: string, flags: SocksFlags, command: Command) =>
      socks(contextOf(command), mediator, flags),
    );
}

/** @throws EntremiseError `bad-usage` */
function passwordOf({ auth, passwordFile }: SocksFlags): DoorPassword | undefined {
  if (!auth) return undefined;
  if (passwordFile === undefined) return newDoorPassword();
  const password = firstLine(passwordFile);
  if (password.length >= 8 && Buffer.byteLength(password) <= 255) return { user: 'entremise', password };
  throw badUsage(`The first line of ${passwordFile} is no password of 8 to 255 bytes.`);
}

function firstLine(path: string): string {
  try {
    return readFileSync(path, 'utf8').split(/\r?\n/, 1)[0] ?? '';
  } catch (thrown) {
    throw badUsage(`Cannot read the password: ${thrown instanceof Error ? thrown.message : thrown}`);
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function socks(context: Context, mediator: string, flags: SocksFlags): Promise<void> {
  const { host = '127.0.0.1', port } = parseLocalPort(flags.listen);
  const password = passwordOf(flags);
  if (password === undefined && !isLoopback(host))
    throw badUsage(`--no-auth on ${host} would open the home to the network; listen on 127.0.0.1.`);
  return withTerminal(context, async (terminal, signal) => {
    const source = keepAttached(context, terminal, mediator, signal);
    let door: SocksDoor | undefined;
    try {
      await Promise.race([source.done, new Promise(resolve => source.once('attached', resolve))]);
      door = await openSocks({ source, listen: { host, port }, password }).catch(thrown => {
        throw localFailure(thrown, { host, port });
      });
      tell(context, door, password);
      await Promise.race([source.done, untilAborted(signal)]);
    } finally {
      await door?.close();
      source.close();
    }
  });
}

function tell(context: Context, door: SocksDoor, password: DoorPassword | undefined): void {
  const listen = door.address();
  const login = password === undefined ? '' : `${password.user}:${encodeURIComponent(password.password)}@`;
  const at = endpointText(listen);
  context.output.result({ socks: { listen, ...(password === undefined ? {} : password) } }, [
    `socks5h://${login}${at}`,
    `http://${login}${at} (CONNECT only)`,
  ]);
  door.on('refused', ({ client, target, error }) => {
    const where = target === undefined ? 'a target' : endpointText(target);
    const { message: refused } = error;
    context.output.status(`${endpointText(client)} -> ${where} not served: ${refused}`, {
      client,
      target,
      refused,
    });
  });
}
