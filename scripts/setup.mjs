// Installs what a fresh clone lacks: npm packages and Debian packages. Plain Node, since nothing else is there yet.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { pathToFileURL } from 'node:url';

/** The checkout. */
export const root = new URL('..', import.meta.url).pathname;

/** Debian packages by what they are for, each with a file that shows it is there. */
const packages = {
  build: { 'g++': '/usr/bin/g++', make: '/usr/bin/make', python3: '/usr/bin/python3' },
  network: {
    iproute2: '/sbin/ip',
    nftables: '/usr/sbin/nft',
    conntrack: '/usr/sbin/conntrack',
    procps: '/usr/bin/ps',
  },
  peers: {
    'nginx-light': '/usr/sbin/nginx',
    curl: '/usr/bin/curl',
    jq: '/usr/bin/jq',
    'openssh-client': '/usr/bin/ssh',
    'openssh-server': '/usr/sbin/sshd',
    rsync: '/usr/bin/rsync',
    'dnsmasq-base': '/usr/sbin/dnsmasq',
    'bind9-dnsutils': '/usr/bin/dig',
    tinyproxy: '/usr/bin/tinyproxy',
    'dante-client': '/usr/bin/socksify',
    vsftpd: '/usr/sbin/vsftpd',
    tnftp: '/usr/bin/tnftp',
    ncat: '/usr/bin/ncat',
    faketime: '/usr/bin/faketime',
    'miniupnpd-nftables': '/usr/sbin/miniupnpd',
    'avahi-daemon': '/usr/sbin/avahi-daemon',
    'tftpd-hpa': '/usr/sbin/in.tftpd',
    atftp: '/usr/bin/atftp',
    iperf3: '/usr/bin/iperf3',
    'sip-tester': '/usr/bin/sipp',
  },
  router: { 'busybox-static': '/bin/busybox', shellcheck: '/usr/bin/shellcheck' },
  browser: { chromium: '/usr/bin/chromium' },
  bench: {
    iperf3: '/usr/bin/iperf3',
    coturn: '/usr/bin/turnserver',
    'dropbear-bin': '/usr/bin/dbclient',
    socat: '/usr/bin/socat',
    openvpn: '/usr/sbin/openvpn',
    openssl: '/usr/bin/openssl',
    ethtool: '/sbin/ethtool',
  },
  machines: {
    'qemu-user-static': '/usr/bin/qemu-aarch64-static',
    'g++-aarch64-linux-gnu': '/usr/bin/aarch64-linux-gnu-g++',
    'g++-arm-linux-gnueabihf': '/usr/bin/arm-linux-gnueabihf-g++',
    'g++-s390x-linux-gnu': '/usr/bin/s390x-linux-gnu-g++',
  },
};

/** Groups that are large and that few tests want. */
const dispensable = ['browser'];

/** Runs a command with its output shown; ends the program when it fails. */
export function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (status === 0) return;
  console.error(
    `\n${command} ${args.join(' ')} failed${error ? `: ${error.message}` : ` with exit code ${status}`}`,
  );
  process.exit(1);
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  console.error(`Node ${process.versions.node} is too old: Entremise needs 20.19 or newer.`);
  process.exit(1);
}

function missingPackages(groups) {
  return groups.flatMap(group =>
    Object.entries(packages[group]).flatMap(([name, file]) =>
      existsSync(file) || existsSync(`/usr${file}`) ? [] : [name],
    ),
  );
}

/** Debian starts a daemon when it installs it; its own switch for that says no here. */
function withoutStartingServices(install) {
  const switchFile = '/usr/sbin/policy-rc.d';
  const ours = !existsSync(switchFile);
  if (ours) writeFileSync(switchFile, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    install();
  } finally {
    if (ours) rmSync(switchFile, { force: true });
  }
}

/** True when they are there afterwards. */
function aptGet(names) {
  const options = {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'ignore', 'inherit'],
  };
  const steps = [['update'], ['install', '-y', '--no-install-recommends', ...names]];
  let isDone = false;
  withoutStartingServices(() => {
    isDone = steps.every(words => spawnSync('apt-get', ['-qq', ...words], options).status === 0);
  });
  return isDone;
}

function installDebianPackages(groups) {
  const missing = missingPackages(groups);
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    console.error(
      `These Debian packages are missing: ${missing.join(' ')}. Install them: sudo apt-get install ${missing.join(' ')}`,
    );
    return;
  }
  console.error(`Installing Debian packages: ${missing.join(' ')}`);
  if (aptGet(missing)) return;
  if (!groups.every(group => dispensable.includes(group))) process.exit(1);
  console.error(`Not installed: ${missing.join(' ')}. Tests that want them are skipped.`);
}

/** npm's own marker of what is installed is older than the lock file when something has changed. */
function installNpmPackages() {
  const marker = `${root}node_modules/.entremise-installed`;
  const lock = `${root}package-lock.json`;
  if (existsSync(marker) && statSync(marker).mtimeMs >= statSync(lock).mtimeMs) return;
  if (existsSync(marker) && readFileSync(marker, 'utf8') === readFileSync(lock, 'utf8')) {
    const now = new Date();
    return utimesSync(marker, now, now);
  }
  console.error('Installing npm packages');
  // Not `npm ci`: it wants an entry for every platform's optional binary, which not every registry mirror has.
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
  run('npm', ['install', '--no-save', '--ignore-scripts', ...quiet], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  writeFileSync(marker, readFileSync(lock));
}

/** Everything that the named groups need. */
export function setUp(groups) {
  checkNode();
  installDebianPackages(groups.filter(group => !dispensable.includes(group)));
  installDebianPackages(groups.filter(group => dispensable.includes(group)));
  installNpmPackages();
}

/** What is large, and installed only by what needs it (`npm run test:openwrt`). */
const onDemand = ['machines'];

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  setUp(Object.keys(packages).filter(group => !onDemand.includes(group)));
