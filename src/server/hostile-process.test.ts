import test, { type ExecutionContext } from 'ava';
import { generateSigningKey, type SigningKey } from '../base/keys.ts';
import { report } from '../wire/messages/report.ts';
import { frameFlag, frameType } from '../wire/spec.ts';
import { attachEnds } from './testing/attached-ends.ts';
import { headerOf, RawLink, RawPeer } from './testing/raw-link.ts';
import { SpawnedServer } from './testing/spawned-server.ts';
import { TestOperator, until } from './testing/test-operator.ts';

/** A server in a process of its own is attacked in every way at once, again and again: it is the same afterwards. */

interface Keys {
  readonly terminal: SigningKey;
  readonly gateway: SigningKey;
  readonly evil: SigningKey;
  readonly evilGateway: SigningKey;
}

/** A state with four members and a grant, its server running as a process, and an attachment through it. */
async function besieged(t: ExecutionContext) {
  const made = await TestOperator.start();
  t.teardown(() => made.end());
  const [terminal, gateway, evil, evilGateway] = [1, 2, 3, 4].map(() => generateSigningKey());
  if (!terminal || !gateway || !evil || !evilGateway) throw new Error('no keys');
  await made.enrol({ role: 'terminal', name: 'laptop', key: terminal });
  await made.enrol({ role: 'mediator', name: 'gw-1', labels: ['lab'], key: gateway });
  await made.enrol({ role: 'terminal', name: 'evil', key: evil });
  await made.enrol({ role: 'mediator', name: 'evil-gw', key: evilGateway });
  const grant = await made.grant(terminal.text);
  await made.stopServer();
  const server = await SpawnedServer.start(t, made.stateDir);
  const port = { port: server.port };
  const mediatorLink = await made.connect('mediator', gateway, undefined, port);
  const terminalLink = await made.connect('terminal', terminal, undefined, port);
  await until(() => mediatorLink.welcomed && terminalLink.welcomed, 'both are welcome');
  const ends = await attachEnds(terminalLink, mediatorLink, grant);
  const keys: Keys = { terminal, gateway, evil, evilGateway };
  return { made, server, keys, ...ends };
}

const fragment = Buffer.concat([headerOf(frameType.report, 1, 0, frameFlag.more), Buffer.of(0)]);
const fragments = Buffer.concat(new Array<Buffer>(100_000).fill(fragment));
const nested = Buffer.from([0xa1, 0x01, ...new Array<number>(15_000).fill(0x81)]);
const anyReport = report.toBytes({
  hostname: 'x'.repeat(200),
  interfaces: [],
  routes: [],
  bootId: Buffer.alloc(16),
  uptimeS: 1,
  services: [],
  software: 'x',
});

/** Sends what `act` sends and waits for the end that the server makes. */
async function attack(peer: RawLink, act: (peer: RawLink) => void): Promise<void> {
  act(peer);
  await peer.end();
}

/** The server refuses as long as it has not noticed that the silent ones have gone. */
async function whenThereIsRoom(port: number): Promise<RawLink> {
  for (let triesLeft = 100; ; triesLeft--) {
    try {
      return await RawLink.connect(port);
    } catch (thrown) {
      if (triesLeft === 0) throw thrown;
    }
  }
}

async function strangers(port: number): Promise<void> {
  const silent = await Promise.all(Array.from({ length: 200 }, () => RawPeer.tcp(port)));
  await until(() => silent.filter(({ closed }) => closed).length >= 136, 'all but 64 are refused');
  for (const { socket } of silent) socket.destroy();
  const links = await Promise.all(Array.from({ length: 24 }, () => whenThereIsRoom(port)));
  const acts: readonly ((peer: RawLink) => void)[] = [
    peer => peer.send(headerOf(frameType.hello, 65_535)),
    peer => peer.frame(frameType.hello, nested),
    peer => peer.send(fragments),
    peer => peer.frame(frameType.command, Buffer.alloc(16_000), 1),
  ];
  await Promise.all(links.map((peer, index) => attack(peer, acts[index % acts.length] ?? (() => {}))));
}

async function hostileMembers(port: number, { evil, evilGateway }: Keys): Promise<void> {
  const flood = await RawLink.member(port, 'terminal', evil);
  await attack(flood, peer => {
    for (let count = 0; count < 50; count++) peer.frame(frameType.statement, nested);
  });
  const gateway = () => RawLink.member(port, 'mediator', evilGateway);
  await attack(await gateway(), peer => peer.send(fragments));
  await attack(await gateway(), peer => {
    for (let count = 0; count < 9_000; count++) peer.frame(frameType.report, anyReport);
  });
  await attack(await gateway(), peer => peer.frame(frameType.report, nested));
  await attack(await RawLink.member(port, 'terminal', evil), peer =>
    peer.frame(frameType.data, Buffer.alloc(100), 99, 1),
  );
}

test('after all attacks, over and over, memory and processor are back at base, and others felt nothing', async t => {
  const { server, keys, atTerminal, atMediator } = await besieged(t);
  let asked = 0;
  const feelNothing = async () => {
    asked++;
    atTerminal.attachment?.sendCommand({ id: asked, verb: 'query', what: 'ports' });
    await until(() => atMediator.commands.length === asked, 'a command of others arrives');
  };
  const round = async () => {
    await Promise.all([strangers(server.port), hostileMembers(server.port, keys), feelNothing()]);
    await feelNothing();
  };
  for (let count = 0; count < 2; count++) await round();
  await server.untilIdle(0.2);
  const before = await server.tell('collect');
  for (let count = 0; count < 4; count++) await round();
  await server.untilIdle(0.2);
  const after = await server.tell('collect');
  const mib = (bytes: number) => Math.round(bytes / 1024 / 102.4) / 10;
  t.log(
    `heap ${mib(before.heapUsed)} -> ${mib(after.heapUsed)} MiB, rss ${mib(before.rss)} -> ${mib(after.rss)} MiB`,
  );
  t.true(after.heapUsed - before.heapUsed < 4 * 1024 * 1024);
  t.true(after.rss - before.rss < 48 * 1024 * 1024);
  t.like(after, { members: 2, attachments: 1, queuedBytes: 0 });
  t.deepEqual([atTerminal.gone, atMediator.gone, server.complaints], [undefined, undefined, []]);
  t.true(server.logged.length < 400, `${server.logged.length} lines`);
});
