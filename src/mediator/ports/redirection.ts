import type { Clock } from '../../base/clock.ts';
import { type Deferred, deferred } from '../../base/deferred.ts';
import type { ChannelSource } from '../../member/channel-source.ts';
import type { RelayPort } from '../../relay/relay.ts';
import type { RelayHub } from '../../relay/relay-hub.ts';
import type { Portroute } from '../../wire/messages/attach.ts';
import type { Carrier } from '../../wire/messages/shared.ts';
import type { PacketPeer } from '../../wire/packet.ts';

/**
 * A redirected port (P5.5, P7.7): its datagrams go over the mediator's UDP channel while there is a route for them, and
 * else as `fallback` says.
 *
 *     waiting --make--> asked --made--> over UDP --channel lost, withdraw--> waiting ...
 *        ^                └--refuse, silence--> waiting       tried again when a channel comes up, and every few seconds
 *        └── back(): over the TCP channel for good
 *
 * Each direction moves by itself. Who sends puts a mark among the datagrams of the TCP channel; who receives holds what
 * comes by the other way until it has seen the mark, or for 100 ms: so nothing overtakes in a planned move.
 */

/** What goes on while UDP does not pass. */
export type Fallback = 'tcp' | 'none';

/** What a redirection needs of its port. */
export interface RedirectionHost {
  /** The port's id, which is also its route (P7.2). */
  readonly id: number;
  readonly port: RelayPort;
  readonly hub: RelayHub;
  readonly channels: ChannelSource;
  /** The port has left its channel for good. */
  onLeft(): void;
  readonly clock: Clock;
  readonly fallback: Fallback;
  /** Says PORTROUTE; false when there is no label to say it on. */
  sendPortroute(message: Omit<Portroute, 'label'>): boolean;
  /** Puts a mark among the datagrams of the TCP channel. */
  sendMark(): void;
  /** A datagram that UDP has no room for (P7.5). */
  sendOversize(peer: PacketPeer, bytes: Buffer): void;
  /** What carries the port's datagrams has changed. */
  onCarrier(carrier: Carrier): void;
}

/** How long the server and the terminal may take to answer `make`. */
const answerMs = 5_000;

/** How often a port that waits asks again. */
const retryMs = 10_000;

/** How long REDIRECT waits to say which channel is in force; where the TCP channel may do meanwhile, datagrams wait for it. */
const firstAnswerMs: Readonly<Record<Fallback, number>> = { tcp: 500, none: 2_000 };

/**
 * The relay has another thread: what it handed up before it was bound anew comes a turn of the event loop later. Twice
 * so long, since a timer may be late itself.
 */
const handUpMs = 5;

/** How long late packets are awaited after a move to the TCP channel, and datagrams of that held meanwhile. */
const holdMs = 100;
const lingerMs = 500;

/** See the head of this file. */
export class Redirection {
  private readonly host: RedirectionHost;
  private readonly first: Deferred<Carrier> = deferred();
  private state: 'waiting' | 'asked' | 'udp' | 'over' = 'waiting';
  private told: Carrier | undefined;
  /** There is a new label, and it is not known yet whether the route is there still. */
  private isDoubted = false;
  private cid: number | undefined;
  /** Towards the LAN: the mark is awaited, has come, or has come again. */
  private inbound: 'tcp' | 'held' | 'udp' = 'tcp';
  private held: (() => void)[] | undefined;
  private readonly unwatch: () => void;
  private cancelTimer = () => {};

  constructor(host: RedirectionHost) {
    this.host = host;
    this.unwatch = host.channels.watch(() => this.onChannels());
    this.settleAfter(firstAnswerMs[host.fallback]);
    this.rest();
    this.ask();
  }

  /** Resolves once it is known whether UDP passes now. */
  get firstCarrier(): Promise<Carrier> {
    return this.first.promise;
  }

  /** What carries the port's datagrams. */
  get carrier(): Carrier {
    return this.state === 'udp' ? 'udp' : this.host.fallback;
  }

  /** PORTROUTE about the port has come. */
  onPortroute({ step }: Portroute): void {
    if (step === 'made' && this.state === 'asked') return this.onMade();
    if (step === 'make' && this.state === 'waiting') return this.ask();
    if (step === 'refuse' && this.state === 'asked') return this.fail();
    if (step === 'withdraw' && (this.state === 'udp' || this.state === 'asked')) this.onWithdrawn();
  }

  private onWithdrawn(): void {
    const wasDoubted = this.isDoubted;
    this.fail();
    // The other end is there, and knows that there is none.
    if (wasDoubted) this.ask();
  }

  /** Among the terminal's datagrams a mark has come: those that follow go another way, or come from one. */
  onMark(): void {
    const { hub, id, port, clock } = this.host;
    if (this.inbound === 'held' && this.cid !== undefined) {
      this.inbound = 'udp';
      hub.relay.bindRoute(this.cid, id, { port });
    } else if (this.inbound === 'udp') {
      this.inbound = 'tcp';
      this.held = [];
      clock.after(holdMs, () => this.releaseHeld());
    }
  }

