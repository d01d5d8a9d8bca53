import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import test from 'ava';
import { userUnit } from './user-unit.ts';

test('a unit starts the same program with the same file, and quotes what systemd would read otherwise', t => {
  const unit = userUnit({
    file: '/home/anna/my files/100%.toml',
    program: ['/usr/bin/node', '/opt/entremise.mjs', '--profile', 'work'],
    environment: { XDG_CONFIG_HOME: '/home/anna/$config' },
  });
  t.true(
    unit.includes(
      '\nExecStart=/usr/bin/node /opt/entremise.mjs --profile work up "/home/anna/my files/100%%.toml"\n',
    ),
  );
  t.true(unit.includes('\nEnvironment=XDG_CONFIG_HOME=/home/anna/$$config\n'));
});

const analyze = '/usr/bin/systemd-analyze';

(existsSync(analyze) ? test : test.skip)('systemd takes the unit', t => {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-unit-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'entremise-office.service');
  const environment = { XDG_CONFIG_HOME: folder };
  writeFileSync(path, userUnit({ file: '/tmp/office 1.toml', program: [process.execPath], environment }));
  const { status, stderr } = spawnSync(analyze, ['verify', '--man=no', path], {
    encoding: 'utf8',
    env: { ...process.env, XDG_RUNTIME_DIR: folder },
  });
  t.is(stderr.replace(/^.*Failed to .*bus.*\n/gm, ''), '');
  t.is(status, 0);
});
