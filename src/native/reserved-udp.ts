/** A UDP number that is held (P5.1), and how it becomes a port of the relay. */
import { EntremiseError } from '../base/errors.ts';
import type { NativeSockets } from './addon.ts';
import { bindError } from './errno.ts';
import type { HeldUdp, PortTaker, UdpScope } from './held-number.ts';

type State =
  | { readonly kind: 'held'; readonly fd: number }
  | { readonly kind: 'handed-over' }
  | { readonly kind: 'closed' };

/** One reserved UDP number: exclusive from {@link ReservedUdp.reserve} on unless it is shared, SO_BROADCAST off, usable once. */
export class ReservedUdp implements HeldUdp {
  /** As the kernel has it. */
  readonly address: string;
  readonly port: number;
  readonly #native: NativeSockets;
  readonly #shared: boolean;
  #state: State;

  private constructor(
    native: NativeSockets,
    bound: { fd: number; address: string; port: number },
    shared: boolean,
  ) {
    this.#native = native;
    this.#shared = shared;
    this.address = bound.address;
    this.port = bound.port;
    this.#state = { kind: 'held', fd: bound.fd };
  }

  /**
   * Reserves that number of that address (IP literal, wildcard allowed); port 0 picks a free one. Without a scope groups are
   * sent to as the machine's routes say.
   * @throws EntremiseError port-in-use, address-not-available, not-permitted, bad-request, limit
   */
  static reserve(native: NativeSockets, address: string, port: number, scope?: UdpScope): ReservedUdp {
    const bound =
      scope === undefined
        ? native.reserveUdp(address, port)
        : native.reserveScopedUdp(address, port, scope.interface, scope.shared);
    if (typeof bound === 'string') throw bindError(bound, address, port);
    return new ReservedUdp(native, bound, scope?.shared ?? false);
  }

  get state(): State['kind'] {
    return this.#state.kind;
  }

  /**
   * The number is a port of the relay's from here on.
   * @throws EntremiseError wrong-state; internal as the relay
   */
  handTo<Options>(relay: PortTaker<Options>, options: Options): number {
    const state = this.#state;
    if (state.kind !== 'held')
      throw new EntremiseError('wrong-state', { message: `the reserved number is ${state.kind}` });
    const port = relay.addPort(state.fd, options);
    // libuv switches it on when it takes an fd, and who else asks for it could then bind the number too.
    if (!this.#shared) this.#native.setReuseAddress(state.fd, false);
    this.#state = { kind: 'handed-over' };
    return port;
  }

  /** Gives the number up, unless it was handed over: then the relay does. Idempotent. */
  close(): void {
    if (this.#state.kind !== 'held') return;
    this.#native.close(this.#state.fd);
    this.#state = { kind: 'closed' };
  }
}
