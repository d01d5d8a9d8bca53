import type { Clock } from '../../base/clock.ts';
import type { PortEvent } from '../../wire/messages/event.ts';
import type { PortSighting, TappedPort, WireListener, WireTap, WireView } from '../capture/wire-view.ts';

/**
 * Tells a terminal what the wire shows of one of its ports: EVENT syn, refused, and fin and rst of connections that never
 * became streams (P3.7). Anybody on the LAN can make as many of these as he likes, and nothing depends on them: more than
 * 100 a second, those for which stream 0 has little room, and all while the terminal is away are told as one `lost`.
 */

/** Events a second that are told one by one. */
const maxPerSecond = 100;

const secondMs = 1000;

/** What is needed of the port's attachment. */
export interface TellerSurroundings {
  readonly clock: Clock;
  readonly wire: Pick<WireView, 'tap'> | undefined;
  readonly holder: { readonly away: boolean };
  sendEvent(event: PortEvent): void;
  /** What is left of stream 0 is for what must not be lost. */
  controlBusy(): boolean;
}

/** See the head of this file. */
export class WireTeller implements WireListener {
  private readonly id: number;
  private readonly port: TappedPort;
  private readonly surroundings: TellerSurroundings;
  private current: WireTap | undefined;
  private windowEndMs = 0;
  private toldInWindow = 0;
  private lost = 0;
  private cancelLost: (() => void) | undefined;

  /** `id`: what EVENTs call the port. Listens. */
  constructor(id: number, port: TappedPort, surroundings: TellerSurroundings) {
    this.id = id;
    this.port = port;
    this.surroundings = surroundings;
    this.attend();
  }

  /** Where sockets say which connections they tell of. */
  get tap(): WireTap | undefined {
    return this.current;
  }

  /** From now on devices, and nobody but devices, can begin a connection with the port. */
  attend(): void {
    this.current ??= this.surroundings.wire?.tap(this.port, this);
  }

  /** Hears and tells nothing more, until {@link attend}. */
  leave(): void {
    this.current?.close();
    this.current = undefined;
    this.cancelLost?.();
    this.cancelLost = undefined;
  }

  /** Of {@link WireListener}. */
  onSighting({ kind, from, timeMs, peerAddress, peerNumber }: PortSighting): void {
    if (!this.mayTell()) return this.onLost(1);
    const common = { port: this.id, timeMs, peerAddress, peerNumber };
    if (kind === 'syn' || kind === 'refused') return this.surroundings.sendEvent({ kind, ...common });
    const direction = from === 'peer' ? 'from-device' : 'to-device';
    this.surroundings.sendEvent({ kind, direction, ...common });
  }

  private mayTell(): boolean {
    const { clock, holder, controlBusy } = this.surroundings;
    if (holder.away || controlBusy()) return false;
    const nowMs = clock.now();
    if (nowMs >= this.windowEndMs) {
      this.windowEndMs = nowMs + secondMs;
      this.toldInWindow = 0;
    }
    this.toldInWindow++;
    return this.toldInWindow <= maxPerSecond;
  }

  /** Of {@link WireListener}. */
  onLost(count: number): void {
    this.lost += count;
    this.cancelLost ??= this.surroundings.clock.after(secondMs, () => this.tellLost());
  }

  private tellLost(): void {
    this.cancelLost = undefined;
    const { clock, holder, controlBusy, sendEvent } = this.surroundings;
    if (this.lost === 0 || holder.away) return;
    if (controlBusy()) return this.onLost(0);
    const count = this.lost;
    this.lost = 0;
    sendEvent({ kind: 'lost', port: this.id, timeMs: clock.wallTimeMs(), count });
  }

  /** The terminal is back. */
  onBack(): void {
    if (this.lost > 0) this.onLost(0);
  }
}
