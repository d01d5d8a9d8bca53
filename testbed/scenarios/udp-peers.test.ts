import { join } from 'node:path';
import { mediatorName } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { makeRandomFile, sha256, startNameServer } from './support/peers.ts';
import { sipCall, tapAudio } from './support/sip.ts';
import { setStage } from './support/stage.ts';
import { iperfDatagrams, startIperf, startTftpServer } from './support/udp-peers.ts';
import { startExpose, startForward, startVerb, untilForwards } from './support/verbs.ts';

/** What speaks UDP in homes, by real programs at both ends, through redirected ports; both NATs choose ports at random. */

const { device, gatewayLan } = homeAddresses;
const [iperfPort, phoneAudio, annaAudio] = [5201, 6000, 7000];
const fileBytes = 10_000_000;

const claim = setStage({
  name: 'scpeers',
  home: { ports: 'fully-random' },
  peers: async home => {
    await startNameServer(home.device, device, { 'tv.home.example': '192.168.1.77' });
    await startIperf(home.device, iperfPort);
  },
});

claim('dig asks a real dnsmasq of the LAN', async (t, stage) => {
  const { ports } = await startForward(t, stage, `${device}:53/udp`);
  const words = ['dig', '@127.0.0.1', '-p', String(ports[0]), '+notcp', '+short', 'tv.home.example'];
  t.is((await stage.home.terminal.run(words)).trim(), '192.168.1.77');
});

/** Fills a packet and a part of the next (P7.5). */
const blockBytes = 2_048;

claim(
  'TFTP: atftp gets 10 MB from a real tftpd, which answers from a number of its own, and puts them back',
  async (t, stage) => {
    t.timeout(240_000);
    const { home, folder } = stage;
    const served = await startTftpServer(t, home.device, device, folder);
    makeRandomFile(join(served, 'firmware'), fileBytes);
    const { ports } = await startForward(t, stage, `${device}:69/udp`);
    const copy = join(folder, 'firmware');
    const atftp = async (way: '--get' | '--put', remote: string) => {
      const words = ['--option', `blksize ${blockBytes}`, '--local-file', copy, '--remote-file', remote];
      const began = performance.now();
      const run = ['atftp', way, ...words, '127.0.0.1', String(ports[0])];
      await home.terminal.run(run, { deadlineMs: 120_000 });
      const tookMs = performance.now() - began;
      t.log(`${way}: ${Math.round(tookMs)} ms, ${((tookMs * blockBytes) / fileBytes).toFixed(2)} a block`);
    };
    await atftp('--get', 'firmware');
    t.is(await sha256(copy), await sha256(join(served, 'firmware')));
    await atftp('--put', 'settings');
    t.is(await sha256(join(served, 'settings')), await sha256(copy));
  },
  'root',
);

claim('iperf3 -u both ways: nothing is lost, nothing out of order', async (t, stage) => {
  const { terminal } = stage.home;
  const at = `127.0.0.1:${iperfPort}:${device}:${iperfPort}`;
  await untilForwards(startVerb(t, stage, ['forward', mediatorName, at, `${at}/udp`]), 2);
  for (const way of ['there', 'back'] as const) {
    const flow = await iperfDatagrams(terminal, iperfPort, {
      way,
      bytes: 1_000,
      perSecond: 250,
      seconds: 2,
    });
    t.log(`${way}: ${JSON.stringify(flow)}`);
    t.deepEqual([flow.lost, flow.disordered], [0, 0], way);
    t.true(flow.packets > 450);
  }
});

claim('a SIP call: the audio of both ends arrives whole and in order', async (t, stage) => {
  const { home, folder } = stage;
  await startExpose(t, stage, '5060/udp', '127.0.0.1:5060');
  await startExpose(t, stage, `${annaAudio}/udp`, `127.0.0.1:${annaAudio}`);
  const audioOfPhone = `127.0.0.1:${phoneAudio}:${device}:${phoneAudio}/udp`;
  await untilForwards(startVerb(t, stage, ['forward', mediatorName, audioOfPhone]), 1);
  const atPhone = await tapAudio(t, home.device, 'eth0');
  const atAnna = await tapAudio(t, home.terminal, 'lo');
  const phone = { where: home.device, address: device, sipPort: 5060 };
  const anna = { where: home.terminal, address: '127.0.0.1', sipPort: 5060 };
  const ended = await sipCall(t, folder, {
    from: { ...phone, audioPort: phoneAudio, audioAddress: '127.0.0.1' },
    to: { ...anna, audioPort: annaAudio, audioAddress: gatewayLan },
    via: `${gatewayLan}:5060`,
    seconds: 3,
  });
  t.deepEqual(ended, [0, 0]);
  const [phoneSaw, annaSaw] = [await atPhone(), await atAnna()];
  const pairs = [
    [
      phoneSaw.find(flow => flow.from === `${device}:${phoneAudio}`),
      annaSaw.find(flow => flow.to === `127.0.0.1:${annaAudio}`),
    ],
    [
      annaSaw.find(flow => flow.from === `127.0.0.1:${annaAudio}`),
      phoneSaw.find(flow => flow.to === `${device}:${phoneAudio}`),
    ],
  ];
  for (const [sent, received] of pairs) {
    t.log(`${JSON.stringify(sent)} ${JSON.stringify(received)}`);
    t.true(sent !== undefined && sent.packets > 100);
    t.like(received, { packets: sent?.packets ?? 0, missing: [], disordered: 0, audio: sent?.audio ?? '' });
  }
});
