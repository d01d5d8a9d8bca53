import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import test from 'ava';
import { serverUnit } from './server-unit.ts';

const options = {
  program: ['/usr/bin/node', '/opt/entremise.mjs'],
  stateDir: '/var/lib/entremise',
  user: 'entremise',
};

test('a unit runs the server as its own user, who can write to its state and nowhere else', t => {
  const unit = serverUnit({ ...options, number: 8443 });
  t.true(
    unit.includes('\nExecStart=/usr/bin/node /opt/entremise.mjs server run --state /var/lib/entremise\n'),
  );
  for (const line of [
    'User=entremise',
    'ReadWritePaths=/var/lib/entremise',
    'ProtectSystem=strict',
    'NoNewPrivileges=yes',
  ])
    t.true(unit.includes(`\n${line}\n`), line);
  t.true(unit.includes('\nCapabilityBoundingSet=\n'));
});

test('a number below 1024 brings the one capability that it needs', t => {
  t.true(serverUnit({ ...options, number: 443 }).includes('\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n'));
});

const analyze = '/usr/bin/systemd-analyze';

(existsSync(analyze) ? test : test.skip)('systemd takes the unit', t => {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-unit-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'entremise-server.service');
  writeFileSync(path, serverUnit({ ...options, program: [process.execPath], user: 'root', number: 443 }));
  const { status, stderr } = spawnSync(analyze, ['verify', '--man=no', path], { encoding: 'utf8' });
  t.is(stderr.replace(/^.*Failed to .*bus.*\n/gm, ''), '');
  t.is(status, 0);
});

(existsSync(analyze) ? test : test.skip)(
  'systemd counts the unit as hardened, with the capability for a number below 1024 too',
  t => {
    const folder = mkdtempSync(join(tmpdir(), 'entremise-unit-'));
    t.teardown(() => rmSync(folder, { recursive: true }));
    for (const number of [8443, 443]) {
      const path = join(folder, `entremise-${number}.service`);
      writeFileSync(path, serverUnit({ ...options, number }));
      // 0 is none, 10 is all of what a service can be exposed to; the threshold is ten times that. It was 1.5.
      const words = ['security', '--offline=true', '--no-pager', '--threshold=20', path];
      const { status, stdout, stderr } = spawnSync(analyze, words, { encoding: 'utf8' });
      t.is(status, 0, `${stdout.split('\n').at(-2)} ${stderr}`);
      t.regex(stdout, /Overall exposure level .*: [01]\.\d/);
    }
  },
);
