import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { checkout, folderOf, folderOfFile, makePackages, membersOf, openIpk } from './packages.ts';

/** What stands in the packages; what they do when installed is told by install.test.ts. */

const { version } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as { version: string };
const arch = 'aarch64_cortex-a53';

/** Two runs with the same words, the second on a machine that has apk-tools 3, which only notes how it is called. */
const runs = folderOfFile();
const tools = join(runs, 'tools');
mkdirSync(tools);
writeFileSync(
  join(tools, 'apk'),
  `#!/bin/sh
[ "$1" = --version ] && { echo "apk-tools 3.0.5, compiled for x86_64."; exit; }
printf '%s\\n' "$@" >> ${join(tools, 'words')}
`,
  { mode: 0o755 },
);
const words = ['--arch', arch, '--source'];
const first = makePackages(join(runs, 'first'), words, 'native', { PATH: '/usr/bin:/bin' });
const second = makePackages(join(runs, 'second'), words, 'native', { PATH: `${tools}:${process.env.PATH}` });
const [made] = first.packages;

test('one tree becomes an .ipk as opkg reads it: GNU tar, all of it root’s, nothing that was not meant', t => {
  const folder = folderOf(t);
  t.true(made?.ipk.endsWith(`/entremise-mediator_${version}-r1_${arch}.ipk`));
  const { data, control } = openIpk(made?.ipk ?? '', folder);
  t.deepEqual(membersOf(made?.ipk ?? ''), {
    members: [
      '-rw-r--r-- 0/0 ./debian-binary',
      '-rw-r--r-- 0/0 ./data.tar.gz',
      '-rw-r--r-- 0/0 ./control.tar.gz',
    ],
    magic: new Set(['ustar  \0']),
  });
  t.is(readFileSync(join(folder, 'outer/debian-binary'), 'utf8'), '2.0\n');
  const inside = membersOf(join(folder, 'outer/data.tar.gz'));
  t.deepEqual(inside.magic, new Set(['ustar  \0']));
  t.deepEqual(
    inside.members.filter(member => !member.startsWith('drwxr-xr-x 0/0 ')),
    [
      '-rw-r--r-- 0/0 ./etc/capabilities/entremise.json',
      '-rw------- 0/0 ./etc/config/entremise',
      '-rwxr-xr-x 0/0 ./etc/init.d/entremise',
      '-rwxr-xr-x 0/0 ./etc/uci-defaults/90-entremise',
      '-rw-r--r-- 0/0 ./lib/upgrade/keep.d/entremise-mediator',
      '-rwxr-xr-x 0/0 ./usr/bin/entremise-mediator',
      '-rw-r--r-- 0/0 ./usr/lib/entremise/LICENSES',
      '-rw-r--r-- 0/0 ./usr/lib/entremise/entremise-mediator.mjs',
      '-rwxr-xr-x 0/0 ./usr/lib/entremise/entremise.node',
      '-rwxr-xr-x 0/0 ./usr/libexec/rpcd/entremise',
    ],
  );
  t.deepEqual(readdirSync(control).sort(), [
    'conffiles',
    'control',
    'postinst',
    'postinst-pkg',
    'postrm',
    'prerm',
  ]);
  t.is(readFileSync(join(control, 'conffiles'), 'utf8'), '/etc/config/entremise\n');
  t.is(readFileSync(join(data, 'lib/upgrade/keep.d/entremise-mediator'), 'utf8'), '/etc/entremise/\n');
  const fields = readFileSync(join(control, 'control'), 'utf8');
  for (const line of [
    'Package: entremise-mediator',
    `Version: ${version}-r1`,
    `Architecture: ${arch}`,
    'Depends: libc, node',
    'Require-User: entremise:entremise',
    'License: Apache-2.0',
  ])
    t.true(fields.split('\n').includes(line), line);
  t.regex(fields, /^Description: .+\n( .+\n)+$/m);
  const licenses = readFileSync(join(data, 'usr/lib/entremise/LICENSES'), 'utf8');
  for (const name of ['entremise', 'pino', 'valibot', 'node-addon-api'])
    t.true(licenses.includes(`\n${name}`) || licenses.startsWith(name), name);
});

test('the same input makes the same bytes', t => {
  const [one, other] = [join(runs, 'first'), join(runs, 'second')];
  const same = spawnSync('diff', ['--recursive', '--brief', one, other], { encoding: 'utf8' });
  t.is(same.stdout, '');
  t.deepEqual(readdirSync(one).sort(), [
    `apk-${arch}`,
    'apk-all',
    `entremise-mediator-${version}.tar.gz`,
    `entremise-mediator_${version}-r1_${arch}.ipk`,
    `luci-app-entremise_${version}-r1_all.ipk`,
  ]);
});

test('what the router has installed is the program: its version within 10 s, and a good configuration', t => {
  const folder = folderOf(t);
  const { data } = openIpk(made?.ipk ?? '', folder);
  const program = join(data, 'usr/lib/entremise/entremise-mediator.mjs');
  const run = (...words: string[]) =>
    execFileSync(process.execPath, [program, ...words], { encoding: 'utf8', timeout: 10_000 });
  t.is(run('--version'), `${version}\n`);
  t.regex(
    run('check-config', '--config', join(checkout, 'openwrt/entremise-mediator/files/etc/config/entremise')),
    /is good/,
  );
});

