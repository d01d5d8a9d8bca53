import { EntremiseError, type ErrorCode, unreachable } from '../../base/errors.ts';
import type { HeldTcp } from '../../native/held-number.ts';
import type { CanonicalAddress, TargetHost } from '../../policy/target.ts';
import type { Stream } from '../../session/stream.ts';
import { canonicalIp } from '../../wire/ip.ts';
import type { CommandOf, PortListing } from '../../wire/messages/command.ts';
import { StreamPump } from '../stream-pump.ts';
import { dial } from './dial.ts';
import { Listener } from './listener.ts';
import type { BoundTo, HeldNumber } from './open.ts';
import { type PortCondition, wireStateOf } from './port-states.ts';
import type { PortSurroundings } from './surroundings.ts';
import { WireTeller } from './wire-teller.ts';

/** What a TCP port is at the moment, with what belongs to that (P5.7; the picture is in port-states.ts). */
type TcpState =
  | { readonly kind: 'opened' }
  | { readonly kind: 'connecting'; readonly attempt: AbortController; readonly pump: StreamPump }
  | {
      readonly kind: 'client';
      readonly pump: StreamPump;
      readonly target: CanonicalAddress;
      readonly number: number;
    }
  | { readonly kind: 'starting'; readonly listener: Listener }
  | { readonly kind: 'server'; readonly listener: Listener }
  | { readonly kind: 'draining'; readonly end: (code: 'port-closed' | 'not-permitted') => void }
  | { readonly kind: 'closed' };

/** Why a port ends its streams: at its owner's word, or since it is not allowed any more. */
export type PortEnd = 'port-closed' | 'not-permitted';

/** A TCP port of an attachment. Its table has checked by port-states.ts that the command makes sense. */
export class TcpPort {
  readonly id: number;
  readonly bound: BoundTo;
  private readonly held: HeldNumber & { readonly protocol: 'tcp' };
  private readonly surroundings: PortSurroundings;
  private readonly onClosed: () => void;
  private state: TcpState = { kind: 'opened' };
  private readonly teller: WireTeller;

  /** `onClosed`: the port is gone, once. */
  constructor(
    id: number,
    held: HeldNumber & { readonly protocol: 'tcp' },
    bound: BoundTo,
    surroundings: PortSurroundings,
    onClosed: () => void,
  ) {
    this.id = id;
    this.held = held;
    this.bound = bound;
    this.surroundings = surroundings;
    this.onClosed = onClosed;
    this.teller = new WireTeller(id, { bound, number: this.number }, surroundings);
  }

  private get reserved(): HeldTcp {
    return this.held.reserved;
  }

  /** Its number. */
  get number(): number {
    return this.reserved.port;
  }

  /** For the table of port-states.ts. */
  get condition(): PortCondition {
    return `tcp ${this.state.kind}`;
  }

  /** The state. Read through here, because it changes while something is awaited. */
  private get kind(): TcpState['kind'] {
    return this.state.kind;
  }

  /** As QUERY tells it. */
  get listing(): PortListing {
    const { id, number, state } = this;
    const address = canonicalIp(this.bound.text.split('%')[0] ?? '') ?? this.bound.text;
    return {
      port: id,
      protocol: 'tcp',
      address,
      number,
      state: wireStateOf(state.kind),
      streams: this.streams,
    };
  }

  private get streams(): number {
    switch (this.state.kind) {
      case 'connecting':
      case 'client':
        return 1;
      case 'server':
      case 'starting':
        return this.state.listener.liveStreams;
      default:
        return 0;
    }
  }

  /**
   * Connects (S9). `stream` is the terminal's; it is RESET when this fails.
   * @returns the target's address that was used
   * @throws EntremiseError as dial(), `limit`, `not-permitted`, `audit-unavailable`, `port-closed`
   */
  async connect(target: TargetHost, number: number, stream: Stream): Promise<CanonicalAddress> {
    const { door, usage, clock, lookup } = this.surroundings;
    const asked = target.kind === 'name' ? { name: target.name } : target.address;
    const details = { verb: 'connect', port: this.id, number, stream: stream.id };
    const named = target.kind === 'name' ? { name: target.name } : { address: target.address.text };
    door.permit({ verb: 'connect', target: asked, number }, { ...details, ...named });
    usage.addStream(clock.now());
    const attempt = new AbortController();
    const pump = new StreamPump(stream, this.id, this.surroundings, {
      onEnded: () => this.onPumpEnded(pump),
    });
    this.state = { kind: 'connecting', attempt, pump };
    this.teller.leave();
    try {
      const { socket, address } = await dial({
        target,
        number,
        reserved: this.reserved,
        family: this.bound.family,
        slabs: pump.feed,
        attempt,
        clock,
        // An address was asked about above; what a name resolves to is news.
        permit: address => {
          if (target.kind === 'name')
            door.permit(
              { verb: 'connect', target: address, number },
              { ...details, ...named, address: address.text },
            );
        },
        lookup,
      });
      // What was allowed when it began may have been taken back since: then the device hears nothing but a RST.
      if (door.ask({ verb: 'connect', target: address, number }) !== undefined) pump.abort('not-permitted');
      pump.couple(socket);
      // Too late: the connection was reset at once, and its number went with it.
      if (pump.over && this.kind === 'connecting') this.leave();
      if (this.kind !== 'connecting') throw new EntremiseError('aborted');
      this.state = { kind: 'client', pump, target: address, number };
      return address;
    } catch (thrown) {
      throw this.connectFailed(pump, thrown);
    }
  }

