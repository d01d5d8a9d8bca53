import process from 'node:process';
import { type Program, until } from 'netns-test-helpers';
import { startEcho } from '../demo/device.ts';
import { mediatorName } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { programPath } from './support/peers.ts';
import { setStage } from './support/stage.ts';
import { profileFolder } from './support/technicians.ts';
import { jsonLines, untilJson } from './support/verbs.ts';

/** Keys of UDP channels are exchanged under a flow: after hundreds of packets, where else it takes 2^28. */

const { device, gatewayLan } = homeAddresses;
const rekeyPackets = 200;
const everyMs = 4;

/** At each end; each brings a key for either direction. */
const rekeys = 4;

const claim = setStage({
  name: 'screkey',
  site: () => ({ mediatorConfig: `rekeyPackets = ${rekeyPackets}` }),
  peers: async home => {
    await startEcho(home.device);
  },
});

const exchanges = (program: Program) =>
  jsonLines(program.stderr).filter(({ msg }) => msg === 'keys of the UDP channel exchanged');

claim(
  `P7.3: a flow both ways through ${rekeys} exchanges of keys, at mediator and terminal, loses and reorders nothing`,
  async (t, { home, site }) => {
    const words = [profileFolder(site.terminalEnv), mediatorName, gatewayLan, device, '7'];
    const more = [everyMs, 1, 'shared', rekeyPackets].map(String);
    const argv = [process.execPath, programPath('sdk-redirect.mjs'), ...words, ...more];
    const program = home.terminal.spawn(argv, { stdin: 'pipe', keepBytes: 1 << 20 });
    t.teardown(() => program.stop('SIGKILL'));
    await untilJson(program, 'UDP', line => line.result === 'udp' || line.channel === 'udp', 30_000);
    const ends = [site.mediator, program];
    const before = ends.map(end => exchanges(end).length);
    const since = () => ends.map((end, index) => exchanges(end).length - (before[index] ?? 0));
    await until(() => since().every(count => count >= rekeys), {
      what: 'the keys of both channels to be exchanged',
      deadlineMs: 60_000,
      explain: () => `${since().join(' and ')} times; ${program.stderr.slice(-1_000)}`,
    });
    program.write('rest\n');
    await untilJson(program, 'that it rests', ({ did }) => did === 'rest');
    const counts = () => jsonLines(program.stdout).findLast(line => 'asked' in line);
    const isAnswered = () => {
      const { asked, answered } = counts() ?? {};
      return asked === answered;
    };
    await until(isAnswered, {
      what: 'every answer',
      explain: () => JSON.stringify(counts()),
    });
    const { asked, disordered } = counts() ?? {};
    t.log(`${asked} asked and answered; ${since().join(' and ')} exchanges at mediator and terminal`);
    t.is(disordered, 0);
    t.true(Number(asked) > (rekeys * rekeyPackets) / 2);
    const left = jsonLines(program.stdout).filter(({ channel }) => channel === 'tcp');
    t.deepEqual(left, [], 'all by UDP');
  },
);
