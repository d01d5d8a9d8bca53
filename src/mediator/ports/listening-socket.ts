import net, { type Server, type Socket } from 'node:net';
import { asEntremiseError, type EntremiseError } from '../../base/errors.ts';
import type { HeldTcp } from '../../native/held-number.ts';

/**
 * The socket of a listener, which can stop listening for a while and keep its number (P4.7). Both take turns of the event
 * loop, so what is wanted may have changed by the time that it is there.
 */

/** What a listening socket is made with. */
export interface ListeningSocketOptions {
  readonly reserved: HeldTcp;
  /** Connections that may wait in the kernel. */
  readonly backlog: number;
  onConnection(socket: Socket): void;
  /** It cannot listen any more. The port is of no use. */
  onFailed(error: EntremiseError): void;
}

/** See the head of this file. */
export class ListeningSocket {
  private readonly options: ListeningSocketOptions;
  private server: Server | undefined;
  private starting = false;
  private wanted: 'listening' | 'paused' | 'stopped' = 'listening';

  constructor(options: ListeningSocketOptions) {
    this.options = options;
  }

  /** Listens. @throws EntremiseError what the reserved number says */
  async start(): Promise<void> {
    const { reserved, backlog, onConnection } = this.options;
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
    server.on('connection', onConnection);
    server.on('error', () => {});
    this.starting = true;
    try {
      await reserved.listen(server, backlog);
      this.server = server;
    } finally {
      this.starting = false;
    }
    this.settle();
  }

  /** Stops listening until {@link resume}; the number is held on. */
  pause(): void {
    this.want('paused');
  }

  /** Undoes {@link pause}. */
  resume(): void {
    this.want('listening');
  }

  /** Stops for good. */
  stop(): void {
    this.want('stopped');
  }

  private want(what: typeof this.wanted): void {
    if (this.wanted === 'stopped') return;
    this.wanted = what;
    if (!this.starting) this.settle();
  }

  private settle(): void {
    const { server } = this;
    try {
      if (this.wanted === 'stopped') server?.close();
      else if (this.wanted === 'paused' && server !== undefined) this.options.reserved.takeBack(server);
      else if (this.wanted === 'listening' && server === undefined) return this.startAgain();
      else return;
      this.server = undefined;
    } catch (thrown) {
      this.options.onFailed(asEntremiseError(thrown));
    }
  }

  private startAgain(): void {
    this.start().catch(thrown => this.options.onFailed(asEntremiseError(thrown)));
  }
}
