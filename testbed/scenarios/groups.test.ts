import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { type Namespace, type Program, until } from 'netns-test-helpers';
import { startEcho } from '../demo/device.ts';
import { mediatorName } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { programPath } from './support/peers.ts';
import { setStage } from './support/stage.ts';
import { type Json, jsonLines, startForward, type Teardown, untilJson } from './support/verbs.ts';

/** Groups and broadcasts of a LAN, from the terminal: discovery of real miniupnpds and of a real avahi-daemon. */

const { device, secondDevice, gatewayLan, gatewayLanIpv6 } = homeAddresses;
const ssdp = '239.255.255.250';
const mdns = '224.0.0.251';
const words = ['lan', 'multicast', 'broadcast'];

/** A real miniupnpd; its WAN is beside the point. */
async function startUpnp(where: Namespace, folder: string, uuid: string): Promise<Program> {
  mkdirSync(folder, { recursive: true });
  const config = join(folder, `${uuid}.conf`);
  const lines = ['ext_ifname=lo', 'listening_ip=eth0', 'http_port=5000', `uuid=${uuid}`, 'enable_upnp=yes'];
  writeFileSync(config, `${lines.join('\n')}\n`);
  const program = where.spawn(['miniupnpd', '-d', '-f', config, '-P', `${config}.pid`]);
  await where.untilListening('udp', 1900);
  return program;
}

/** A real avahi-daemon that calls itself printer.local. */
async function startAvahi(where: Namespace, folder: string): Promise<Program> {
  const config = join(folder, 'avahi.conf');
  writeFileSync(config, '[server]\nhost-name=printer\nallow-interfaces=eth0\nenable-dbus=no\n');
  const alone = ['--no-drop-root', '--no-chroot', '--no-rlimits'];
  const program = where.spawn(['avahi-daemon', '-f', config, ...alone]);
  await until(() => program.stderr.includes('Server startup complete'), { what: 'avahi-daemon to be there' });
  return program;
}

const claim = setStage({
  name: 'scgroups',
  home: { secondDevice: true },
  site: () => {
    const quoted = JSON.stringify(words);
    const owner = `[owner.targets]\nnetworks = ${quoted}\n[owner.ports]\naddresses = ${quoted}`;
    return {
      mediatorConfig: owner,
      grant: words.flatMap(word => ['--target', word, '--listen-on', word]),
    };
  },
  peers: async ({ device: first, secondDevice: second }, folder) => {
    if (second === undefined) throw new Error('there is no second device');
    await startUpnp(first, folder, '6f1e4c70-2f0a-4f6d-9a55-000000000010');
    await startUpnp(second, folder, '6f1e4c70-2f0a-4f6d-9a55-000000000011');
    await startAvahi(first, folder);
    for (const each of [first, second]) await startEcho(each);
  },
  share: async ({ site, home }) => {
    const directory = join(String(site.terminalEnv.XDG_CONFIG_HOME), 'entremise', 'default');
    /** A port of the mediator, and what is sent from it. */
    const port = (t: Teardown, ...parts: readonly (string | number)[]): Program => {
      const program = home.terminal.spawn(
        [process.execPath, programPath('sdk-groups.mjs'), directory, mediatorName, ...parts.map(String)],
        { stdin: 'pipe' },
      );
      t.teardown(() => program.stop('SIGKILL'));
      return program;
    };
    return { port };
  },
});

const hexOf = (text: string) => Buffer.from(text, 'latin1').toString('hex');

/** UPnP Device Architecture 1.1, 1.3.2. */
const search = hexOf(
  `M-SEARCH * HTTP/1.1\r\nHOST: ${ssdp}:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: upnp:rootdevice\r\n\r\n`,
);

/** A question for the address of printer.local of the family in which it is asked (RFC 6762 §5): avahi tells no others. */
const questionOf = (address: string) =>
  hexOf(`\0\0\0\0\0\x01\0\0\0\0\0\0\x07printer\x05local\0\0${address.includes(':') ? '\x1c' : '\x01'}\0\x01`);

/** The device's addresses as they stand in an answer. */
const addresses = ['c0a8010a', 'fd000001000000000000000000000010'];

/** The answer: one of them, and the name. */
const answers = ({ text }: Json) => {
  const hex = hexOf(String(text));
  return hex.includes(hexOf('\x07printer\x05local')) && addresses.some(address => hex.includes(address));
};

/** What a host of the network outside hears of a group. */
function eavesdropper(
  t: Teardown,
  where: Namespace,
  group: string,
  number: number,
  address: string,
): Program {
  const script = `const socket = require('node:dgram').createSocket({ type: 'udp4', reuseAddr: true });
    socket.on('message', (bytes, from) => console.log(JSON.stringify({ heard: from.address })));
    socket.bind(${number}, () => { socket.addMembership('${group}', '${address}'); console.log('{"joined":true}'); });`;
  const program = where.spawn([process.execPath, '-e', script]);
  t.teardown(() => program.stop('SIGKILL'));
  return program;
}