test('a package takes less than 400 KiB, and what is installed leaves 340 KiB of 900 to the addon', t => {
  t.true((made?.router.ipk_kib ?? Infinity) <= 400, `${made?.router.ipk_kib}`);
  // The addon in it is the one of this machine, which is not built to be small.
  const { addon = 0, ...others } = made?.installed_by_part_kib ?? {};
  t.true(addon > 0);
  const sum = Object.values(others).reduce((total, size) => total + size, 0);
  t.true(sum <= 560, JSON.stringify(others));
});

test('an architecture without Node is refused with a reason', t => {
  t.throws(() => makePackages(folderOf(t), ['--arch', 'mipsel_24kc']), { message: /mipsel_24kc is none of/ });
});

test('the .apk is made of the same tree with what OpenWRT 25.12 wants to know, by apk-tools 3 where there is one', t => {
  t.regex(made?.apk.missing ?? '', /"apk mkpkg" of apk-tools 3/);
  const [withTool] = second.packages;
  const said = readFileSync(join(tools, 'words'), 'utf8').split('\n');
  t.is(said[0], 'mkpkg');
  for (const word of [
    `version:${version}-r1`,
    `arch:${arch}`,
    'depends:libc node',
    withTool?.apk.path ?? '-',
  ])
    t.true(said.includes(word), word);
  for (const word of ['name:luci-app-entremise', 'arch:noarch', 'depends:libc luci-base entremise-mediator'])
    t.true(said.includes(word), word);
  const files = join(made?.apk.folder ?? '', 'files');
  const metadata = (kind: string) =>
    readFileSync(join(files, 'lib/apk/packages', `entremise-mediator.${kind}`), 'utf8');
  t.is(metadata('rusers'), 'entremise:entremise\n');
  t.is(metadata('conffiles'), '/etc/config/entremise\n/etc/entremise/\n');
  t.regex(metadata('conffiles_static'), /^\/etc\/config\/entremise [0-9a-f]{64}\n$/);
  for (const installed of metadata('list').trimEnd().split('\n')) t.true(existsSync(join(files, installed)));
  t.deepEqual(readdirSync(join(made?.apk.folder ?? '', 'scripts')).sort(), [
    'post-deinstall',
    'post-install',
    'post-upgrade',
    'pre-deinstall',
  ]);
});

test("the feed's Makefile builds every source of the addon, and installs the same tree as the script", t => {
  const folder = folderOf(t);
  const [building, tree, called] = [join(folder, 'building'), join(folder, 'tree'), join(folder, 'called')];
  mkdirSync(building);
  const compiler = join(folder, 'compiler');
  const script = '#!/bin/sh\necho "$@" > "$CALLED"\nfor last; do :; done\n: > "$last"\n';
  writeFileSync(compiler, script, { mode: 0o755 });
  const variables = {
    TOPDIR: join(checkout, 'testbed/openwrt/stand-in-sdk'),
    BUILD_DIR: building,
    DL_DIR: join(runs, 'first'),
    DEST: tree,
    TARGET_CXX: compiler,
    TARGET_CXXFLAGS: '-Os',
  };
  const settings = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  execFileSync(
    'make',
    ['--silent', '--directory', join(checkout, 'openwrt/entremise-mediator'), ...settings],
    {
      env: { ...process.env, CALLED: called },
    },
  );
  const words = readFileSync(called, 'utf8').trim().split(' ');
  const gyp = JSON.parse(readFileSync(join(checkout, 'binding.gyp'), 'utf8')) as {
    targets: { sources: string[]; defines: string[] }[];
  };
  const { sources = [], defines = [] } = gyp.targets[0] ?? {};
  t.deepEqual(
    words.filter(word => word.endsWith('.cc')),
    sources,
  );
  for (const word of [...defines.map(define => `-D${define}`), '-Os', '-Iinclude', '-shared'])
    t.true(words.includes(word), word);
  const { data } = openIpk(made?.ipk ?? '', folder);
  const listed = (root: string) =>
    execFileSync('find', [root, '-type', 'f', '-printf', '%m /%P\n'], { encoding: 'utf8' })
      .trimEnd()
      .split('\n')
      // The SDK itself makes that one of the conffiles that are folders.
      .filter(line => !line.includes('/keep.d/'))
      .sort();
  t.deepEqual(listed(tree), listed(data));
});

const { status: hasShellcheck } = spawnSync('shellcheck', ['--version'], { stdio: 'ignore' });
const scripted = hasShellcheck === 0 ? test : test.skip;

scripted('every script of the packages is clean under shellcheck, as dash and as busybox read them', t => {
  const folder = folderOf(t);
  const { data, control } = openIpk(made?.ipk ?? '', folder);
  const under = (path: string, names: readonly string[]) => names.map(name => join(path, name));
  const scripts = [
    ...under(control, ['postinst', 'postinst-pkg', 'prerm', 'postrm']),
    ...under(data, [
      'etc/init.d/entremise',
      'etc/uci-defaults/90-entremise',
      'usr/bin/entremise-mediator',
      'usr/libexec/rpcd/entremise',
    ]),
    ...under(join(made?.apk.folder ?? '', 'scripts'), ['post-install', 'post-upgrade', 'pre-deinstall']),
    join(checkout, 'openwrt/entremise-mediator/test.sh'),
  ];
  // SC1091: sources what only a router has.
  const found = spawnSync('shellcheck', ['--shell=dash', '--exclude=SC1091', ...scripts], {
    encoding: 'utf8',
  });
  t.is(found.stdout, '');
});
