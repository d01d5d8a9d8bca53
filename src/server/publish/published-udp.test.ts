import { EventEmitter } from 'node:events';
import test from 'ava';
import { fakeClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { SparingLog } from '../../base/sparing-log.ts';
import type { RelayHandlers } from '../../relay/relay.ts';
import { ScriptRelay } from '../../relay/script-relay.ts';
import { deafRelayHandlers, MemoryNetwork } from '../../relay/testing/memory-network.ts';
import { PlainSide } from '../../switch/plain-side.ts';
import type { PortBypass, TunnelDatagramSocketEvents } from '../../terminal/index.ts';
import type { PacketPeer } from '../../wire/packet.ts';
import type { ClientLimits } from './client-limits.ts';
import { type ClientPort, PublishedUdp } from './published-udp.ts';

/** Published UDP on a clock that is told (P7.6), over a network in memory: a mediator whose every port answers. */

const published = { address: '203.0.113.5', number: 5353 };
const target = { address: '192.168.1.10', number: 53 };
const minute = 60_000;

/** A port of the mediator: says each datagram back, from the target. */
class EchoingPort extends EventEmitter<TunnelDatagramSocketEvents> {
  readonly asked: string[] = [];
  bypassed: PortBypass | undefined;
  isClosed = false;

  send(content: unknown, port: unknown, address: unknown): void {
    this.asked.push(`${content} for ${address}:${port}`);
    this.answer(`${content} answered`, target);
  }

  answer(text: string, { address, number }: PacketPeer): void {
    const remote = {
      address,
      port: number,
      family: 'IPv4',
      size: text.length,
      localAddress: undefined,
    } as const;
    this.emit('message', Buffer.from(text), remote);
  }

  bypass(bypass: PortBypass): void {
    this.bypassed = bypass;
  }

  close(): this {
    this.isClosed = true;
    return this;
  }
}

/** A plain client out there. */
interface Client {
  readonly got: string[];
  say(text: string): void;
}

async function lab(limits: Partial<ClientLimits> = {}) {
  const clock = fakeClock();
  const network = new MemoryNetwork({ clock, delayMs: 0 });
  const handlers: RelayHandlers = {
    ...deafRelayHandlers,
    onPortDatagram: (port, peer, bytes, local) => side.onPortDatagram(port, peer, bytes, local),
    onIdle: (port, peer) => side.onIdle(port, peer),
  };
  const relay = new ScriptRelay({ clock, handlers, sockets: network.host(published.address) });
  const side: PlainSide = new PlainSide(relay, 0);
  const onlyFrom = [{ address: '198.51.100.0', prefixLength: 24 }];
  const port = relay.addPort(published.number, { family: 4, approve: false, onlyFrom });
  const ports: EchoingPort[] = [];
  const audited: PacketPeer[] = [];
  const state = { attached: true, mayAudit: true };
  const nat = new PublishedUdp({
    side,
    port,
    target,
    clock,
    log: new SparingLog({ log: silentLog(), clock, lines: 1, withinMs: minute }),
    clients: 5_000,
    newClientsPerSecond: 10_000,
    idleMs: 2 * minute,
    audit: client => {
      if (!state.mayAudit) throw new Error('the disk is full');
      audited.push(client);
    },
    isAttached: () => state.attached,
    openPort: () => {
      const made = new EchoingPort();
      ports.push(made);
      // Only what PublishedUdp uses of a socket is there.
      return Promise.resolve(made as unknown as ClientPort);
    },
    ...limits,
  });
  /** Lets packets arrive, and promises be kept. */
  const settle = async (ms = 0) => {
    for (let round = 0; round < 4; round++) {
      clock.advance(round === 0 ? ms : 0);
      await new Promise(resolve => setImmediate(resolve));
    }
  };
  const client = (number: number, address = '198.51.100.7'): Client => {
    const got: string[] = [];
    const socket = network.host(address).port(number, undefined, bytes => got.push(bytes.toString()));
    return { got, say: text => socket.send(Buffer.from(text), published, () => {}) };
  };
  return { clock, relay, port, nat, ports, audited, state, settle, client };
}

test('P7.6: each client comes out of a mediator port of its own, is answered there, and leaves one line', async t => {
  const { nat, ports, audited, settle, client } = await lab();
  const [one, other] = [client(1), client(2)];
  one.say('a');
  one.say('b');
  other.say('c');
  await settle();
  t.deepEqual(
    ports.map(({ asked }) => asked),
    [['a for 192.168.1.10:53', 'b for 192.168.1.10:53'], ['c for 192.168.1.10:53']],
  );
  t.deepEqual([one.got, other.got], [['a answered', 'b answered'], ['c answered']]);
  t.deepEqual(
    audited.map(({ number }) => number),
    [1, 2],
  );
  ports[0]?.answer('from another device', { ...target, address: '192.168.1.66' });
  await settle();
  t.is(one.got.length, 2);
  t.deepEqual(nat.counts, { clients: 2, served: 2, expired: 0, full: 0, failed: 0, foreign: 0 });
});

test('P7.6: of thousands of clients those idle for two minutes go, and nobody else is touched', async t => {
  const { nat, ports, settle, client } = await lab();
  const clients = Array.from({ length: 3_000 }, (_, index) => client(index + 1, `198.51.100.${index % 250}`));
  const sayAll = async (of: readonly Client[], text: string) => {
    for (let at = 0; at < of.length; at += 100) {
      for (const each of of.slice(at, at + 100)) each.say(text);
      await settle();
    }
  };
  await sayAll(clients, 'first');
  t.is(nat.counts.clients, 3_000);
  await settle(2 * minute - 1_000);
  t.is(nat.counts.expired, 0);
  const busy = clients.filter((_, index) => index % 2 === 0);
  await sayAll(busy, 'second');
  await settle(10_000);
  t.deepEqual([nat.counts.clients, nat.counts.expired], [1_500, 1_500]);
  t.is(ports.filter(({ isClosed }) => isClosed).length, 1_500);
  await sayAll(busy, 'third');
  t.true(busy.every(({ got }) => got.join() === 'first answered,second answered,third answered'));
  t.is(ports.length, 3_000);
});

test('P7.6: a client beyond the number at once, or too many new ones, are turned away and counted', async t => {
  const { nat, settle, client } = await lab({ clients: 3, newClientsPerSecond: 2 });
  const clients = [1, 2, 3, 4].map(number => client(number));
  for (const each of clients) each.say('x');
  await settle();
  t.deepEqual([nat.counts.clients, nat.counts.full], [2, 2]);
  await settle(1_000);
  for (const each of clients) each.say('y');
  await settle();
  t.deepEqual([nat.counts.clients, nat.counts.full], [3, 3]);
  t.deepEqual(
    clients.map(({ got }) => got.length),
    [2, 2, 1, 0],
  );
});

test('P7.6: who is outside the allowed networks is not heard, and who cannot be audited not served', async t => {
  const { relay, port, nat, ports, state, settle, client } = await lab();
  const stranger = client(1, '192.0.2.1');
  stranger.say('x');
  await settle();
  t.deepEqual([ports.length, relay.report().ports.get(port)?.foreign], [0, 1]);
  state.mayAudit = false;
  client(2).say('x');
  await settle();
  state.mayAudit = true;
  state.attached = false;
  client(3).say('x');
  await settle();
  t.deepEqual([ports.length, nat.counts.failed], [0, 2]);
});