  private connectFailed(pump: StreamPump, thrown: unknown): unknown {
    if (this.kind === 'closed') return new EntremiseError('port-closed', { by: 'terminal', cause: thrown });
    // Before the pump ends: for it this is no end of a client.
    if (this.kind === 'connecting') this.state = { kind: 'opened' };
    this.teller.attend();
    pump.abort(thrown instanceof EntremiseError ? thrown.code : 'internal');
    return thrown;
  }

  private onPumpEnded(pump: StreamPump): void {
    this.surroundings.usage.removeStream();
    const { state } = this;
    if (state.kind === 'connecting' && state.pump === pump) state.attempt.abort();
    if ((state.kind === 'client' && state.pump === pump) || state.kind === 'draining') this.leave();
  }

  /**
   * Listens (S10).
   * @throws EntremiseError `not-permitted`, `audit-unavailable`, `port-in-use`, `port-closed`
   */
  async listen({ backlog, limit, whileAway }: CommandOf<'listen'>): Promise<void> {
    const { surroundings, reserved, id, number } = this;
    const { address, text } = this.bound;
    surroundings.door.permit(
      { verb: 'listen', port: { address, number } },
      { verb: 'listen', port: id, address: text, number },
    );
    const onStreamEnded = (live: number) => {
      if (this.kind === 'draining' && live === 0) this.leave();
    };
    const onFailed = (error: EntremiseError) => {
      surroundings.log.warn({ port: id, code: error.code, reason: error.message }, 'listener failed');
      this.closeNow('port-closed');
    };
    const asked = { port: id, reserved, backlog, limit, whileAway, tap: this.teller.tap };
    const listener = new Listener({ ...asked, surroundings, onStreamEnded, onFailed });
    if (surroundings.holder.away) listener.onAway();
    this.state = { kind: 'starting', listener };
    try {
      await listener.start();
    } catch (thrown) {
      if (this.kind === 'starting') this.state = { kind: 'opened' };
      throw this.kind === 'closed' ? new EntremiseError('port-closed', { cause: thrown }) : thrown;
    }
    if (this.kind !== 'starting') listener.stop();
    else this.state = listener.over ? { kind: 'opened' } : { kind: 'server', listener };
  }

  /** There may be room for connections that wait. */
  onRoom(): void {
    if (this.state.kind === 'server') this.state.listener.takeWaiting();
  }

  /** The terminal is away: a listener has its manners for that (P4.7). */
  onAway(): void {
    if (this.state.kind === 'server' || this.state.kind === 'starting') this.state.listener.onAway();
  }

  /** The terminal is back. */
  onBack(): void {
    this.teller.onBack();
    if (this.state.kind === 'server' || this.state.kind === 'starting') this.state.listener.onBack();
  }

  /**
   * Another process of the terminal has it (P4.6). Its LISTEN has yet to come: until then it is sent no streams, whose first
   * window it could not know (P3.8).
   */
  onAdopted(): void {
    const { state } = this;
    if (state.kind !== 'server' && state.kind !== 'starting') return;
    state.listener.giveBack();
    // Giving back may have failed, and closed the port.
    if (this.kind === 'server') this.state = { kind: 'opened' };
  }

  /** Closes (S11): streams end with RESET, or go on to their own end while the port takes nothing new. */
  close(streams: 'reset' | 'drain', code: PortEnd = 'port-closed'): void {
    if (streams === 'reset') return this.closeNow(code);
    const { state } = this;
    switch (state.kind) {
      case 'client':
        this.state = { kind: 'draining', end: end => state.pump.abort(end) };
        return;
      case 'server':
        state.listener.stop();
        this.state = { kind: 'draining', end: end => state.listener.abortStreams(end) };
        if (state.listener.liveStreams === 0) this.leave();
        return;
      case 'opened':
      case 'connecting':
      case 'starting':
        return this.closeNow(code);
      case 'draining':
      case 'closed':
        return undefined;
      default:
        return unreachable(state);
    }
  }

  private closeNow(code: PortEnd): void {
    const { state } = this;
    if (state.kind === 'closed') return;
    this.leave();
    switch (state.kind) {
      case 'connecting':
        state.attempt.abort();
        return state.pump.abort(code);
      case 'client':
        return state.pump.abort(code);
      case 'starting':
      case 'server':
        state.listener.stop();
        return state.listener.abortStreams(code);
      case 'draining':
        return state.end(code);
      case 'opened':
        return undefined;
      default:
        return unreachable(state);
    }
  }

  private leave(): void {
    this.state = { kind: 'closed' };
    this.teller.leave();
    this.held.giveUp();
    this.onClosed();
  }

  /** What was allowed may not be any more: closes what is not (P6.2). Returns the refusal's code if so. */
  reauthorise(): ErrorCode | undefined {
    const { number, state } = this;
    const { door } = this.surroundings;
    const address = this.bound.address;
    const denial =
      door.ask({ verb: 'open', protocol: 'tcp', address, number: { choice: 'mandatory', number } }) ??
      (state.kind === 'server' ? door.ask({ verb: 'listen', port: { address, number } }) : undefined) ??
      (state.kind === 'client'
        ? door.ask({ verb: 'connect', target: state.target, number: state.number })
        : undefined);
    if (denial !== undefined) this.closeNow('not-permitted');
    return denial?.code;
  }
}
