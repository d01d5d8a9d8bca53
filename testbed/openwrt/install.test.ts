import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { parseNetifd } from '../../src/mediator/environment/netifd.ts';
import { checkout, folderOfFile, makePackages } from './packages.ts';
import { noRouterBecause, Router } from './router.ts';

/** What the package does to a router (stand-in/README.md says how much of one), and what it declares to procd. */

const { version } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as { version: string };

const service = '32768:32768';

/** Made once. */
let made: string | undefined;
const folder = folderOfFile();
function thePackage(): string {
  made ??= makePackages(folder, ['--arch', 'x86_64']).packages[0]?.ipk ?? '';
  return made;
}

const enabled = "config mediator 'main'\n\toption enabled '1'\n";

/** Values of procd_set_param by name. */
function paramsOf(notes: readonly (readonly string[])[]): Map<string, readonly string[]> {
  return new Map(
    notes.flatMap(([call, name = '', ...words]) => (call === 'procd_set_param' ? [[name, words]] : [])),
  );
}

const wordsOf = (notes: readonly (readonly string[])[], call: string) =>
  notes.flatMap(([name, ...words]) => (name === call ? [words] : []));

test('a router gets the package, has it run, upgrades it and is rid of it', async t => {
  const reason = noRouterBecause(t);
  if (reason !== undefined) return void t.pass(reason);
  const ipk = thePackage();
  const router = new Router(t);
  const before = router.everything();
  const shadow = router.read('etc/shadow');

  router.install(ipk);
  t.is(router.sh('entremise-mediator --version'), `${version}\n`);
  const feedTest = readFileSync(join(checkout, 'openwrt/entremise-mediator/test.sh'), 'utf8');
  router.write('tmp/test.sh', feedTest);
  router.sh(`sh -e /tmp/test.sh entremise-mediator ${version} && rm /tmp/test.sh`);
  t.is(router.ownership('etc/config/entremise'), '600 0:0');
  t.is(router.ownership('etc/entremise/mediator'), `700 ${service}`);
  t.false(router.everything().includes('/etc/uci-defaults/90-entremise'), 'done once, it is gone');
  t.true(router.everything().includes('/etc/rc.d/S95entremise'));
  const installed = router.notes();
  t.deepEqual(wordsOf(installed, 'reload_config'), [[]], 'primed, or it would miss the first change');
  t.deepEqual(wordsOf(installed, 'procd_open_instance'), [], 'nothing runs before the owner says so');
  t.deepEqual(wordsOf(installed, 'procd_add_reload_trigger'), [['entremise']]);
  t.deepEqual(wordsOf(installed, 'procd_add_raw_trigger'), [
    ['interface.*', '1000', '/etc/init.d/entremise', 'look'],
  ]);

  // The well-formed code of another server: enough to have a key made.
  const code = 'MPJTB9-D5MPJT-B9D5MP-JTB9D5-MPYTB5-K4NFY3-1T2CCC-D42KQR-64FDS8';
  t.throws(() => router.sh(`ENTREMISE_CODE=${code} entremise-mediator enroll --server 127.0.0.1:1`));
  t.is(
    router.ownership('etc/entremise/mediator/member.key'),
    `600 ${service}`,
    'root enrols for the service',
  );
  const key = router.read('etc/entremise/mediator/member.key');

  const plugin = '/usr/libexec/rpcd/entremise';
  const methods = JSON.parse(router.sh(`${plugin} list`)) as object;
  t.deepEqual(Object.keys(methods), ['status', 'allow', 'revoke']);
  const answers = ['status', 'allow', 'revoke'].map(method =>
    router.sh(`echo '{"minutes": 30, "purpose": "service"}' | ${plugin} call ${method}`),
  );
  for (const answer of answers) t.regex(answer, /^\{"error":\{"code":"environment-unfit"/, 'none runs');
  router.sh('mkdir -p /var/run/entremise');
  router.write('var/run/entremise/status.json', '{"name":"gateway"}\n');
  t.is(router.sh(`echo '{}' | ${plugin} call status`), '{"name":"gateway"}\n', 'no client is started for it');
  router.sh('touch -d 2020-01-01 /var/run/entremise/status.json');
  t.regex(
    router.sh(`echo '{}' | ${plugin} call status`),
    /"code":"environment-unfit"/,
    'who was killed is found out',
  );
  const wrong = router.sh(`echo '{"minutes": 0}' | ${plugin} call allow`);
  t.regex(wrong, /"code":"bad-usage".*1 to 1440/);
  t.deepEqual(wordsOf(router.notes(), 'procd_send_signal'), [['entremise', '*', 'USR2']]);

  router.write('etc/config/entremise', enabled);
  router.sh('/etc/init.d/entremise reload');
  t.deepEqual(wordsOf(router.notes(), 'procd_open_instance'), [['mediator']]);
  router.upgrade(ipk);
  const upgraded = router.notes();
  t.deepEqual(wordsOf(upgraded, 'procd_kill'), [['entremise']]);
  t.deepEqual(wordsOf(upgraded, 'procd_open_instance'), [['mediator']]);
  t.is(router.read('etc/config/entremise'), enabled);
  t.is(router.read('etc/entremise/mediator/member.key'), key);

  router.remove();
  t.deepEqual(wordsOf(router.notes(), 'procd_kill'), [['entremise']]);
  // Folders are the base system's.
  const left = router.everything().filter(path => !before.includes(path));
  t.deepEqual(left, [
    '/etc/capabilities',
    '/etc/init.d',
    '/etc/rc.d',
    '/etc/uci-defaults',
    '/lib/upgrade',
    '/lib/upgrade/keep.d',
    '/usr/lib/entremise',
    '/usr/libexec',
    '/usr/libexec/rpcd',
  ]);
  t.is(router.read('etc/shadow'), shadow);
  t.notRegex(router.read('etc/passwd') + router.read('etc/group'), /entremise/);
});

test('what procd is told: own user, two capabilities in a jail, for ever, and a signal for a new configuration', t => {
  const reason = noRouterBecause(t);
  if (reason !== undefined) return void t.pass(reason);
  const router = new Router(t);
  router.install(thePackage());
  router.write('etc/config/entremise', enabled);
  router.notes();
  router.sh('/etc/init.d/entremise start');
  const declared = router.notes();
  const params = paramsOf(declared);
  const shipped = ['--max-semi-space-size=1', '--max-old-space-size=64', '--expose-gc'];
  t.deepEqual(params.get('command'), [
    '/usr/bin/node',
    ...shipped,
    '/usr/lib/entremise/entremise-mediator.mjs',
    'run',
    '--config',
    '/var/run/entremise/config.uci',
    '--state',
    '/etc/entremise/mediator',
  ]);
  t.true(router.read('usr/bin/entremise-mediator').includes(`/usr/bin/node ${shipped.join(' ')} `));
  t.deepEqual(params.get('user'), ['entremise']);
  t.deepEqual(params.get('group'), ['entremise']);
  t.deepEqual(params.get('no_new_privs'), ['1']);
  t.deepEqual(params.get('respawn'), ['3600', '10', '0']);
  t.deepEqual(params.get('reload_signal'), ['HUP']);
  t.deepEqual(params.get('file'), ['/var/run/entremise/config.uci']);
  t.deepEqual(params.get('limits'), ['core=0 0', 'nofile=4096 4096']);
  const [file = ''] = params.get('capabilities') ?? [];
  const sets = JSON.parse(router.read(file)) as Record<string, string[]>;
  t.deepEqual(Object.keys(sets).sort(), ['ambient', 'bounding', 'effective', 'inheritable', 'permitted']);
  for (const set of Object.values(sets)) t.deepEqual(set, ['CAP_NET_BIND_SERVICE', 'CAP_NET_RAW']);
  t.deepEqual(wordsOf(declared, 'procd_add_jail'), [['entremise', 'log', 'procfs', 'sysfs']]);
  t.deepEqual(wordsOf(declared, 'procd_add_jail_mount_rw'), [
    ['/etc/entremise/mediator', '/var/run/entremise'],
  ]);
  t.true(wordsOf(declared, 'procd_add_jail_mount').flat().includes('/usr/lib/entremise'));
  t.is(router.ownership('var/run/entremise'), `750 ${service}`);
  t.is(router.ownership('var/run/entremise/config.uci'), `640 ${service}`);
  t.is(router.read('var/run/entremise/config.uci'), enabled);
  t.regex(
    wordsOf(declared, 'logger').flat().join(' '),
    /no ujail here: the mediator runs without any capability/,
  );
  mkdirSync(join(router.root, 'sbin'), { recursive: true });
  writeFileSync(join(router.root, 'sbin/ujail'), '', { mode: 0o755 });
  router.sh('/etc/init.d/entremise start');
  t.deepEqual(wordsOf(router.notes(), 'logger'), []);
  const networks = router.read('var/run/entremise/network.json');
  t.deepEqual(
    parseNetifd(networks)?.map(({ name, outside }) => [name, outside]),
    [
      ['lan', false],
      ['wan', true],
      ['wan6', true],
      ['wwan', true],
    ],
  );
  t.is(router.ownership('var/run/entremise/network.json'), `640 ${service}`);
  router.write('usr/share/stand-in/network.json', networks.replace('"wwan"', '"lte"'));
  router.sh('/etc/init.d/entremise look');
  t.deepEqual(wordsOf(router.notes(), 'procd_send_signal'), [['entremise', '*', 'HUP']]);
  t.regex(router.read('var/run/entremise/network.json'), /"lte"/, 'what netifd says now, before the signal');
  router.sh('rm /usr/share/stand-in/network.json && /etc/init.d/entremise look');
  t.regex(
    router.read('var/run/entremise/network.json'),
    /"lte"/,
    'netifd that does not answer takes nothing away',
  );
});

test('whatever is wrong in the configuration, the tunnel is not taken down; only `enabled` does that', t => {
  const reason = noRouterBecause(t);
  if (reason !== undefined) return void t.pass(reason);
  const router = new Router(t);
  router.install(thePackage());
  const instancesWith = (text: string) => {
    router.write('etc/config/entremise', text);
    router.notes();
    router.sh('/etc/init.d/entremise reload');
    return wordsOf(router.notes(), 'procd_open_instance').length;
  };
  for (const said of ["'1'", '1', "'on'"])
    t.is(instancesWith(`config mediator 'main'\n\toption enabled ${said}\n`), 1);
  t.is(instancesWith(`${enabled}\toption log_level 'loud'\n`), 1);
  const torn = `${enabled}\toption log_level 'loud\n`;
  t.is(instancesWith(torn), 1);
  t.is(router.read('var/run/entremise/config.uci'), torn, 'the program says what is wrong with it');
  for (const said of ["'0'", "'off'", "'perhaps'"])
    t.is(instancesWith(`config mediator 'main'\n\toption enabled ${said}\n`), 0);
  t.is(instancesWith(''), 0);
});

test('after a sysupgrade the key that was restored belongs to the service again, whatever its number is now', t => {
  const reason = noRouterBecause(t);
  if (reason !== undefined) return void t.pass(reason);
  const router = new Router(t);
  router.install(thePackage());
  t.is(router.read('lib/upgrade/keep.d/entremise-mediator'), '/etc/entremise/\n');
  router.write('etc/entremise/mediator/member.key', 'a key');
  router.sh('chown -R 1234:1234 /etc/entremise');
  router.write('etc/config/entremise', enabled);
  router.sh('/etc/init.d/entremise start');
  t.is(router.ownership('etc/entremise/mediator/member.key').split(' ')[1], service);
});
