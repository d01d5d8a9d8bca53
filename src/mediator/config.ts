import { join } from 'node:path';
import * as v from 'valibot';
import { EntremiseError } from '../base/errors.ts';
import { parseToml } from '../base/toml.ts';
import { defaultOwnerPolicy, type OwnerPolicy, parseOwnerPolicy } from '../policy/owner-policy.ts';
import { closedObject, firstIssue, listOf, oneOf, parsedText, wholeNumber } from '../policy/schema.ts';
import { parseServerAddress, type ServerAddress } from '../policy/server-address.ts';
import { defaultRekeyPackets } from '../session/member-channel-options.ts';
import { type HttpProxy, parseProxy } from '../transport/proxy.ts';
import type { WantedService } from '../wire/messages/report.ts';
import { commonLeaseFiles } from './devices/leases.ts';

/**
 * mediator.toml. Everything has a default but the state directory, so a file may be as short as one line:
 *
 *   stateDir = "/etc/entremise/mediator"       member key, membership; made by `enroll`
 *   servers = ["server.example:8443"]          instead of those that the operator's documents name
 *   auditFile = "/var/log/entremise.jsonl"     default: audit.jsonl in stateDir
 *   logLevel = "info"
 *   auditMaxBytes = 1048576                    then it becomes FILE.1 and begins anew; default: no bound
 *   controlSocket = "/run/entremise.sock"      default: control.sock in stateDir
 *   statusFile = "/run/entremise.json"         the status besides, 2 s old at most; default: none
 *   proxy = "http://name:password@proxy.example:3128"   the HTTP proxy that the network forces; default: ENTREMISE_PROXY
 *   maxHoldMs = 900000                         the longest that a terminal that is gone is waited for; 0: not at all
 *   leaseFiles = ["/tmp/dhcp.leases"]          where DHCP servers keep leases, instead of the usual places
 *   networkFile = "/run/network.json"          what netifd says of its networks; default: none
 *   keepaliveMs = 240000                       how long the link may be silent, until losses shorten it
 *   ladderUnitMs = 1000                        what a second is to the learner of keepalives; shorter in tests only
 *   rekeyPackets = 268435456                   packets under one key of a UDP channel (P7.3); fewer in tests only
 *   [memory]                                   bytes of all streams together
 *   receiveBytes = 8388608
 *   replayBytes = 6291456
 *   [[services]]                               services that this gateway wants to use
 *   name = "voip"
 *   parameters = { account = "x" }
 *   [owner]                                    what the gateway's owner allows (docs/security.md)
 *   lan = ["br-lan"]
 */
export interface MediatorConfig {
  readonly stateDir: string;
  readonly servers: readonly ServerAddress[];
  readonly auditFile: string;
  /** Of the audit file, and of the one before it that is kept. */
  readonly auditMaxBytes: number | undefined;
  /** Where the gateway's owner is answered: a unix socket. */
  readonly controlSocket: string;
  /** Where the status stands besides, for who has no time to ask; nowhere when undefined. */
  readonly statusFile: string | undefined;
  readonly logLevel: string;
  readonly proxy: HttpProxy | undefined;
  /** The answer of `ubus call network.interface dump`, kept by whoever may ask; nowhere when undefined. */
  readonly networkFile: string | undefined;
  /** Of dnsmasq and odhcpd. */
  readonly leaseFiles: readonly string[];
  readonly keepaliveMs: number | undefined;
  /** The longest hold that a terminal may have (P4.6). */
  readonly maxHoldMs: number;
  readonly ladderUnitMs: number;
  readonly rekeyPackets: number;
  readonly receiveBudgetBytes: number;
  readonly replayBudgetBytes: number;
  readonly services: readonly WantedService[];
  readonly owner: OwnerPolicy;
}

const mebibyte = 1024 * 1024;

const minuteMs = 60_000;

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

function textUpTo(maxBytes: number) {
  const message = `must be text of 1 to ${maxBytes} bytes`;
  return v.pipe(
    v.string(message),
    v.check(text => text !== '' && Buffer.byteLength(text) <= maxBytes, message),
  );
}

