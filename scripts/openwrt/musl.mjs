// What musl's own loader says of an addon: Debian's musl for the router's CPU, under qemu where that is another one, loads
// it into a program that has the names of Node's which the addon asks for. Every one of its names is then found, in musl or
// in Node, and what runs at load runs. Node itself is not there: none is published for musl.
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'entremise', 'musl');

/** By the first word of an architecture's name: Debian's names for it, musl's loader, a C compiler, and what runs it here. */
const machines = {
  x86: { debian: 'amd64', triplet: 'x86_64-linux-musl', loader: 'ld-musl-x86_64.so.1', gcc: 'gcc', run: [] },
  aarch64: {
    debian: 'arm64',
    triplet: 'aarch64-linux-musl',
    loader: 'ld-musl-aarch64.so.1',
    gcc: 'aarch64-linux-gnu-gcc',
    run: ['qemu-aarch64-static'],
  },
  arm: {
    debian: 'armhf',
    triplet: 'arm-linux-musleabihf',
    loader: 'ld-musl-armhf.so.1',
    gcc: 'arm-linux-gnueabihf-gcc',
    run: ['qemu-arm-static'],
  },
};

/** Debian's packages for another architecture, which this machine's own apt need not know of: its lists are kept apart. */
function muslFor(debian) {
  const folder = join(cache, debian);
  if (existsSync(join(folder, 'lib'))) return folder;
  const fresh = `${folder}-${process.pid}`;
  for (const path of ['lists/partial', 'cache/archives/partial', 'got'])
    mkdirSync(join(fresh, path), { recursive: true });
  const own = [
    `Dir::State::Lists=${fresh}/lists`,
    `Dir::Cache=${fresh}/cache`,
    'Dir::State::status=/dev/null',
    `APT::Architecture=${debian}`,
    `APT::Architectures=${debian}`,
    'Acquire::Languages=none',
    'APT::Sandbox::User=root',
  ].flatMap(setting => ['-o', setting]);
  try {
    // A list that cannot be had may not be the one with musl in it.
    spawnSync('apt-get', ['-qq', ...own, 'update'], { stdio: 'ignore' });
    const got = join(fresh, 'got');
    execFileSync('apt-get', ['-qq', ...own, 'download', 'musl', 'musl-dev'], { cwd: got });
    for (const name of readdirSync(got))
      execFileSync('dpkg-deb', ['--extract', join(got, name), join(fresh, 'tree')]);
    mkdirSync(cache, { recursive: true });
    renameSync(join(fresh, 'tree'), folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return folder;
}

const program = names => `
void *dlopen(const char*, int), *dlsym(void*, const char*);
const char* dlerror(void);
int puts(const char*);
${names.map(name => `void ${name}(void) {}`).join('\n')}
int main(int count, char** words) {
  enum { kNow = 2 };
  void* addon = dlopen(words[1], kNow);
  if (!addon || !dlsym(addon, "napi_register_module_v1")) return puts(dlerror()), 1;
  return puts("loaded"), 0;
}
`;

/** Loads an addon for that architecture where the host has `names`; gives `loaded`, or what the loader has against it. */
export function loadWithMusl(arch, addon, names, work) {
  const { debian, triplet, loader, gcc, run } = machines[arch.split('_')[0]];
  const folder = muslFor(debian);
  const musl = join(folder, 'lib', loader);
  const start = name => join(folder, 'usr/lib', triplet, name);
  const [source, host, libc] = ['load.c', `load-${arch}`, 'libc.so'].map(name => join(work, name));
  writeFileSync(source, program(names));
  // By the name that the addon wants it by.
  copyFileSync(musl, libc);
  const ends = [start('crt1.o'), start('crti.o'), source, libc, '-lgcc', start('crtn.o')];
  const flags = ['-w', '-fno-builtin', '-nostdlib', '-no-pie', '-rdynamic', '-Wl,--hash-style=sysv'];
  execFileSync(gcc, [...flags, ...ends, '-o', host], { stdio: 'pipe' });
  const [first, ...rest] = [...run, musl, host, addon];
  const { stdout, stderr, error } = spawnSync(first, rest, { encoding: 'utf8' });
  return error?.message ?? (stdout + stderr).trim();
}
