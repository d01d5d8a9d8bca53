import { until } from '../../native/test-sockets.ts';
import { type Claim, elsewhere, oneChannel, routeDown, routeUp, textsOf, wholePath } from './scenes.ts';

/** Claims of compliance.ts about routes: where datagrams go, and holding (P7.4). */
export function claimRoutes(claim: Claim): void {
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
