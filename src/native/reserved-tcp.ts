/**
 * A TCP number that is held (P5.1), and how it becomes a listener or a connection.
 *
 *   held ──listen, connect──► handing over ──► handed over      (Node owns the fd)
 *    ▲                             │                                   │
 *    └────────── failed ───────────┘      takeBack(): from a listener  │      close() leads from anywhere to closed
 *    ▲─────────────────────────────────────────────────────────────────┘
 *
 * Node takes an fd for good: when its connect or listen fails it closes the fd, and the number would be gone.
 * So while it is being handed over, the addon holds a second fd of the same socket. On success that one is
 * closed; on failure it is the reservation.
 */
import net, { type Server, type Socket } from 'node:net';
import { EntremiseError } from '../base/errors.ts';
import type { NativeSockets } from './addon.ts';
import { bindError, connectError, errnoOf } from './errno.ts';
import { fdOf } from './fd-of.ts';
import type { ConnectTarget, HeldTcp } from './held-number.ts';
import { asEntremise, connected, listening } from './settled.ts';
import { socketOnFd } from './slab-reader.ts';

type State =
  | { readonly kind: 'held'; readonly fd: number }
  /** `letGo` makes Node close its fd. */
  | { readonly kind: 'handing-over'; readonly spareFd: number; readonly letGo: () => void }
  | { readonly kind: 'handed-over' }
  | { readonly kind: 'closed' };

/** One reserved TCP number: exclusive from {@link ReservedTcp.reserve} on, usable once. */
export class ReservedTcp implements HeldTcp {
  /** As the kernel has it. */
  readonly address: string;
  readonly port: number;
  readonly #native: NativeSockets;
  #state: State;

  private constructor(native: NativeSockets, bound: { fd: number; address: string; port: number }) {
    this.#native = native;
    this.address = bound.address;
    this.port = bound.port;
    this.#state = { kind: 'held', fd: bound.fd };
  }

  /**
   * Reserves that number of that address (IP literal, wildcard allowed); port 0 picks a free one.
   * @throws EntremiseError port-in-use, address-not-available, not-permitted, bad-request, limit
   */
  static reserve(native: NativeSockets, address: string, port: number): ReservedTcp {
    const bound = native.reserveTcp(address, port);
    if (typeof bound === 'string') throw bindError(bound, address, port);
    return new ReservedTcp(native, bound);
  }

  get state(): State['kind'] {
    return this.#state.kind;
  }

  /**
   * Makes `server` listen on the number, with a queue of `backlog` (at least 1) connections that it has not
   * accepted yet. It should have been made with allowHalfOpen and pauseOnConnect. On failure the number is
   * still held.
   * @throws EntremiseError wrong-state, aborted (closed meanwhile), and what {@link ReservedTcp.reserve} throws
   */
  async listen(server: Server, backlog: number): Promise<void> {
    if (server.listening) throw new EntremiseError('wrong-state', { message: 'the server listens already' });
    const listen = (fd: number) => {
      // The kernel checks the number again and would stumble over a connection in TIME_WAIT.
      this.#native.setReuseAddress(fd, true);
      // Only the positional backlog counts beside an fd, and 0 would mean Node's default.
      return server.listen({ fd }, Math.max(backlog, 1));
    };
    this.#handOver(listen, () => server.close());
    try {
      await listening(server);
    } catch (cause) {
      this.#takeSpareBack();
      throw asEntremise(cause, bindError(errnoOf(cause), this.address, this.port, cause));
    }
    this.#finishHandOver();
  }

  /**
   * Takes the number back from `server`, which {@link ReservedTcp.listen} made listen on it: `server` is closed, who
   * connects is refused from now on, and the number is held again.
   * @throws EntremiseError limit (no more fds; `server` listens on), wrong-state
   */
  takeBack(server: Server): void {
    const fd = fdOf(server);
    if (this.#state.kind !== 'handed-over' || fd === undefined)
      throw new EntremiseError('wrong-state', { message: 'the server does not listen' });
    const ownFd = this.#native.duplicate(fd);
    if (typeof ownFd === 'string') throw bindError(ownFd, this.address, this.port);
    server.close();
    // On the same socket, so that nobody can have the number in between.
    this.#holdAgain(ownFd);
  }

  /**
   * Connects from exactly this number. The socket comes paused, half-close kept. On failure the number is
   * still held, and can be connected again.
   * @throws EntremiseError refused, unreachable, timed-out, address-in-use, aborted, wrong-state, bad-request
   */
  async connect(target: ConnectTarget): Promise<Socket> {
    const { host, port, signal } = target;
    // A name would mean a turn of the event loop between taking the fd and connecting it.
    if (net.isIP(host) === 0)
      throw new EntremiseError('bad-request', { message: `${host} is not an IP address` });
    if (signal?.aborted) throw new EntremiseError('aborted');
    // In one tick: one Socket for one fd, never used again (a destroyed one would silently connect from elsewhere).
    const connect = (fd: number) => socketOnFd(fd, target.slabs).connect({ host, port });
    const socket = this.#handOver(connect, taken => taken.destroy());
    const giveUp = () => socket.destroy();
    signal?.addEventListener('abort', giveUp, { once: true });
    try {
      await connected(socket);
    } catch (cause) {
      this.#takeSpareBack();
      throw asEntremise(cause, connectError(errnoOf(cause), host, port, cause));
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
    this.#finishHandOver();
    return socket;
  }

  /** Gives the number up, unless Node has taken it: what was handed over is closed there. Idempotent. */
  close(): void {
    const state = this.#state;
    if (state.kind === 'handed-over') return;
    this.#state = { kind: 'closed' };
    if (state.kind === 'held') this.#native.close(state.fd);
    if (state.kind !== 'handing-over') return;
    // The connection may just have been made: a RST frees the number at once, a FIN would not.
    this.#native.setLingerZero(state.spareFd);
    this.#native.close(state.spareFd);
    state.letGo();
  }

  #handOver<T>(give: (fd: number) => T, letGo: (taken: T) => void): T {
    const state = this.#state;
    if (state.kind !== 'held')
      throw new EntremiseError('wrong-state', { message: `the reserved number is ${state.kind}` });
    const spareFd = this.#native.duplicate(state.fd);
    if (typeof spareFd === 'string') throw bindError(spareFd, this.address, this.port);
    let taken: T;
    try {
      taken = give(state.fd);
    } catch (thrown) {
      // Node throws only before it takes an fd; the state is still `held`.
      this.#native.close(spareFd);
      throw thrown;
    }
    this.#native.release(state.fd);
    this.#state = { kind: 'handing-over', spareFd, letGo: () => letGo(taken) };
    return taken;
  }

  #finishHandOver(): void {
    if (this.#state.kind !== 'handing-over') return;
    this.#native.close(this.#state.spareFd);
    this.#state = { kind: 'handed-over' };
  }

  #takeSpareBack(): void {
    if (this.#state.kind !== 'handing-over') return;
    this.#holdAgain(this.#state.spareFd);
  }

  #holdAgain(fd: number): void {
    this.#native.disconnect(fd);
    this.#native.setReuseAddress(fd, false);
    this.#state = { kind: 'held', fd };
  }
}
