import { until } from '../../native/test-sockets.ts';
import { boundFd, type RelaySubject, rawPeer } from './relay-lab.ts';
import { type Claim, elsewhere, oneChannel, routeDown, routeUp, textsOf, wholePath } from './scenes.ts';

/** Claims of compliance.ts about routes: where datagrams go, holding, services (P7.4, P7.6). */
export function claimRoutes(claim: Claim, subject: RelaySubject): void {
  claim('what a route holds goes to its target in order when it is bound anew', async (t, lab) => {
    const { member, server } = await oneChannel(lab);
    const { relay, heard } = server;
    relay.bindRoute(1, routeUp, 'script', { held: true });
    for (const text of ['a', 'b', 'c']) member.relay.sendDatagram(1, routeUp, elsewhere, Buffer.from(text));
    member.relay.sendDatagram(1, routeDown, elsewhere, Buffer.from('not held'));
    await until('what is not held has come', () => heard.datagrams.length >= 1);
    t.deepEqual(textsOf(heard.datagrams), ['not held']);
    relay.bindRoute(1, routeUp, 'script');
    member.relay.sendDatagram(1, routeUp, elsewhere, Buffer.from('d'));
    await until('all have come', () => heard.datagrams.length === 5);
    t.deepEqual(textsOf(heard.datagrams).slice(1), ['a', 'b', 'c', 'd']);
  });

  claim('what a route holds goes on by itself after a while', async (t, lab) => {
    lab.hasten();
    const { member, server } = await oneChannel(lab);
    server.relay.bindRoute(1, routeUp, 'script', { held: true });
    member.relay.sendDatagram(1, routeUp, elsewhere, Buffer.from('alone'));
    await until('it goes on by itself', () => server.heard.datagrams.length === 1);
    t.deepEqual(textsOf(server.heard.datagrams), ['alone']);
  });

  claim('what a route holds goes on in order when 256 are held', async (t, lab) => {
    const { member, server } = await oneChannel(lab);
    server.relay.bindRoute(1, routeUp, 'script', { held: true });
    const texts = Array.from({ length: 256 }, (_, index) => String(index));
    for (const text of texts) member.relay.sendDatagram(1, routeUp, elsewhere, Buffer.from(text));
    await until('all have come', () => server.heard.datagrams.length === 256);
    t.deepEqual(textsOf(server.heard.datagrams), texts);
  });

  claim('a peer of a port may have a route of its own, and a route one peer (P7.6)', async (t, lab) => {
    const pair = await oneChannel(lab);
    const { relay, heard } = pair.member;
    const [own, other] = [await rawPeer(t), await rawPeer(t)];
    const { fd, peer } = boundFd();
    const port = relay.addPort(fd, { approve: false, family: 4 });
    relay.bindPeer(port, own.peer, { cid: 1, route: routeUp, peer: elsewhere });
    relay.bindRoute(1, routeUp, { port, peer: own.peer });
    pair.server.relay.bindRoute(1, routeUp, 'script');
    other.send('other', peer);
    await until('the other is the script’s', () => heard.portDatagrams.length === 1);
    own.send('own', peer);
    await until('its own route', () => pair.server.heard.datagrams.length === 1);
    t.deepEqual(pair.server.heard.datagrams[0], { cid: 1, route: routeUp, peer: elsewhere, text: 'own' });
    pair.server.relay.sendDatagram(1, routeUp, elsewhere, Buffer.from('back'));
    await until('the way back', () => own.texts.length === 1);
    t.deepEqual(own.got[0]?.from, peer);
    relay.bindPeer(port, own.peer, undefined);
    own.send('again', peer);
    await until('it is the script’s again', () => heard.portDatagrams.length === 2);
  });

  if (subject.serves)
    claim('a service sees a socket for each peer, and its answers go back to it (P7.6)', async (t, lab) => {
      const pair = await oneChannel(lab);
      const service = await rawPeer(t);
      const target = { service: service.peer, maxPeers: 2, idleMs: 120_000, peersPerSecond: 100 };
      pair.member.relay.bindRoute(1, routeUp, target);
      pair.server.relay.bindRoute(1, routeUp, 'script');
      const peers = [1, 2, 3].map(number => ({ address: '192.0.2.9', number }));
      for (const peer of peers)
        pair.server.relay.sendDatagram(1, routeUp, peer, Buffer.from(`${peer.number}`));
      await until('two are served', () => service.got.length === 2);
      t.deepEqual(service.texts, ['1', '2']);
      t.is(new Set(service.got.map(({ from }) => from.number)).size, 2);
      await until('the third is counted', () => pair.member.relay.channelCounters(1)?.full === 1);
      for (const { bytes, from } of service.got) service.send(`to ${bytes}`, from);
      await until('both are answered', () => pair.server.heard.datagrams.length === 2);
      const answers = pair.server.heard.datagrams.map(({ peer, text }) => `${peer.number} ${text}`);
      t.deepEqual(answers.sort(), ['1 to 1', '2 to 2']);
      pair.server.relay.sendDatagram(1, routeUp, { address: '192.0.2.9', number: 1 }, Buffer.from('more'));
      await until('the same socket', () => service.got.length === 3);
      t.deepEqual(service.got[2]?.from, service.got[0]?.from);
    });

  claim('datagrams from elsewhere than the path are told, and delivered (P7.4)', async (t, lab) => {
    const { member, server, serverPeer } = await oneChannel(lab);
    const other = member.relay.openMemberDoor(serverPeer);
    member.relay.setPath(1, { door: other, peer: serverPeer, packetBytes: 1200 });
    member.relay.sendDatagram(1, routeDown, elsewhere, Buffer.from('moved'));
    await until('it is delivered', () => server.heard.datagrams.length === 1);
    await until('it is told', () => server.heard.elsewhere.length === 1);
    member.relay.sendControl(1, other, serverPeer, { kind: 'keepalive', id: 2 });
    await until('a control body says from where', () => server.heard.controls.length === 2);
    t.deepEqual(server.heard.controls[1]?.from, server.heard.elsewhere[0]);
  });

  claim(
    'a channel without a path drops and counts; so does a route that is bound to nothing',
    async (t, lab) => {
      const { member, server } = await oneChannel(lab);
      member.relay.setPath(1, undefined);
      member.relay.sendDatagram(1, routeDown, elsewhere, Buffer.from('x'));
      await until('it is counted', () => member.relay.channelCounters(1)?.pathless === 1);
      server.relay.sendDatagram(1, 12345, elsewhere, Buffer.from('x'));
      await until('it is counted', () => member.relay.channelCounters(1)?.unbound === 1);
      server.relay.sendDatagram(1, routeDown, elsewhere, Buffer.from('y'));
      await until('it has come', () => member.heard.datagrams.length === 1);
      member.relay.unbindRoute(1, routeDown);
      server.relay.sendDatagram(1, routeDown, elsewhere, Buffer.from('z'));
      await until('it is counted', () => member.relay.channelCounters(1)?.unbound === 2);
      t.is(member.heard.datagrams.length, 1);
    },
  );

  claim('a removed channel knows nothing any more, and what led to it is the script’s', async (t, lab) => {
    const { mediator, port, device, portPeer } = await wholePath(t, lab, 'aes-128-gcm');
    const { relay, heard } = mediator.member;
    relay.removeChannel(1);
    device.send('x', portPeer);
    await until('it is the script’s', () => heard.portDatagrams.length === 1);
    t.is(heard.portDatagrams[0]?.port, port);
    t.is(relay.channelCounters(1), undefined);
    mediator.server.relay.sendControl(1, mediator.server.door, mediator.memberPeer, { kind: 'echo', id: 1 });
    await until('it is unknown', () => relay.report().doors.get(mediator.member.door)?.unknown === 1);
    t.is(heard.controls.length, 0);
  });
}
