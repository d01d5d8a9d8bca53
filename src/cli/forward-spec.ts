import { quoted } from '../policy/target.ts';
import { badUsage } from './output.ts';

/** TCP or UDP, an address and a number at each end. */
export interface ForwardSpec {
  readonly protocol: 'tcp' | 'udp';
  readonly listen: { readonly host?: string; readonly port: number };
  readonly target: { readonly host: string; readonly port: number };
}

/** The fields between colons; IPv6 addresses stand in brackets. */
function fieldsOf(text: string): string[] {
  const fields = text.match(/\[[^\]]*:[^\]]*\]|[^:[\]]+/g) ?? [];
  const joined = fields.join(':');
  return joined === text ? fields.map(field => field.replace(/^\[(.*)\]$/, '$1')) : [];
}

function numberOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,5}$/.test(text) || Number(text) > 65_535) return undefined;
  return Number(text);
}

function splitProtocol(text: string): { readonly protocol: 'tcp' | 'udp'; readonly rest: string } {
  const match = /^(.*)\/(tcp|udp)$/.exec(text);
  if (match?.[1] === undefined) return { protocol: 'tcp', rest: text };
  return { protocol: match[2] === 'udp' ? 'udp' : 'tcp', rest: match[1] };
}

/**
 * Reads `[bind:]port:host:port[/udp]`, as ssh -L writes it; IPv6 in brackets; port 0 takes any free one.
 * @throws EntremiseError `bad-usage`
 */
export function parseForward(text: string): ForwardSpec {
  const { protocol, rest } = splitProtocol(text);
  const fields = fieldsOf(rest);
  const [bind, local, host, remote] = fields.length === 4 ? fields : [undefined, ...fields];
  const port = numberOf(local);
  const targetPort = numberOf(remote);
  if (fields.length < 3 || fields.length > 4 || port === undefined || host === undefined || !targetPort) {
    throw badUsage(
      `${quoted(text)} is no forward; write it like 8080:192.168.1.10:80, 127.0.0.1:5353:192.168.1.1:53/udp or 8080:[fd00::10]:80.`,
    );
  }
  const listen = bind === undefined ? { port } : { host: bind, port };
  return { protocol, listen, target: { host, port: targetPort } };
}

/**
 * Reads `[address:]port[/udp]`, a port of the mediator.
 * @throws EntremiseError `bad-usage`
 */
export function parseLanPort(text: string): Pick<ForwardSpec, 'protocol' | 'listen'> {
  const { protocol, rest } = splitProtocol(text);
  const fields = fieldsOf(rest);
  const port = numberOf(fields.at(-1));
  if (fields.length < 1 || fields.length > 2 || !port) {
    throw badUsage(
      `${quoted(text)} is no port of the mediator; write it like 8000, 5060/udp or 192.168.1.1:8000.`,
    );
  }
  const [host] = fields;
  return { protocol, listen: fields.length === 1 || host === undefined ? { port } : { host, port } };
}

/**
 * Reads `host:port`; IPv6 in brackets.
 * @throws EntremiseError `bad-usage`
 */
export function parseEndpoint(text: string): ForwardSpec['target'] {
  const fields = fieldsOf(text);
  const [host] = fields;
  const port = numberOf(fields[1]);
  if (fields.length === 2 && host !== undefined && port) return { host, port };
  throw badUsage(`${quoted(text)} is no host and port; write it like 192.168.1.10:80 or [fd00::10]:80.`);
}

/**
 * Reads `[bind:]port`, a number of this computer; IPv6 in brackets; 0 takes any free one.
 * @throws EntremiseError `bad-usage`
 */
export function parseLocalPort(text: string): ForwardSpec['listen'] {
  const fields = fieldsOf(text);
  const port = numberOf(fields.at(-1));
  const [host] = fields;
  if (fields.length === 1 && port !== undefined) return { port };
  if (fields.length === 2 && port !== undefined && host !== undefined) return { host, port };
  throw badUsage(`${quoted(text)} is no local port; write it like 1080, 127.0.0.1:1080 or [::1]:1080.`);
}
