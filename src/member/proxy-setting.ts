import process from 'node:process';
import { type HttpProxy, parseProxy } from '../transport/proxy.ts';

/** Environment variable that names the HTTP proxy. */
const variable = 'ENTREMISE_PROXY';

/**
 * The HTTP proxy that the network forces on every connection of a member: what is configured, else ENTREMISE_PROXY, else
 * none.
 * @throws EntremiseError `bad-config`
 */
export function proxySetting(configured?: HttpProxy): HttpProxy | undefined {
  const text = process.env[variable] ?? '';
  return configured ?? (text === '' ? undefined : parseProxy(text));
}
