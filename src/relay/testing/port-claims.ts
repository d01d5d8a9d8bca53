import { requireAddon } from '../../native/addon.ts';
import { until, untilFree } from '../../native/test-sockets.ts';
import type { PacketPeer } from '../../wire/packet.ts';
import { boundFd, freeNumber, type RelaySubject, rawPeer, shortTimes } from './relay-lab.ts';
import { type Claim, elsewhere, oneChannel, routeDown, routeUp, wholePath } from './scenes.ts';

function canBeHad({ address, number }: PacketPeer): boolean {
  const held = requireAddon().reserveUdp(address, number);
  if (typeof held !== 'string') requireAddon().close(held.fd);
  return typeof held !== 'string';
}

/** Claims of compliance.ts about plain sockets: approvals, addresses, numbers (P5.9). */
export function claimPorts(claim: Claim, subject: RelaySubject): void {
  claim('a peer that is not approved is asked about, and sent to once it is (P5.9)', async (t, lab) => {
    const { mediator, terminal, port, device } = await wholePath(t, lab, 'aes-128-gcm', true);
    const { relay, heard } = mediator.member;
    const say = (text: string) =>
      terminal.member.relay.sendDatagram(2, routeUp, device.peer, Buffer.from(text));
    say('first');
    await until('asked', () => heard.unapproved.length === 1);
    t.deepEqual(heard.unapproved[0], { port, peer: device.peer });
    t.is(device.texts.length, 0);
    relay.approve(port, device.peer);
    say('second');
    await until('both there', () => device.texts.length === 2);
    t.deepEqual(device.texts, ['first', 'second']);
    relay.clearApprovals(port);
    say('third');
    await until('asked again', () => heard.unapproved.length === 2);
    t.is(device.texts.length, 2);
  });

  claim(
    'what waits for its peer’s approval leaves in order, before what comes later (P5.9)',
    async (t, lab) => {
      const { mediator, terminal, port, device } = await wholePath(t, lab, 'aes-128-gcm', true);
      const { relay, heard } = mediator.member;
      const say = (text: string) =>
        terminal.member.relay.sendDatagram(2, routeUp, device.peer, Buffer.from(text));
      const sent = Array.from({ length: 20 }, (_, index) => `${index}`);
      for (const text of sent) {
        say(text);
        // The answer comes somewhere between them.
        if (text === '9') await until('asked', () => heard.unapproved.length === 1);
        if (text === '9') relay.approve(port, device.peer);
      }
      await until('all there', () => device.texts.length === sent.length);
      t.deepEqual(device.texts, sent);
      t.is(heard.unapproved.length, 1);
    },
  );

  claim(
    'what waits for a peer that is refused is dropped, and the next is asked about (P5.9)',
    async (t, lab) => {
      const { mediator, terminal, port, device } = await wholePath(t, lab, 'aes-128-gcm', true);
      const { relay, heard } = mediator.member;
      const say = (text: string) =>
        terminal.member.relay.sendDatagram(2, routeUp, device.peer, Buffer.from(text));
      say('refused');
      await until('asked', () => heard.unapproved.length === 1);
      relay.refuse(port, device.peer);
      await until('dropped', () => relay.report().ports.get(port)?.unbound === 1);
      say('approved');
      await until('asked again', () => heard.unapproved.length === 2);
      relay.approve(port, device.peer);
      await until('there', () => device.texts.length === 1);
      t.deepEqual(device.texts, ['approved']);
    },
  );

  claim(
    '64 datagrams wait for a peer’s approval; what is beyond is dropped and counted (P5.9)',
    async (t, lab) => {
      const { mediator, terminal, port, device } = await wholePath(t, lab, 'aes-128-gcm', true);
      const { relay } = mediator.member;
      for (let index = 0; index < 66; index++)
        terminal.member.relay.sendDatagram(2, routeUp, device.peer, Buffer.from(`${index}`));
      await until('two are dropped', () => relay.report().ports.get(port)?.full === 2);
      relay.approve(port, device.peer);
      await until('all there', () => device.texts.length === 64);
      t.deepEqual(device.texts.slice(-1), ['63']);
    },
  );

  claim('256 peers are asked about at once, and the 257th is not (P5.9)', async (t, lab) => {
    const { mediator, terminal, port } = await wholePath(t, lab, 'aes-128-gcm', true);
    const { relay, heard } = mediator.member;
    const say = (number: number) =>
      terminal.member.relay.sendDatagram(2, routeUp, { address: '127.0.0.1', number }, Buffer.alloc(0));
    // More at once would not fit a socket's buffer.
    for (let number = 1; number <= 256; number++) {
      say(number);
      if (number % 64 === 0) await until('asked', () => heard.unapproved.length === number);
    }
    say(257);
    await until('one is dropped', () => relay.report().ports.get(port)?.full === 1);
    t.is(heard.unapproved.length, 256);
  });

  claim('a datagram from a peer approves nobody, and an idle approval ends (P5.9)', async (t, lab) => {
    lab.hasten();
    const { mediator, terminal, port, device, portPeer } = await wholePath(t, lab, 'aes-128-gcm', true);
    device.send('from the LAN', portPeer);
    await until('it is at the terminal', () => terminal.member.heard.datagrams.length === 1);
    const say = () => terminal.member.relay.sendDatagram(2, routeUp, device.peer, Buffer.from('x'));
    say();
    await until('asked', () => mediator.member.heard.unapproved.length === 1);
    mediator.member.relay.approve(port, device.peer);
    const idleFrom = performance.now();
    await until('it is idle', () => performance.now() - idleFrom > shortTimes.approvalIdleMs + 50);
    say();
    await until('asked again', () => mediator.member.heard.unapproved.length === 2);
    t.is(device.texts.length, 1);
  });

  claim('the 1,025th approved peer takes the place of the one idle longest (P5.9)', async (t, lab) => {
    const { mediator, terminal, port, device } = await wholePath(t, lab, 'aes-128-gcm', true);
    const { relay, heard } = mediator.member;
    relay.approve(port, device.peer);
    for (let index = 0; index < 1024; index++)
      relay.approve(port, { address: '192.0.2.1', number: index + 1 });
    terminal.member.relay.sendDatagram(2, routeUp, device.peer, Buffer.from('x'));
    await until('asked', () => heard.unapproved.length === 1);
    t.is(device.texts.length, 0);
  });

  claim(
    'a socket that became a port is the relay’s alone: the addon closes it for nobody',
    async (t, lab) => {
      const { fd } = boundFd();
      lab.open().relay.addPort(fd, { approve: false, family: 4 });
      t.is(requireAddon().close(fd), 'EBADF');
    },
  );

  claim(
    'a port of the script’s: what comes, what is sent, and its number is free in the end',
    async (t, lab) => {
      const { relay, heard } = lab.open();
      const device = await rawPeer(t);
      const { fd, peer } = boundFd();
      const port = relay.addPort(fd, { approve: true, family: 4 });
      device.send('in', peer);
      await until('it has come', () => heard.portDatagrams.length === 1);
      const { local: _, ...told } = heard.portDatagrams[0] ?? { local: undefined };
      t.deepEqual(told, { port, peer: device.peer, text: 'in' });
      relay.sendPlain(port, device.peer, Buffer.from('out'));
      await until('it is there', () => device.texts.length === 1);
      const counters = relay.report().ports.get(port);
      t.deepEqual(
        [counters?.packetsIn, counters?.bytesIn, counters?.packetsOut, counters?.bytesOut],
        [1, 2, 1, 3],
      );
      relay.bindPort(port, 'drop');
      device.send('dropped', peer);
      await until('it is counted', () => relay.report().ports.get(port)?.unbound === 1);
      relay.removePort(port);
      t.is(relay.report().ports.size, 0);
      await untilFree(() => canBeHad(peer));
    },
  );

  claim(
    'ports of one group share what they may move in a second; the rest is counted (P6.3)',
    async (t, lab) => {
      const { relay, heard } = lab.open();
      const device = await rawPeer(t);
      const [one, other] = [boundFd(), boundFd()];
      const ports = [one, other].map(({ fd }) => relay.addPort(fd, { approve: false, family: 4 }));
      const limit = { group: 1, bytesPerSecond: 1024 };
      for (const port of ports) relay.limitPort(port, limit);
      const datagram = Buffer.alloc(1000, 'x');
      // A second of it each: the first is paid from the beginning's fifth, what follows at once is not.
      for (const { peer } of [one, other, one]) device.send(datagram, peer);
      for (const port of ports) relay.sendPlain(port, device.peer, datagram);
      const sum = (count: 'packetsIn' | 'packetsOut' | 'limited') =>
        ports.reduce((total, port) => total + (relay.report().ports.get(port)?.[count] ?? 0), 0);
      await until('all are counted', () => sum('packetsIn') === 3 && sum('limited') >= 3);
      t.true(heard.portDatagrams.length + sum('packetsOut') + sum('limited') <= 5);
      for (const port of ports) relay.limitPort(port, undefined);
      const before = sum('packetsOut');
      for (const port of ports) relay.sendPlain(port, device.peer, datagram);
      await until('nothing bounds them any more', () => sum('packetsOut') === before + 2);
    },
  );

  claim('IPv6: a device on ::1 is served, and the packet says who it is', async (t, lab) => {
    const server = await lab.server('::1');
    const { member } = await lab.channel(server, 3);
    server.relay.bindRoute(3, routeUp, 'script');
    const device = await rawPeer(t, '::1');
    const { fd, peer } = boundFd('::1');
    const port = member.relay.addPort(fd, { approve: false, family: 6 });
    member.relay.bindPort(port, { cid: 3, route: routeUp });
    member.relay.bindRoute(3, routeUp, { port });
    device.send('six', peer);
    await until('it has come', () => server.heard.datagrams.length === 1);
    t.deepEqual(server.heard.datagrams[0]?.peer, device.peer);
    server.relay.sendDatagram(3, routeUp, device.peer, Buffer.from('back'));
    await until('it is back', () => device.texts.length === 1);
    t.deepEqual(device.got[0]?.from, peer);
  });

  claim('IPv4 members reach a door on ::, and are known by their IPv4 addresses', async (t, lab) => {
    const server = await lab.server('::');
    const pair = await lab.channel({ ...server, peer: { ...server.peer, address: '127.0.0.1' } }, 4);
    t.is(pair.memberPeer.address, '127.0.0.1');
    server.relay.sendControl(4, server.door, pair.memberPeer, { kind: 'echo', id: 8 });
    await until('it is answered', () => pair.member.heard.controls.length === 1);
  });

  claim('a number that is taken is said', async (t, lab) => {
    const server = await lab.server();
    const refused = await t.throwsAsync(
      lab.open().relay.openServiceDoor(server.peer.address, server.peer.number),
    );
    t.is(Reflect.get(refused ?? {}, 'code'), 'port-in-use');
  });

  claim('a closed relay tells nothing, answers nothing, and its numbers are free', async (t, lab) => {
    const { member, server, serverPeer } = await oneChannel(lab);
    server.relay.close();
    const before = server.heard.controls.length;
    member.relay.sendControl(1, member.door, serverPeer, { kind: 'keepalive', id: 5 });
    server.relay.sendDatagram(1, routeDown, elsewhere, Buffer.from('x'));
    server.relay.close();
    await untilFree(() => canBeHad(serverPeer));
    t.is(server.heard.controls.length, before);
  });

  if (subject.hearsUnreachable)
    claim(
      'a peer that cannot be reached is told, and the next datagram goes all the same',
      async (t, lab) => {
        const { relay, heard } = lab.open();
        const { fd } = boundFd();
        const device = await rawPeer(t);
        const port = relay.addPort(fd, { approve: false, family: 4 });
        const nobody = { address: '127.0.0.1', number: freeNumber() };
        relay.sendPlain(port, nobody, Buffer.from('x'));
        await until('it is told', () => heard.unreachable.length === 1);
        t.deepEqual(heard.unreachable[0], { port, peer: nobody, code: 3 });
        relay.sendPlain(port, nobody, Buffer.from('x'));
        relay.sendPlain(port, device.peer, Buffer.from('y'));
        await until('it is there', () => device.texts.length === 1);
      },
    );

  if (subject.knowsLocal)
    claim('a port and a door on a wildcard answer from the address they were asked at', async (t, lab) => {
      const { relay, heard } = lab.open();
      const device = await rawPeer(t);
      const { fd, peer } = boundFd('0.0.0.0');
      const port = relay.addPort(fd, { approve: false, family: 4 });
      device.send('x', { ...peer, address: '127.0.0.7' });
      await until('it has come', () => heard.portDatagrams.length === 1);
      t.is(heard.portDatagrams[0]?.local, '127.0.0.7');
      relay.sendPlain(port, device.peer, Buffer.from('y'));
      relay.sendPlain(port, device.peer, Buffer.from('z'), '127.0.0.8');
      await until('both are there', () => device.texts.length === 2);
      t.deepEqual(
        device.got.map(({ from }) => from.address),
        ['127.0.0.7', '127.0.0.8'],
      );
      const server = await lab.server('0.0.0.0');
      // The member's door takes packets from that address alone.
      const pair = await lab.channel({ ...server, peer: { ...server.peer, address: '127.0.0.9' } }, 5);
      server.relay.sendControl(5, server.door, pair.memberPeer, { kind: 'echo', id: 8 });
      await until('it is answered', () => pair.member.heard.controls.length === 1);
    });
}
