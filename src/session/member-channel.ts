import { randomBytes } from 'node:crypto';
import { type ErrorCode, errorCodeOf } from '../base/errors.ts';
import { bundleBytesOf, openedKinds } from '../wire/bundle.ts';
import type { Channel } from '../wire/messages/attach.ts';
import type { ControlBody, PacketPeer } from '../wire/packet.ts';
import type { PacketSuite } from '../wire/packet-key.ts';
import { ChannelKeepalive } from './channel-keepalive.ts';
import { type ChannelSecret, channelKeys } from './channel-keys.ts';
import type { EpochKeys } from './channel-packets.ts';
import { type ChannelEnd, defaultRekeyPackets, type MemberChannelOptions } from './member-channel-options.ts';
import { parsePeer } from './parse-peer.ts';
import { PathSize } from './path-size.ts';

/**
 * The member's side of one UDP channel (P7.1), from `offer` to its end. Knows no socket and seals nothing: packets leave
 * from places, which its owner makes; place 0 is the channel's own, others are spare ones of the learner.
 *
 *     offered --accept--> probing --up--> up --keepalives unanswered--> down(lost)
 *        └──refuse──> down(refused)  └──nothing passes──> down(blocked)
 */

/** The place that the channel's own packets leave from. */
export const ownPlace = 0;

/** When PROBE is sent again, and when it is given up, after the first one. */
const probeWaitsMs = [500, 1_000, 2_000, 2_500];

/** How long `accept` is waited for. */
const acceptMs = 10_000;

/** Keys are exchanged for fresh ones after this long, or when that many packets have passed: 2^30 end a key (P7.3). */
const keysMs = 4 * 3_600_000;

/** See the head of this file. */
export class MemberChannel {
  private readonly options: MemberChannelOptions;
  private readonly nonce = randomBytes(32);
  private readonly keepalive: ChannelKeepalive;
  private readonly size: PathSize;
  private number: number | undefined;
  private phase: 'offered' | 'probing' | 'up' | 'down' = 'offered';
  private cancelTimer = () => {};
  private suite: PacketSuite | undefined;
  /** Kinds that the server opens beyond the first eleven. */
  private serverOpens: readonly number[] = [];
  /** Since the last ALIVE. */
  private isUsed = false;
  /** Of the keys in use: since when, and how many packets had passed by then. */
  private keyed = { atMs: 0, packets: 0 };
  /** Of a rekey that has not been answered. */
  private rekeyNonce: Buffer | undefined;

  constructor(options: MemberChannelOptions) {
    const { clock } = options;
    this.options = options;
    this.keepalive = new ChannelKeepalive({
      clock,
      intervalMs: () => options.keepaliveMs(),
      random: () => options.random(),
      send: id => this.send(ownPlace, { kind: 'keepalive', id }),
      askLink: () => options.askLink(),
      received: () => (this.number === undefined ? 0 : options.packets.received(this.number)),
      onRebound: (from, to) => {
        this.seekSize();
        options.onRebound(from, to);
      },
      onUnanswered: () => this.down('lost'),
    });
    this.size = new PathSize({
      clock,
      send: (id, packetBytes) => this.send(ownPlace, { kind: 'size', id, packetBytes }),
      onChange: () => options.onSize(),
    });
  }

  /** True while packets can be exchanged. */
  get up(): boolean {
    return this.phase === 'up';
  }

  /** Its cid, once it is accepted. */
  get cid(): number | undefined {
    return this.number;
  }

  /** The longest packet that is known to come through to the server (P7.5). */
  get packetBytes(): number {
    return this.size.packetBytes;
  }

  /** The longest packet that datagrams may share on the way to the server; undefined: it opens none (P7.2). */
  get bundleBytes(): number | undefined {
    return bundleBytesOf(this.size, this.serverOpens);
  }

  /** Offers the channel. */
  start(): void {
    this.wait(acceptMs, () => this.down('refused'));
    const { say, suites } = this.options;
    say({ step: 'offer', nonce: this.nonce, suites: [...suites], opens: [...openedKinds] });
  }

  /** CHANNEL has come over the link. */
  onMessage(message: Channel): void {
    const { step, cid } = message;
    if (this.phase === 'offered' && step === 'accept') return this.onAccept(message);
    // It was given up meanwhile.
    if (step === 'accept' && cid !== undefined) return this.options.say({ step: 'close', cid });
    if (this.phase === 'offered' && step === 'refuse')
      return this.down('refused', message.reason === undefined ? undefined : errorCodeOf(message.reason));
    if (cid === undefined || cid !== this.number) return;
    if (step === 'up' && this.phase === 'probing') this.onUp(parsePeer(message.observed ?? ''));
    if (step === 'rekeyed') this.onRekeyed(message);
    // The keys of now go on, and it is asked again when they are looked at.
    if (step === 'refuse') this.rekeyNonce = undefined;
    if (step === 'close') this.down('lost');
  }

  /**
   * The link is another one, to the same server process, which has the channel still. False: it cannot go on, since
   * what was asked for on the old link is lost.
   */
  onNewLink(): boolean {
    if (this.number === undefined || this.phase === 'down') return false;
    this.rekeyNonce = undefined;
    // The network may be another one, too: then this moves the path.
    this.nudge();
    return true;
  }

