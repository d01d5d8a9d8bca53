import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { generateSigningKey } from '../base/keys.ts';
import { readServerConfig, serverConfigPath } from './config.ts';

const key = generateSigningKey().text;
const good = `authorityKey = "${key}"\nlisten = "[::]:8443"\n`;

function stateDir(t: ExecutionContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-config-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(serverConfigPath(folder), text);
  return folder;
}

test('two lines are enough; everything else has a default', t => {
  const folder = stateDir(t, good);
  t.deepEqual(readServerConfig(folder), {
    stateDir: folder,
    authorityKey: key,
    listen: { host: '::', number: 8443 },
    auditFile: join(folder, 'audit.jsonl'),
    logLevel: 'info',
    successor: undefined,
    creditBytes: 256 * 1024 * 1024,
    queuedBytes: 256 * 1024 * 1024,
  });
});

test('everything can be said; an audit file is meant from the directory of the file that names it', t => {
  const text = `authorityKey = "${key}"
listen = "127.0.0.1:0"
auditFile = "logs/audit.jsonl"
logLevel = "debug"
successor = "other.example:8443"
[limits]
creditMiB = 16
queuedMiB = 1048576
`;
  const folder = stateDir(t, '');
  const elsewhere = join(folder, 'elsewhere');
  mkdirSync(elsewhere);
  writeFileSync(join(elsewhere, 'my.toml'), text);
  t.like(readServerConfig(folder, join(elsewhere, 'my.toml')), {
    stateDir: folder,
    listen: { host: '127.0.0.1', number: 0 },
    auditFile: join(elsewhere, 'logs/audit.jsonl'),
    successor: 'other.example:8443',
    logLevel: 'debug',
    creditBytes: 16 * 1024 * 1024,
    queuedBytes: 2 ** 40,
  });
});

const wrong: readonly (readonly [string, RegExp])[] = [
  ['', /server\.toml: authorityKey is missing/],
  [`authorityKey = "${key}"`, /listen is missing/],
  ['authorityKey = "abc"\nlisten = "[::]:8443"', /authorityKey must be 32 bytes in base64url, 43 characters/],
  [`authorityKey = 5\nlisten = "[::]:8443"`, /authorityKey must be text/],
  [`authorityKey = "${key}"\nlisten = "nowhere"`, /listen is wrong: .*server\.example:8443/],
  [`authorityKey = "${key}"\nlisten = "[::]:65536"`, /listen is wrong/],
  [`authorityKey = "${key}"\nlisten = ":0"`, /listen is wrong/],
  [`authorityKey = "${key}"\nlisten = 8443`, /listen must be text/],
  [`${good}logLevel = "loud"`, /logLevel must be one of: trace, debug, info, warn, error, fatal, silent/],
  [`${good}auditFile = ""`, /auditFile must be a path/],
  [`${good}auditfile = "x"`, /auditfile is not known here/],
  [`${good}limits = 5`, /limits must be a table/],
  [`${good}[limits]\ncreditMiB = 1`, /limits\.creditMiB must be a whole number from 16 to 1048576/],
  [`${good}[limits]\nqueuedMiB = 16.5`, /limits\.queuedMiB must be a whole number/],
  [`${good}[limits]\nqueuedMiB = "64"`, /limits\.queuedMiB must be a whole number/],
  [`${good}[limits]\nother = 1`, /limits\.other is not known here/],
  [`${good}listen = "[::]:1"`, /not TOML: line 3, column \d+: .*redefine/],
  ['authorityKey = ', /not TOML: line 1/],
  ['\u0000\u0001\u0002', /not TOML: line 1/],
];

test('what is wrong is refused with file, key and what is allowed', t => {
  for (const [text, message] of wrong) {
    const folder = stateDir(t, text);
    const error = t.throws(() => readServerConfig(folder), { code: 'bad-config', message }, text);
    t.true(error?.message.startsWith(serverConfigPath(folder)), text);
  }
});

test('a file that is not there is named', t => {
  const path = '/nowhere/server.toml';
  t.throws(() => readServerConfig('/nowhere'), { code: 'state-unreadable', message: new RegExp(path) });
});
