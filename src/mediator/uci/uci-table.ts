import { EntremiseError } from '../../base/errors.ts';
import type { UciSection } from './uci-text.ts';

/**
 * /etc/config/entremise as the table that a mediator.toml would be: the same keys, checked by the same schema, under the
 * names that a router's owner expects (docs/openwrt.md). What is not known is refused, as there.
 */

/** How the text of an option becomes a value. */
type Kind = 'text' | 'number' | 'list';

/** Where an option goes in the table of its section, and as what. */
type Place = readonly [kind: Kind, ...path: string[]];

/** Section `config mediator 'main'`. */
const mainPlaces: Readonly<Record<string, Place>> = {
  server: ['list', 'servers'],
  audit_file: ['text', 'auditFile'],
  audit_max_bytes: ['number', 'auditMaxBytes'],
  control_socket: ['text', 'controlSocket'],
  status_file: ['text', 'statusFile'],
  log_level: ['text', 'logLevel'],
  proxy: ['text', 'proxy'],
  max_hold_ms: ['number', 'maxHoldMs'],
  lease_file: ['list', 'leaseFiles'],
  network_file: ['text', 'networkFile'],
  keepalive_ms: ['number', 'keepaliveMs'],
  receive_bytes: ['number', 'memory', 'receiveBytes'],
  replay_bytes: ['number', 'memory', 'replayBytes'],
};

/** Sections `config owner 'all'`, `'assistance'` and `'service'`. */
const purposePlaces: Readonly<Record<string, Place>> = {
  consent: ['text', 'consent'],
  hours: ['list', 'hours'],
  command: ['list', 'commands'],
  network: ['list', 'targets', 'networks'],
  tcp: ['list', 'targets', 'tcp'],
  udp: ['list', 'targets', 'udp'],
  port_address: ['list', 'ports', 'addresses'],
  port_tcp: ['list', 'ports', 'tcp'],
  port_udp: ['list', 'ports', 'udp'],
};

/** What only `config owner 'all'` may say besides. */
const ownerPlaces: Readonly<Record<string, Place>> = {
  ...purposePlaces,
  purpose: ['list', 'purposes'],
  lan: ['list', 'lan'],
  deny: ['list', 'deny'],
  hide: ['list', 'hide'],
};

/** The init script's business: the program is not even started without it. */
const enabledOption = 'enabled';

type Table = Record<string, unknown>;

function valued(kind: Kind, value: string | readonly string[]): unknown {
  if (kind === 'list') return typeof value === 'string' ? [value] : value;
  // What is no number stays text: the schema says what it should be.
  return kind === 'number' && typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
}

function put(table: Table, [key = '', ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) {
    table[key] = value;
    return;
  }
  const inner = (table[key] ?? {}) as Table;
  table[key] = inner;
  put(inner, rest, value);
}

function refuse(where: string, { type, name }: UciSection, reason: string): EntremiseError {
  const section = name === undefined ? `config ${type}` : `config ${type} '${name}'`;
  return new EntremiseError('bad-config', { message: `${where}: ${section}: ${reason}.` });
}

function tableOf(where: string, section: UciSection, places: Readonly<Record<string, Place>>): Table {
  const table: Table = {};
  for (const [option, value] of section.values) {
    const place = Object.hasOwn(places, option) ? places[option] : undefined;
    if (place === undefined) throw refuse(where, section, `${option} is not known here`);
    const [kind, ...path] = place;
    put(table, path, valued(kind, value));
  }
  return table;
}

/** A service that the gateway wants: `option name`, `list parameter 'NAME=VALUE'`. */
function serviceOf(where: string, section: UciSection): Table {
  const places: Readonly<Record<string, Place>> = { name: ['text', 'name'], parameter: ['list', 'pairs'] };
  const { pairs = [], ...table } = tableOf(where, section, places);
  const parameters = (pairs as readonly string[]).map(pair => {
    const at = pair.indexOf('=');
    if (at < 1) throw refuse(where, section, `parameter "${pair}" is not NAME=VALUE`);
    return [pair.slice(0, at), pair.slice(at + 1)] as const;
  });
  return parameters.length === 0 ? table : { ...table, parameters: Object.fromEntries(parameters) };
}

function withoutEnabled({ values, ...section }: UciSection): UciSection {
  return { ...section, values: new Map([...values].filter(([option]) => option !== enabledOption)) };
}

/**
 * The table of these sections, for the schema of mediator.toml.
 * @throws EntremiseError `bad-config`, naming section and option
 */
export function uciTable(sections: readonly UciSection[], where: string): Table {
  let main: Table = {};
  let owner: Table = {};
  const purposes: Table = {};
  const services: Table[] = [];
  for (const section of sections) {
    const { type, name } = section;
    if (type === 'mediator' && name === 'main') main = tableOf(where, withoutEnabled(section), mainPlaces);
    else if (type === 'owner' && name === 'all') owner = tableOf(where, section, ownerPlaces);
    else if (type === 'owner' && (name === 'assistance' || name === 'service'))
      purposes[name] = tableOf(where, section, purposePlaces);
    else if (type === 'service') services.push(serviceOf(where, section));
    else throw refuse(where, section, 'no such section is known');
  }
  return { ...main, services, owner: { ...owner, ...purposes } };
}
