import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Namespace, type Program, until } from 'netns-test-helpers';
import { mediatorName } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { setStage } from './support/stage.ts';
import type { Json } from './support/verbs.ts';

/**
 * Who is in the gateway's LAN, as `entremise devices` tells it: a real dnsmasq leases addresses to a real DHCP client, the
 * kernel knows its neighbours.
 */

const { gatewayLan, deviceIpv6, device: staticAddress } = homeAddresses;

/** What dnsmasq leases: one address, so that the test knows it. */
const leased = '192.168.1.150';

/** Turns the writing direction, moves the cursor, and pretends to be another line. */
const hostileName = '\u202e\u001b[2Jevil\u0085x';

const leaseFiles = (folder: string) => [join(folder, 'dhcp.leases'), join(folder, 'odhcpd')];

/** What busybox has the client do with its lease. */
const clientScript = `#!/bin/sh
[ "$1" = bound ] && ip address replace "$ip/24" dev "$interface"
exit 0
`;

async function startDhcp(where: Namespace, leaseFile: string): Promise<Program> {
  const alone = [
    '--no-daemon',
    '--conf-file=/dev/null',
    '--no-resolv',
    '--no-hosts',
    '--user=root',
    '--port=0',
  ];
  const lan = [
    '--interface=br-lan',
    '--bind-interfaces',
    `--dhcp-range=${leased},${leased},12h`,
    '--no-ping',
  ];
  const program = where.spawn([
    'dnsmasq',
    ...alone,
    ...lan,
    '--dhcp-authoritative',
    `--dhcp-leasefile=${leaseFile}`,
  ]);
  await where.untilListening('udp', 67);
  return program;
}

/** Has the gateway know an address of the device: packets of both ways pass. */
function speak(device: Namespace, from: string, to: string): Promise<unknown> {
  return device.run(['busybox', from.includes(':') ? 'ping6' : 'ping', '-c1', '-W5', '-I', from, to]);
}

const claim = setStage({
  name: 'scdevices',
  site: folder => ({ mediatorConfig: `leaseFiles = ${JSON.stringify(leaseFiles(folder))}` }),
  peers: (home, folder) => startDhcp(home.gateway, leaseFiles(folder)[0] ?? ''),
});

async function devicesOf(
  terminal: (...words: string[]) => Promise<{ readonly stdout: string }>,
): Promise<Json[]> {
  const { stdout } = await terminal('devices', mediatorName, '--json');
  return JSON.parse(stdout) as Json[];
}

async function hardwareAddressOf(where: Namespace): Promise<string> {
  const [link] = JSON.parse(await where.run(['ip', '-json', 'link', 'show', 'dev', 'eth0'])) as {
    address: string;
  }[];
  return link?.address ?? '';
}

claim(
  'a device that got its address by DHCP is told with name, hardware address and every address',
  async (t, stage) => {
    const { site, home, folder } = stage;
    const script = join(folder, 'udhcpc.sh');
    writeFileSync(script, clientScript);
    chmodSync(script, 0o755);
    const name = ['-x', 'hostname:printer'];
    await home.device.run([
      'busybox',
      'udhcpc',
      '-i',
      'eth0',
      '-n',
      '-q',
      '-f',
      '-t',
      '5',
      '-T',
      '1',
      '-s',
      script,
      ...name,
    ]);
    await speak(home.device, leased, gatewayLan);
    await speak(home.device, deviceIpv6, homeAddresses.gatewayLanIpv6);
    const device = await until(
      async () => (await devicesOf(site.terminal)).find(each => each.seen === 'reachable'),
      { what: 'the device to be seen', deadlineMs: 20_000 },
    );
    t.like(device, {
      name: 'printer',
      interface: 'br-lan',
      hardwareAddress: await hardwareAddressOf(home.device),
    });
    const addresses = device.addresses as string[];
    t.true(addresses.includes(leased) && addresses.includes(deviceIpv6), addresses.join(' '));
    const leftS = (Date.parse(String(device.leaseUntil)) - Date.now()) / 1000;
    t.true(leftS > 11 * 3600 && leftS <= 12 * 3600 + 5, String(device.leaseUntil));
    const { stdout } = await site.terminal('devices', mediatorName);
    t.regex(stdout, /^NAME +ADDRESSES +MAC +INTERFACE +SEEN +LEASE\nprinter +192\.168\.1\./);
    t.false(stdout.includes('100.64.0.1'), 'whom the WAN leads to is no device');
  },
);

claim('what a device calls itself acts on nobody: it is shown as text', async (t, { site, folder }) => {
  const end = Math.floor(Date.now() / 1000) + 3600;
  const line = `# br-lan 020000aabb99 ipv4 broken\\x20${hostileName} ${end} c0a80163 32 192.168.1.99/32\n`;
  writeFileSync(leaseFiles(folder)[1] ?? '', line);
  const isIt = ({ hardwareAddress }: Json) => hardwareAddress === '02:00:00:aa:bb:99';
  const found = await until(async () => (await devicesOf(site.terminal)).find(isIt), {
    what: 'it to be told',
  });
  t.is(found.name, hostileName);
  for (const words of [
    ['devices', mediatorName],
    ['devices', mediatorName, '--json'],
  ]) {
    const { stdout } = await site.terminal(...words);
    t.true(stdout.includes('\\u202e\\u001b[2Jevil\\u0085x'), stdout);
    t.notRegex(stdout.replaceAll('\n', ''), /\p{C}/u);
  }
});

claim('a grant for one address tells of that device alone', async (t, { site, home }) => {
  await speak(home.device, staticAddress, gatewayLan);
  const words = ['--target', staticAddress, '--terminal', site.terminalKey, '--mediator', mediatorName];
  await site.operator('grant', 'create', ...words);
  await site.operator('grant', 'revoke', site.grantId);
  const list = await until(
    async () => {
      const found = await devicesOf(site.terminal);
      return found.length === 1 ? found : undefined;
    },
    { what: 'the new grant to hold', deadlineMs: 20_000 },
  );
  t.deepEqual(list[0]?.addresses, [staticAddress]);
});