  /** Says KEEPALIVE now: there is a reason to ask whether anything passes, and how long packets may be. */
  nudge(): void {
    this.isUsed ||= this.up;
    this.doubt();
  }

  /** Says KEEPALIVE now: it may be that nothing passes any more. */
  doubt(): void {
    if (this.up) this.keepalive.nudge();
  }

  /** So many packets have passed since it began, in both directions: its keys are exchanged when it is time (P7.3). */
  considerRekey(packets: number): void {
    const { number: cid, keyed, rekeyNonce, options } = this;
    if (!this.up || cid === undefined || rekeyNonce !== undefined) return;
    const age = options.clock.now() - keyed.atMs;
    const { rekeyPackets = defaultRekeyPackets } = options;
    if (age < keysMs && packets - keyed.packets < rekeyPackets) return;
    this.keyed = { ...keyed, packets };
    this.rekeyNonce = randomBytes(32);
    options.say({ step: 'rekey', cid, nonce: this.rekeyNonce });
  }

  private onRekeyed({ cid, epoch, nonce }: Channel): void {
    const { rekeyNonce, suite, options } = this;
    if (rekeyNonce === undefined || suite === undefined || cid === undefined) return;
    if (epoch === undefined || nonce === undefined) return;
    this.rekeyNonce = undefined;
    options.packets.addEpoch(
      cid,
      this.keysOf({ cid, epoch, suite, memberNonce: rekeyNonce, serverNonce: nonce }),
    );
    // The server seals with its new key once it has heard this one.
    this.nudge();
    options.onRekeyed?.(epoch);
  }

  private keysOf(secret: Omit<ChannelSecret, 'exporter'>): EpochKeys {
    const keys = channelKeys({ ...secret, exporter: this.options.secret() });
    this.keyed = { ...this.keyed, atMs: this.options.clock.now() };
    return { epoch: secret.epoch, sealKey: keys.memberToServer, openKey: keys.serverToMember };
  }

  /** A packet of the channel has come to a place. */
  onControl(place: number, body: ControlBody): void {
    if (this.phase === 'down') return;
    if (body.kind === 'alive' && place !== ownPlace) this.options.onSeen(place, body.peer);
    if (body.kind === 'echo') this.options.onEcho(place, body.id);
    if (place !== ownPlace) return;
    if (body.kind === 'challenge') this.send(ownPlace, { kind: 'answer', token: body.token });
    if (body.kind === 'size') this.send(ownPlace, { ...body, kind: 'sized' });
    if (body.kind === 'sized') this.size.onSized(body.id, body.packetBytes);
    if (body.kind === 'alive') {
      this.keepalive.onAlive(body.id, body.peer);
      this.size.confirm(this.isUsed);
      this.isUsed = false;
    }
  }

  private seekSize(): void {
    const { packets, server } = this.options;
    if (packets.setsDf) this.size.begin(server);
  }

  /** The key has sealed all that it may (P7.3). */
  onSpent(): void {
    this.down('lost');
  }

  /** Asks the server to speak to a place after a silence (P8.3). */
  ask(place: number, id: number, afterMs: number): void {
    if (this.up) this.send(place, { kind: 'echo-after', id, afterMs });
  }

  /** Asks the server as what it sees a spare place. */
  sight(place: number, id: number): void {
    if (this.up) this.send(place, { kind: 'keepalive', id });
  }

  /** Ends the channel; nobody is told but the server. */
  stop(): void {
    if (this.phase === 'down') return;
    this.phase = 'down';
    this.cancelTimer();
    this.keepalive.stop();
    this.size.stop();
    if (this.number === undefined) return;
    this.options.say({ step: 'close', cid: this.number });
    this.options.packets.remove(this.number);
  }

  private down(why: ChannelEnd, code?: ErrorCode): void {
    if (this.phase === 'down') return;
    this.stop();
    this.options.onDown(why, code);
  }

  private wait(ms: number, then: () => void): void {
    this.cancelTimer();
    this.cancelTimer = this.options.clock.after(ms, then);
  }

  private send(place: number, body: ControlBody): void {
    if (this.number !== undefined) this.options.packets.send(this.number, place, body);
  }

  private onAccept({ cid, epoch, nonce, suite, opens = [] }: Channel): void {
    if (cid === undefined || epoch === undefined || nonce === undefined || suite === undefined)
      return this.down('refused', 'bad-request');
    const keys = this.keysOf({ cid, epoch, suite, memberNonce: this.nonce, serverNonce: nonce });
    this.number = cid;
    this.suite = suite;
    this.serverOpens = opens;
    this.options.packets.add(cid, keys);
    this.phase = 'probing';
    this.probe(0);
  }

  private probe(tries: number): void {
    const waitMs = probeWaitsMs[tries];
    if (waitMs === undefined) return this.down('blocked');
    this.send(ownPlace, { kind: 'probe' });
    this.wait(waitMs, () => this.probe(tries + 1));
  }

  private onUp(observed: PacketPeer | undefined): void {
    if (observed === undefined) return this.down('refused', 'bad-request');
    this.phase = 'up';
    this.cancelTimer();
    this.keepalive.start(observed);
    this.options.onUp(observed);
    this.seekSize();
  }
}
