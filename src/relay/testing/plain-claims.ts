import { until } from '../../native/test-sockets.ts';
import { boundFd, type RelaySubject, rawPeer } from './relay-lab.ts';
import { type Claim, elsewhere, oneChannel, routeUp, textsOf } from './scenes.ts';

/** Claims of compliance.ts about plain UDP peers: published ports and services (P7.6). */

/** Peers at once of the claims about many. */
const thousands = 3_000;

/** What `idleMs` of a subject takes. */
const hastenedIdleMs = 1_000;

/**
 * The longest time for which a count did not rise, that of now included. The count is of what a relay has let through, so that
 * it tells of a relay that had no processor, which a loop here would not.
 */
class LongestGap {
  private readonly count: () => number;
  private last: number;
  private lastMs = performance.now();
  private longestMs = 0;

  constructor(count: () => number) {
    this.count = count;
    this.last = count();
  }

  get ms(): number {
    return Math.max(this.longestMs, performance.now() - this.lastMs);
  }

  look(): void {
    const count = this.count();
    if (count === this.last) return;
    this.longestMs = this.ms;
    this.last = count;
    this.lastMs = performance.now();
  }
}

const peerNumber = (number: number) => ({ address: '192.0.2.9', number });

/** See the head of this file. */
export function claimPlainPeers(claim: Claim, subject: RelaySubject): void {
  claim('a peer of a port may have a route of its own, and a route one peer (P7.6)', async (t, lab) => {
    const pair = await oneChannel(lab);
    const { relay, heard } = pair.member;
    const [own, other] = [await rawPeer(t), await rawPeer(t)];
    const { fd, peer } = boundFd();
    const port = relay.addPort(fd, { approve: false, family: 4 });
    relay.bindPeer(port, own.peer, { cid: 1, route: routeUp, peer: elsewhere });
    relay.bindRoute(1, routeUp, { port, peer: own.peer, only: elsewhere });
    pair.server.relay.bindRoute(1, routeUp, 'script');
    other.send('other', peer);
    await until('the other is the script’s', () => heard.portDatagrams.length === 1);
    own.send('own', peer);
    await until('its own route', () => pair.server.heard.datagrams.length === 1);
    t.deepEqual(pair.server.heard.datagrams[0], { cid: 1, route: routeUp, peer: elsewhere, text: 'own' });
    pair.server.relay.sendDatagram(1, routeUp, peerNumber(1), Buffer.from('somebody else'));
    pair.server.relay.sendDatagram(1, routeUp, elsewhere, Buffer.from('back'));
    await until('the way back', () => own.texts.length === 1);
    t.deepEqual([own.texts, own.got[0]?.from], [['back'], peer]);
    t.is(relay.channelCounters(1)?.unbound, 1);
    relay.bindPeer(port, own.peer, undefined);
    own.send('again', peer);
    await until('it is the script’s again', () => heard.portDatagrams.length === 2);
  });

  claim('a port hears the networks that it is told to, and counts the others (P7.6)', async (t, lab) => {
    const { relay, heard } = lab.open();
    const { fd, peer } = boundFd();
    const onlyFrom = [
      { address: '127.0.0.64', prefixLength: 29 },
      { address: '2001:db8::', prefixLength: 32 },
    ];
    const port = relay.addPort(fd, { approve: false, family: 4, onlyFrom });
    for (const last of [63, 64, 71, 72]) (await rawPeer(t, `127.0.0.${last}`)).send(String(last), peer);
    await until('all have come', () => relay.report().ports.get(port)?.packetsIn === 4);
    await until('two are heard', () => heard.portDatagrams.length === 2);
    t.deepEqual(textsOf(heard.portDatagrams).sort(), ['64', '71']);
    t.is(relay.report().ports.get(port)?.foreign, 2);
  });

  claim('a peer that is silent both ways is forgotten and told, once, others not (P7.6)', async (t, lab) => {
    lab.hasten();
    const { relay, heard } = lab.open();
    const [quiet, asking, answered] = [await rawPeer(t), await rawPeer(t), await rawPeer(t)];
    const { fd, peer } = boundFd();
    const port = relay.addPort(fd, { approve: false, family: 4 });
    for (const each of [quiet, asking, answered]) relay.bindPeer(port, each.peer, 'script', subject.idleMs);
    const gaps = [
      new LongestGap(() => heard.portDatagrams.length),
      new LongestGap(() => answered.got.length),
    ];
    const isQuiet = (told: { peer: { number: number } }) => told.peer.number === quiet.peer.number;
    await until('the quiet one is told', () => {
      for (const gap of gaps) gap.look();
      asking.send('still here', peer);
      relay.sendPlain(port, answered.peer, Buffer.from('and you?'));
      return heard.idle.some(isQuiet);
    });
    // On a machine that let nobody be heard for so long the others were idle, too.
    if (gaps.every(({ ms }) => ms < hastenedIdleMs / 2))
      t.deepEqual(heard.idle, [{ port, peer: quiet.peer }]);
    await until('the others are too', () => heard.idle.length === 3);
    t.is(new Set(heard.idle.map(({ peer: { number } }) => number)).size, 3);
  });

  claim('a service sees a socket for each peer, and its answers go back to it (P7.6)', async (t, lab) => {
    const pair = await oneChannel(lab);
    const service = await rawPeer(t);
    const limits = { maxPeers: 2, idleMs: 120_000, peersPerSecond: 100 };
    const { relay, heard } = pair.member;
    const port = relay.addService({ service: service.peer, ...limits });
    relay.bindPort(port, { cid: 1, route: routeUp });
    relay.bindRoute(1, routeUp, { port });
    pair.server.relay.bindRoute(1, routeUp, 'script');
    const say = (number: number, text = `${number}`) =>
      pair.server.relay.sendDatagram(1, routeUp, peerNumber(number), Buffer.from(text));
    for (const number of [1, 2, 3]) say(number);
    await until('two are served', () => service.got.length === 2);
    t.deepEqual(service.texts, ['1', '2']);
    t.is(new Set(service.got.map(({ from }) => from.number)).size, 2);
    await until('the third is counted', () => relay.report().ports.get(port)?.full === 1);
    for (const { bytes, from } of service.got) service.send(`to ${bytes}`, from);
    await until('both are answered', () => pair.server.heard.datagrams.length === 2);
    const answers = pair.server.heard.datagrams.map(({ peer, text }) => `${peer.number} ${text}`);
    t.deepEqual(answers.sort(), ['1 to 1', '2 to 2']);
    say(1, 'more');
    await until('the same socket', () => service.got.length === 3);
    t.deepEqual(service.got[2]?.from, service.got[0]?.from);
    // Without a route the script speaks for the peer, from the same socket.
    relay.bindPort(port, 'script');
    relay.sendPlain(port, peerNumber(2), Buffer.from('by TCP'));
    await until('it has come', () => service.got.length === 4);
    t.deepEqual(service.got[3]?.from, service.got[1]?.from);
    service.send('hear this', service.got[3]?.from ?? elsewhere);
    await until('the script hears the answer', () => heard.portDatagrams.length === 1);
    const { local: _, ...told } = heard.portDatagrams[0] ?? { local: undefined };
    t.deepEqual(told, { port, peer: peerNumber(2), text: 'hear this' });
  });

  claim('a service’s idle peers give their places to others, and nobody else’s (P7.6)', async (t, lab) => {
    lab.hasten();
    const { relay } = lab.open();
    const service = await rawPeer(t);
    // Longer than it takes to send to all of them.
    const limits = { maxPeers: thousands, idleMs: 4 * subject.idleMs, peersPerSecond: 1_000_000 };
    const port = relay.addService({ service: service.peer, ...limits });
    const say = (number: number) => relay.sendPlain(port, peerNumber(number), Buffer.from(`${number}`));
    let firsts = 0;
    const gap = new LongestGap(() => firsts);
    service.onBytes = bytes => {
      if (bytes.toString() === '1') firsts++;
    };
    // In portions, so that the service's own queue holds them.
    for (let number = 1; number <= thousands; number++) {
      say(number);
      if (number % 100 === 0) await until('they have come', () => service.got.length === number);
    }
    // On a machine that took longer than they live some have made room already.
    if (gap.ms < 2 * hastenedIdleMs)
      t.is(new Set(service.got.map(({ from }) => from.number)).size, thousands);
    const ownNumber = service.got[0]?.from.number;
    await until(
      'a new one has a place',
      () => {
        gap.look();
        say(1);
        say(thousands + 1);
        return service.texts.includes(`${thousands + 1}`);
      },
      20_000,
    );
    const ofFirst = service.got.filter(({ bytes }) => bytes.toString() === '1');
    if (gap.ms < 2 * hastenedIdleMs)
      t.deepEqual([...new Set(ofFirst.map(({ from }) => from.number))], [ownNumber]);
    t.true(firsts > 1);
    relay.removePort(port);
    t.is(relay.report().ports.size, 0);
  });
}