const parameters = v.pipe(
  v.record(textUpTo(64), textUpTo(1024), 'must be a table of texts'),
  v.check(table => Object.keys(table).length <= 32, 'must have at most 32 entries'),
  v.transform(table => Object.entries(table).map(([name, value]) => ({ name, value }))),
);

const filePath = v.pipe(v.string('must be text'), v.minLength(1, 'must be a path'));

/** The kernel's bound: sun_path of unix(7). */
const maxSocketPathBytes = 107;

const socketPath = v.pipe(
  filePath,
  v.check(
    path => Buffer.byteLength(path) <= maxSocketPathBytes,
    `must be a path of at most ${maxSocketPathBytes} bytes`,
  ),
);

/** Both defaults give room to a thousand streams at once, by the first windows of P3.3. */
const memorySchema = closedObject({
  receiveBytes: v.optional(wholeNumber(mebibyte / 4, 1024 * mebibyte), 8 * mebibyte),
  replayBytes: v.optional(wholeNumber(mebibyte / 4, 1024 * mebibyte), 6 * mebibyte),
});

const configSchema = closedObject({
  stateDir: filePath,
  servers: v.optional(listOf(parsedText(parseServerAddress), 0, 16), []),
  auditFile: v.optional(filePath),
  auditMaxBytes: v.optional(wholeNumber(64 * 1024, 1024 * mebibyte)),
  controlSocket: v.optional(socketPath),
  statusFile: v.optional(filePath),
  logLevel: v.optional(oneOf(logLevels), 'info'),
  proxy: v.optional(parsedText(parseProxy)),
  leaseFiles: v.optional(listOf(filePath, 0, 16), [...commonLeaseFiles]),
  networkFile: v.optional(filePath),
  keepaliveMs: v.optional(wholeNumber(5000, 240_000)),
  maxHoldMs: v.optional(wholeNumber(0, 24 * 60 * minuteMs), 15 * minuteMs),
  ladderUnitMs: v.optional(wholeNumber(10, 1000), 1000),
  rekeyPackets: v.optional(wholeNumber(100, defaultRekeyPackets), defaultRekeyPackets),
  memory: v.optional(memorySchema, {}),
  services: v.optional(
    listOf(closedObject({ name: textUpTo(64), parameters: v.optional(parameters, {}) }), 0, 32),
    [],
  ),
  owner: v.optional(v.unknown()),
});

/**
 * Reads the text of a mediator.toml; `where` names it in errors.
 * @throws EntremiseError `bad-config`, naming file, key and what is allowed there
 */
export function parseMediatorConfig(text: string, where: string): MediatorConfig {
  return mediatorConfigOf(parseToml(text, where), where);
}

/**
 * A mediator's configuration of a table with the keys of mediator.toml, whatever it was written as.
 * @throws EntremiseError `bad-config`, as {@link parseMediatorConfig}
 */
export function mediatorConfigOf(table: unknown, where: string): MediatorConfig {
  const parsed = v.safeParse(configSchema, table, { abortEarly: true });
  if (!parsed.success)
    throw new EntremiseError('bad-config', { message: `${where}: ${firstIssue(parsed.issues)}.` });
  const {
    stateDir,
    servers,
    auditFile,
    auditMaxBytes,
    controlSocket,
    statusFile,
    logLevel,
    proxy,
    leaseFiles,
    networkFile,
    keepaliveMs,
    maxHoldMs,
    ladderUnitMs,
    rekeyPackets,
    memory,
    services,
    owner,
  } = parsed.output;
  return {
    stateDir,
    servers,
    auditFile: auditFile ?? join(stateDir, 'audit.jsonl'),
    auditMaxBytes,
    controlSocket: controlSocket ?? join(stateDir, 'control.sock'),
    statusFile,
    logLevel,
    proxy,
    leaseFiles,
    networkFile,
    keepaliveMs,
    maxHoldMs,
    ladderUnitMs,
    rekeyPackets,
    receiveBudgetBytes: memory.receiveBytes,
    replayBudgetBytes: memory.replayBytes,
    services,
    owner: owner === undefined ? defaultOwnerPolicy : parseOwnerPolicy(owner, where),
  };
}
