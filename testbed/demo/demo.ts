import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { labSupport, type Program, reexecInUserNamespace, teardown } from 'netns-test-helpers';
import { cliBundle, mediatorName, type Site, setUpSite } from '../site.ts';
import { buildHome, type Home, homeAddresses } from '../topologies/home.ts';
import { devicePage, startEcho, startWebServer } from './device.ts';
import { pointer, readPointer, removePointer } from './pointer.ts';
import { Timeline } from './timeline.ts';

/**
 * The demonstration: a home behind two NATs, everybody enrolled by the operator's own commands, the device's page fetched
 * by the real curl through `entremise forward`, and the same fetch without Entremise failing.
 */

const forwardPort = 8080;
const echoPort = 7007;

async function curl(
  home: Home,
  url: string,
  seconds: number,
): Promise<{ readonly code: number | null; readonly body: string }> {
  const { code, stdout } = await home.terminal.exec(['curl', '-sS', '--max-time', String(seconds), url]);
  return { code, body: stdout };
}

async function showThatNothingComesIn(home: Home, timeline: Timeline): Promise<void> {
  timeline.chapter('Without Entremise');
  await home.terminal.route('192.168.1.0/24', '203.0.113.2');
  const direct = await curl(home, `http://${homeAddresses.device}/`, 2);
  timeline.say(
    'terminal',
    `curl http://${homeAddresses.device}/`,
    `fails: exit code ${direct.code} (the NATs drop it)`,
  );
  const wan = await curl(home, 'http://203.0.113.2/', 2);
  timeline.say(
    'terminal',
    'curl http://203.0.113.2/   (the home seen from outside)',
    `fails: exit code ${wan.code}`,
  );
  if (direct.code === 0 || wan.code === 0)
    throw new Error('the NATs let a stranger in: the demonstration proves nothing');
}

function startForward(site: Site): Program {
  const words = [
    'forward',
    mediatorName,
    `${forwardPort}:${homeAddresses.device}:80`,
    `${echoPort}:${homeAddresses.device}:7/udp`,
  ];
  return site.startTerminal(words);
}

async function showForward(site: Site, timeline: Timeline): Promise<void> {
  const { home } = site;
  timeline.chapter('With Entremise');
  const events = site.startTerminal(['events', mediatorName]);
  const forward = startForward(site);
  timeline.say('terminal', `entremise ${forward.argv.slice(2).join(' ')}`, '(goes on)');
  await home.terminal.untilListening('tcp', forwardPort);
  await home.terminal.untilListening('udp', echoPort);
  timeline.follow(events, 'events');
  const page = await curl(home, `http://127.0.0.1:${forwardPort}/`, 10);
  timeline.say('terminal', `curl http://127.0.0.1:${forwardPort}/`, page.body.trim());
  if (page.body !== devicePage) throw new Error(`not the device's page: ${page.body}`);
  const script = `const s=require('dgram').createSocket('udp4');s.on('message',m=>{console.log(String(m));process.exit(0)});s.send('hello, device',${echoPort},'127.0.0.1');setTimeout(()=>process.exit(1),5000)`;
  const echoed = await home.terminal.run([process.execPath, '-e', script]);
  timeline.say('terminal', `a datagram to 127.0.0.1:${echoPort}`, `comes back: ${echoed.trim()}`);
  await timeline.settle(events);
}

function whatToTry(site: Site): string[] {
  const netns = site.home.terminal.netns;
  const env = `XDG_CONFIG_HOME=${site.terminalEnv.XDG_CONFIG_HOME}`;
  const inside = `ip netns exec ${netns} env ${env}`;
  const cli = `${process.execPath} ${cliBundle}`;
  return [
    'It stays up. By hand (as root):',
    `  ip netns exec ${netns} curl http://127.0.0.1:${forwardPort}/      (the forward is still running)`,
    `  ${inside} ${cli} mediators`,
    `  ${inside} ${cli} connect ${mediatorName} ${homeAddresses.device}:80`,
    `  ${inside} ${cli} events ${mediatorName}`,
    `  ${inside} ${cli} doctor`,
    `  audit lines: ${site.directory}/server/audit.jsonl and ${site.directory}/mediator/audit.jsonl`,
    'To remove it: npm run demo -- --teardown',
  ];
}

async function demonstrate(stay: boolean): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'entremise-demo-'));
  const timeline = new Timeline();
  const home = await buildHome({ name: 'demo' });
  const outputOf = (name: string) => (stay ? { outputFile: join(directory, `${name}.log`) } : {});
  try {
    console.log(home.lab.drawing());
    await startWebServer(home.device, join(directory, 'nginx'), outputOf('nginx'));
    await startEcho(home.device, outputOf('echo'));
    await showThatNothingComesIn(home, timeline);
    timeline.chapter('Everybody is enrolled');
    const site = await setUpSite(home, {
      directory,
      detachable: stay,
      onCommand: (where, command, printed) => timeline.say(where, command, printed),
    });
    await showForward(site, timeline);
    if (!stay) return;
    await home.lab.detach(join(directory, 'lab.json'));
    writeFileSync(pointer, directory, { mode: 0o600 });
    for (const line of whatToTry(site)) console.log(line);
  } finally {
    if (!stay) {
      await home.lab.destroy();
      rmSync(directory, { recursive: true, force: true });
      timeline.chapter('Cleaned up');
    }
  }
}

async function removeDemo(): Promise<void> {
  const directory = readPointer();
  if (directory === undefined) return console.log('nothing to remove: no demo was left up');
  await teardown(join(directory, 'lab.json'));
  rmSync(directory, { recursive: true, force: true });
  removePointer();
  console.log('removed');
}

const words = process.argv.slice(2);
if (words.includes('--teardown')) {
  await removeDemo();
} else {
  const support = await labSupport();
  if (!support.ok) {
    console.error(`The demo needs network namespaces: ${support.reason}`);
    process.exit(1);
  }
  await reexecInUserNamespace();
  if (words.includes('--stay') && readPointer() !== undefined) await removeDemo();
  await demonstrate(words.includes('--stay'));
  // Everything is cleaned up; curl's child handles and the like must not hold the process.
  process.exit(0);
}
