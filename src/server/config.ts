import { dirname, join, resolve } from 'node:path';
import * as v from 'valibot';
import { EntremiseError } from '../base/errors.ts';
import { readStateFile } from '../base/state-file.ts';
import { parseToml } from '../base/toml.ts';
import { closedObject, firstIssue, key32, listOf, oneOf, parsedText, wholeNumber } from '../policy/schema.ts';
import { parseServerAddress, type ServerAddress, serverAddressText } from '../policy/server-address.ts';
import type { DeclaredInFile } from './declared/declarations.ts';
import { publicationSchema } from './declared/publication.ts';
import { standingServiceSchema } from './declared/standing-service.ts';
import type { SyslogTarget } from './syslog.ts';

/**
 * server.toml. `entremise server init` writes one into the state directory:
 *
 *   authorityKey = "..."               the authority whose documents count
 *   listen = "[::]:8443"               the one service port; [::] takes IPv4 too; 0 is any free number, for tests
 *   auditFile = "/var/log/..."         default: audit.jsonl in the state directory; from this file's directory on
 *   auditSyslog = "/dev/log"            where heads of the audit go too: a socket, or host:port by UDP; default: nowhere
 *   logLevel = "info"
 *   successor = "other.example:8443"     where members go when this server is stopped; default: they wait for it
 *   [[publish]], [[service]]           published ports and standing services: declared/
 *   [api]
 *   enabled = true                     HTTP on the service port (docs/operations.md)
 *   [limits]
 *   creditMiB = 256                    what all labels together may have in flight towards the server
 *   queuedMiB = 256
 */
export interface ServerConfig extends DeclaredInFile {
  /** The file that it was read from. */
  readonly path: string;
  readonly stateDir: string;
  readonly authorityKey: string;
  readonly listen: ServerAddress;
  readonly auditFile: string;
  readonly auditSyslog: SyslogTarget | undefined;
  readonly logLevel: string;
  readonly successor: string | undefined;
  /** HTTP on the service port. */
  readonly api: boolean;
  readonly creditBytes: number;
  readonly queuedBytes: number;
}

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
const mebibytes = v.pipe(
  wholeNumber(16, 1024 * 1024),
  v.transform(count => count * 1024 * 1024),
);

/** As a server's address, but the number may be 0. */
function parseListen(text: string): ServerAddress {
  const anyNumber = text.endsWith(':0');
  const { host, number } = parseServerAddress(anyNumber ? text.replace(/0$/, '1') : text);
  return { host, number: anyNumber ? 0 : number };
}

/** A path, or a server. */
function parseSyslog(text: string): SyslogTarget {
  return text.startsWith('/') ? { socket: text } : { server: parseServerAddress(text) };
}

const schema = closedObject({
  authorityKey: key32,
  listen: parsedText(parseListen),
  auditFile: v.optional(v.pipe(v.string('must be text'), v.minLength(1, 'must be a path'))),
  auditSyslog: v.optional(parsedText(parseSyslog)),
  logLevel: v.optional(oneOf(logLevels), 'info'),
  successor: v.optional(parsedText(parseServerAddress)),
  api: v.optional(closedObject({ enabled: v.optional(v.boolean('must be true or false'), true) })),
  limits: v.optional(closedObject({ creditMiB: v.optional(mebibytes), queuedMiB: v.optional(mebibytes) })),
  publish: v.optional(listOf(publicationSchema, 0, 1024), []),
  service: v.optional(listOf(standingServiceSchema, 0, 1024), []),
});

const defaultBudgetBytes = 256 * 1024 * 1024;

/** Where a state directory has its configuration, unless another file is named. */
export function serverConfigPath(stateDir: string): string {
  return join(stateDir, 'server.toml');
}

/** @throws EntremiseError `bad-config` when two tables stand for the same */
function checkDistinct(path: string, table: string, ids: readonly string[]): void {
  const twice = ids.findIndex((id, index) => ids.indexOf(id) !== index);
  if (twice === -1) return;
  const what = table === 'publish' ? 'number' : 'name';
  throw new EntremiseError('bad-config', {
    message: `${path}: ${table}[${twice}] has the ${what} of one before.`,
  });
}

/**
 * Reads server.toml.
 * @throws EntremiseError `bad-config`, naming file and key, and what is allowed there; `state-unreadable`
 */
export function readServerConfig(stateDir: string, path = serverConfigPath(stateDir)): ServerConfig {
  const table = parseToml(readStateFile(path).toString('utf8'), `${path} is not TOML`);
  const parsed = v.safeParse(schema, table, { abortEarly: true });
  if (!parsed.success)
    throw new EntremiseError('bad-config', { message: `${path}: ${firstIssue(parsed.issues)}.` });
  const { authorityKey, listen, auditFile, auditSyslog, logLevel, successor, api, limits, publish, service } =
    parsed.output;
  checkDistinct(
    path,
    'publish',
    publish.map(({ id }) => id),
  );
  checkDistinct(
    path,
    'service',
    service.map(({ name }) => name),
  );
  return {
    path,
    stateDir,
    authorityKey,
    listen,
    auditFile: auditFile === undefined ? join(stateDir, 'audit.jsonl') : resolve(dirname(path), auditFile),
    auditSyslog,
    logLevel,
    successor: successor && serverAddressText(successor),
    api: api?.enabled ?? false,
    creditBytes: limits?.creditMiB ?? defaultBudgetBytes,
    queuedBytes: limits?.queuedMiB ?? defaultBudgetBytes,
    publish,
    services: service,
  };
}
