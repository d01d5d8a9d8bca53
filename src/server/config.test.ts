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
    path: serverConfigPath(folder),
    stateDir: folder,
    authorityKey: key,
    listen: { host: '::', number: 8443 },
    auditFile: join(folder, 'audit.jsonl'),
    auditSyslog: undefined,
    logLevel: 'info',
    successor: undefined,
    api: false,
    creditBytes: 256 * 1024 * 1024,
    queuedBytes: 256 * 1024 * 1024,
    publish: [],
    services: [],
  });
});

test('everything can be said; an audit file is meant from the directory of the file that names it', t => {
  const text = `authorityKey = "${key}"
listen = "127.0.0.1:0"
auditFile = "logs/audit.jsonl"
auditSyslog = "[fd00::9]:514"
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
    auditSyslog: { server: { host: 'fd00::9', number: 514 } },
    successor: 'other.example:8443',
    logLevel: 'debug',
    creditBytes: 16 * 1024 * 1024,
    queuedBytes: 2 ** 40,
  });
});

test('plain UDP: what is published, and what devices are served, with bounds that have defaults (P7.6)', t => {
  const text = `${good}[[publish]]
mediator = "home-1"
on = "203.0.113.5:5353"
to = "192.168.1.10:53"
from = ["198.51.100.0/24", "2001:db8::1"]
[[service]]
name = "voip"
mediator = "home-1"
at = "lan:5060"
to = "198.51.100.9:5060"
peers = 9
newPeersPerSecond = 3
idleS = 600
`;
  const { publish, services } = readServerConfig(stateDir(t, text));
  t.like(publish[0], {
    on: { address: '203.0.113.5', number: 5353 },
    to: { host: '192.168.1.10', number: 53 },
    peers: 256,
    newPeersPerSecond: 32,
    protocol: 'udp',
  });
  t.deepEqual(
    publish[0]?.from.map(({ base, prefixLength }) => `${base.text}/${prefixLength}`),
    ['198.51.100.0/24', '2001:db8::1/128'],
  );
  t.like(services[0], { at: { address: 'lan', number: 5060 }, peers: 9, newPeersPerSecond: 3, idleS: 600 });
});

const published = `${good}[[publish]]\nmediator = "home-1"\non = "203.0.113.5:53"\nto = "192.168.1.10:53"\n`;

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
  [published, /publish\[0\]\.from is missing/],
  [`${published}from = []`, /publish\[0\]\.from must be a list of 1 to 64/],
  [`${published}from = ["10.0.0.1/8"]`, /publish\[0\]\.from\[0\] is wrong: .*bits set behind its prefix/],
  [`${published}from = ["10.0.0.0/8"]\nidleS = 119`, /idleS must be a whole number from 120 to 86400/],
  [`${published}from = ["10.0.0.0/8"]\npeers = 0`, /peers must be a whole number from 1 to 65535/],
  [
    `${published.replace('192.168.1.10', 'nas.lan')}from = ["10.0.0.0/8"]`,
    /publish\[0\] must have an address in "to"/,
  ],
  [
    `${published}from = ["10.0.0.0/8"]\n${published.slice(good.length)}from = ["10.0.0.0/8"]`,
    /publish\[1\] has the number of one before/,
  ],
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
