import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { checkout, folderOf, folderOfFile, makePackages, membersOf, openIpk } from './packages.ts';
import { noRouterBecause, Router } from './router.ts';

/** What stands in the package of LuCI's page, and what it does to a router; luci.test.ts tells how the page behaves. */

const { version } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as { version: string };

const made = folderOfFile();
const { packages, page } = makePackages(made, ['--arch', 'x86_64']);
const ipk = page?.ipk ?? '';
const apk = page?.apk.folder ?? '';

const files = [
  'usr/share/luci/menu.d/luci-app-entremise.json',
  'usr/share/rpcd/acl.d/luci-app-entremise.json',
  'www/luci-static/resources/entremise/state.js',
  'www/luci-static/resources/view/entremise.js',
];

test('one package for every architecture, of the mediator’s version, that pulls in LuCI and the mediator', t => {
  const { control } = openIpk(ipk, folderOf(t));
  t.true(ipk.endsWith(`/luci-app-entremise_${version}-r1_all.ipk`));
  const fields = readFileSync(join(control, 'control'), 'utf8').split('\n');
  for (const line of [
    'Package: luci-app-entremise',
    `Version: ${version}-r1`,
    'Architecture: all',
    'Depends: libc, luci-base, entremise-mediator',
    'Section: luci',
    'License: Apache-2.0',
  ])
    t.true(fields.includes(line), line);
  t.false(
    fields.some(line => line.startsWith('Require-User')),
    'it runs nothing',
  );
  t.deepEqual(readdirSync(control).sort(), ['control', 'postinst', 'postinst-pkg', 'postrm', 'prerm']);
});

test('nothing is in it but the page, its place in the menu and its rights; all of it root’s, nothing runs', t => {
  const folder = folderOf(t);
  openIpk(ipk, folder);
  const { members, magic } = membersOf(join(folder, 'outer/data.tar.gz'));
  t.deepEqual(magic, new Set(['ustar  \0']));
  t.deepEqual(
    members.filter(member => !member.startsWith('drwxr-xr-x 0/0 ')),
    files.map(path => `-rw-r--r-- 0/0 ./${path}`),
  );
});

test('menu, rights and page fit together, and the rights are no more than the page uses', t => {
  const { data } = openIpk(ipk, folderOf(t));
  const read = (path: string) => JSON.parse(readFileSync(join(data, path), 'utf8')) as Record<string, object>;
  const [menu, rights] = files.slice(0, 2).map(path => read(path));
  const [entry] = Object.values(menu ?? {}) as {
    readonly action: { readonly path: string };
    readonly depends: { readonly acl: readonly string[] };
  }[];
  t.true(existsSync(join(data, `www/luci-static/resources/view/${entry?.action.path}.js`)));
  t.deepEqual(entry?.depends.acl, Object.keys(rights ?? {}));
  const own = rights?.['luci-app-entremise'] as Record<string, object> | undefined;
  t.deepEqual(own?.read, { ubus: { entremise: ['status'] }, uci: ['entremise'] });
  t.deepEqual(own?.write, { ubus: { entremise: ['allow', 'revoke'] }, uci: ['entremise'] });
  const view = readFileSync(join(data, 'www/luci-static/resources/view/entremise.js'), 'utf8');
  const used = [...view.matchAll(/object: 'entremise', method: '(\w+)'/g)].map(([, method]) => method);
  t.deepEqual(used, ['status', 'allow', 'revoke']);
});

test('the tree of the .apk is the same with what OpenWRT 25.12 wants to know', t => {
  const listed = (folder: string) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter(entry => !entry.isDirectory())
      .map(entry => join(entry.parentPath, entry.name).slice(folder.length + 1))
      .sort();
  t.deepEqual(listed(join(apk, 'files')), ['lib/apk/packages/luci-app-entremise.list', ...files]);
  const list = readFileSync(join(apk, 'files/lib/apk/packages/luci-app-entremise.list'), 'utf8');
  t.is(list, files.map(path => `/${path}\n`).join(''));
});

test("the feed's Makefile installs the same tree by luci.mk", t => {
  const folder = folderOf(t);
  const tree = join(folder, 'tree');
  const settings = [`TOPDIR=${join(checkout, 'testbed/openwrt/stand-in-sdk')}`, `DEST=${tree}`];
  execFileSync('make', [
    '--silent',
    '--directory',
    join(checkout, 'openwrt/luci-app-entremise'),
    ...settings,
  ]);
  const { data } = openIpk(ipk, folder);
  t.is(spawnSync('diff', ['--recursive', '--brief', tree, data], { encoding: 'utf8' }).stdout, '');
});

test('it comes, has LuCI and rpcd see it, and goes without a trace; the mediator stays', t => {
  const reason = noRouterBecause(t);
  if (reason !== undefined) return void t.pass(reason);
  const router = new Router(t);
  router.install(packages[0]?.ipk ?? '');
  const rpcd = join(router.root, 'etc/init.d/rpcd');
  writeFileSync(rpcd, '#!/bin/sh\n. /lib/functions.sh\nnote rpcd "$@"\n', { mode: 0o755 });
  const before = router.everything();
  router.notes();
  router.write('tmp/luci-indexcache.1.json', '{}');
  mkdirSync(join(router.root, 'tmp/luci-modulecache'));
  router.install(ipk);
  t.deepEqual(router.notes(), [['rpcd', 'reload']]);
  t.false(existsSync(join(router.root, 'tmp/luci-indexcache.1.json')), 'the menu is made anew');
  for (const path of files) t.is(router.ownership(path), '644 0:0');
  router.upgrade(ipk);
  router.remove('luci-app-entremise');
  const left = router.everything().filter(path => !before.includes(path));
  t.deepEqual(
    left.filter(path => !existsSync(join(router.root, path, '.'))),
    [],
    'folders are the base system’s',
  );
  t.regex(router.sh('entremise-mediator --version'), /^\d/);
});

const { status: hasShellcheck } = spawnSync('shellcheck', ['--version'], { stdio: 'ignore' });
const scripted = hasShellcheck === 0 ? test : test.skip;

scripted('its scripts are clean under shellcheck', t => {
  const { control } = openIpk(ipk, folderOf(t));
  const scripts = [
    ...['postinst', 'postinst-pkg', 'postrm', 'prerm'].map(name => join(control, name)),
    ...['post-install', 'post-upgrade', 'pre-deinstall', 'post-deinstall'].map(name =>
      join(apk, 'scripts', name),
    ),
  ];
  const found = spawnSync('shellcheck', ['--shell=dash', '--exclude=SC1091', ...scripts], {
    encoding: 'utf8',
  });
  t.is(found.stdout, '');
});