for (const channel of ['tcp', 'udp'] as const) {
  const from = (address: string) => (line: Json) => line.from === address && line.channel === channel;

  claim(
    `S8: SSDP over ${channel}: each real miniupnpd of the LAN answers from its own address, and nothing leaves by the WAN`,
    async (t, stage) => {
      const outside = eavesdropper(t, stage.home.carrier, ssdp, 1900, '100.64.0.1');
      await untilJson(outside, 'that it listens', ({ joined }) => joined === true);
      const port = stage.port(t, channel, gatewayLan, 0, ssdp, 1900, search);
      for (const address of [device, secondDevice]) {
        const { text, port: number } = await untilJson(port, `an answer of ${address}`, from(address));
        t.is(number, 1900);
        t.regex(String(text), new RegExp(`^HTTP/1.1 200 OK[^]*LOCATION: http://${address}:5000/`));
      }
      t.deepEqual(
        jsonLines(outside.stdout).filter(line => 'heard' in line),
        [],
      );
      const { stderr } = stage.site.mediator;
      t.notRegex(stderr, /destination refused/);
    },
  );

  claim(
    `P5.9: over ${channel}: a device that was discovered may be asked at its own address, too`,
    async (t, stage) => {
      const port = stage.port(t, channel, gatewayLan, 0, device, 1900, search);
      const { text } = await untilJson(port, 'an answer', from(device));
      t.regex(String(text), /^HTTP\/1.1 200 OK/);
    },
  );

  claim(
    `S8: mDNS over ${channel}: a real avahi-daemon answers who asks from any number`,
    async (t, stage) => {
      for (const [address, group] of [
        [gatewayLan, mdns],
        [gatewayLanIpv6, 'ff02::fb'],
      ] as const) {
        const port = stage.port(t, channel, address, 0, group, 5353, questionOf(group));
        await untilJson(port, `an answer to ${address}`, line => line.channel === channel && answers(line));
      }
      t.pass();
    },
  );

  claim(
    `P5.1: a port of a group over ${channel} hears what is sent to the group, on the LAN`,
    async (t, stage) => {
      for (const group of [mdns, 'ff02::fb']) {
        const port = stage.port(t, channel, group, 5353, group, 5353, questionOf(group));
        const isHeard = (line: Json) => line.channel === channel && line.port === 5353 && answers(line);
        await untilJson(port, `an answer in ${group}`, isHeard);
      }
      t.pass();
    },
  );

  claim(`S8: a broadcast over ${channel} reaches every device, which answers by itself`, async (t, stage) => {
    for (const everybody of ['192.168.1.255', '255.255.255.255']) {
      const port = stage.port(t, channel, gatewayLan, 0, everybody, 7, hexOf('hello'));
      for (const address of [device, secondDevice])
        t.is((await untilJson(port, `${address} by ${everybody}`, from(address))).text, 'hello');
    }
  });

  claim(
    `P5.1: a port of a broadcast address over ${channel} hears what devices broadcast`,
    async (t, stage) => {
      for (const [everybody, number] of [
        ['192.168.1.255', 4000],
        ['255.255.255.255', 4001],
      ] as const) {
        const port = stage.port(t, channel, everybody, number, gatewayLan, 0, '00');
        await untilJson(port, 'that it listens', line => 'listening' in line && line.channel === channel);
        const script = `const socket = require('node:dgram').createSocket('udp4');
        socket.bind(0, '${device}', () => { socket.setBroadcast(true);
          setInterval(() => socket.send('here I am', ${number}, '${everybody}'), 200); });`;
        const shouting = stage.home.device.spawn([process.execPath, '-e', script]);
        t.teardown(() => shouting.stop('SIGKILL'));
        t.is((await untilJson(port, 'the broadcast', from(device))).text, 'here I am');
      }
    },
  );
}

claim(
  'S13: a forward to a group gives everybody’s answers: a resolver asks mDNS through it',
  async (t, stage) => {
    const { ports } = await startForward(t, stage, `${mdns}:5353/udp`);
    const script = `const { Resolver } = require('node:dns').promises;
    const resolver = new Resolver({ timeout: 3000, tries: 3 });
    resolver.setServers(['127.0.0.1:${ports[0]}']);
    resolver.resolve4('printer.local').then(found => console.log(found.join()));`;
    t.is((await stage.home.terminal.run([process.execPath, '-e', script])).trim(), device);
  },
);