  /** A datagram of the terminal's has come by the TCP channel: `send` goes in its turn. */
  inTurn(send: () => void): void {
    if (this.held === undefined) send();
    else this.held.push(send);
  }

  private releaseHeld(): void {
    const { held = [] } = this;
    this.held = undefined;
    for (const send of held) send();
  }

  /** The label is gone: a route that is made goes on as long as the channels do (P7.4). */
  onAway(): void {
    if (this.state === 'asked') this.fail();
    // The mark may have been on its way with the label.
    if (this.inbound === 'held') this.onMark();
  }

  /** There is another label: the server says if it has the route no more (P7.2). */
  onBack(): void {
    const { id, sendPortroute } = this.host;
    if (this.state === 'waiting') return this.ask();
    if (this.state !== 'udp' || this.cid === undefined) return;
    this.isDoubted = true;
    this.wait(answerMs, () => {
      this.isDoubted = false;
    });
    sendPortroute({ port: id, step: 'made', cid: this.cid });
  }

  /** The port is an opened one again: a planned move to the TCP channel. What is on its way by UDP still arrives. */
  back(): void {
    const { hub, port, clock } = this.host;
    const { state, cid } = this;
    this.end();
    if (state === 'udp') this.host.sendMark();
    hub.relay.bindPort(port, 'script');
    clock.after(lingerMs, () => this.leave(cid));
  }

  /** The port is closed. */
  close(): void {
    this.end();
    this.leave(this.cid);
  }

  private end(): void {
    this.state = 'over';
    this.unwatch();
    this.cancelTimer();
    this.first.resolve('tcp');
  }

  private leave(cid: number | undefined): void {
    const { hub, id, sendPortroute, onLeft } = this.host;
    if (cid !== undefined) {
      this.unbind(cid);
      hub.listenToRoute(cid, id, undefined);
      sendPortroute({ port: id, step: 'withdraw' });
    }
    onLeft();
  }

  private unbind(cid: number): void {
    this.host.hub.relay.unbindRoute(cid, this.host.id);
  }

  private onChannels(): void {
    if (this.state === 'over') return;
    const { cid } = this.host.channels;
    if (this.cid !== undefined && this.cid !== cid) this.fail();
    if (this.state === 'waiting' && cid !== undefined) this.ask();
  }

  private ask(): void {
    const { channels, hub, id, port, sendPortroute, sendOversize } = this.host;
    const { cid } = channels;
    if (cid === undefined) return this.settleIfHopeless();
    this.state = 'asked';
    this.cid = cid;
    this.inbound = 'held';
    hub.relay.bindRoute(cid, id, { port }, { held: true });
    hub.listenToRoute(cid, id, { onDatagram: () => {}, onOversize: sendOversize });
    if (!sendPortroute({ port: id, step: 'make', cid })) return this.fail();
    this.wait(answerMs, () => this.fail());
  }

  private onMade(): void {
    const { hub, port, id, clock } = this.host;
    const { cid } = this;
    if (cid === undefined) return;
    this.state = 'udp';
    this.cancelTimer();
    hub.relay.bindPort(port, { cid, route: id });
    clock.after(handUpMs, () => clock.after(handUpMs, () => this.mark()));
    this.tell();
  }

  private mark(): void {
    if (this.state === 'udp') this.host.sendMark();
  }

  /** There is no route, for now. */
  private fail(): void {
    const { cid } = this;
    this.state = 'waiting';
    this.isDoubted = false;
    this.cid = undefined;
    this.inbound = 'tcp';
    if (cid !== undefined) {
      this.unbind(cid);
      this.host.hub.listenToRoute(cid, this.host.id, undefined);
    }
    this.rest();
    this.tell();
  }

  /** Datagrams go as the fallback says, until the next try. */
  private rest(): void {
    const { hub, port, fallback } = this.host;
    hub.relay.bindPort(port, fallback === 'tcp' ? 'script' : 'drop');
    this.wait(retryMs, () => this.retry());
  }

  private retry(): void {
    this.wait(retryMs, () => this.retry());
    this.ask();
  }

  private wait(ms: number, then: () => void): void {
    this.cancelTimer();
    this.cancelTimer = this.host.clock.after(ms, then);
  }

  private settleIfHopeless(): void {
    // A channel that is on its way is worth the wait that REDIRECT grants.
    if (this.told !== undefined || !this.host.channels.isTrying) this.tell();
  }

  private settleAfter(ms: number): void {
    this.host.clock.after(ms, () => {
      if (this.told === undefined && this.state !== 'over') this.tell();
    });
  }

  /** The first time by RESULT, then by EVENT. */
  private tell(): void {
    const { carrier, told } = this;
    this.told = carrier;
    if (told === undefined) this.first.resolve(carrier);
    else if (told !== carrier) this.host.onCarrier(carrier);
  }
}
