import { EventEmitter, on } from 'node:events';
import type { EntremiseError, ErrorCode } from '../base/errors.ts';
import type { Purpose } from '../wire/messages/attach.ts';
import type { DeviceListing, PortListing, Result } from '../wire/messages/command.ts';
import type { PortEvent } from '../wire/messages/event.ts';
import type { AttachmentCore } from './attachment-core.ts';
import { AttachmentHold, type HoldParts, type Suspension } from './attachment-hold.ts';
import { commandTimeoutMs } from './command-queue.ts';
import { type KnownFamilies, type QuickConnectOptions, quickConnect } from './quick-connect.ts';
import type { TunnelDatagramSocket } from './tunnel-datagram-socket.ts';
import { TunnelError } from './tunnel-error.ts';
import {
  discardPort,
  type OpenOptions,
  openPort,
  openRedirected,
  type RedirectOptions,
  TunnelPort,
} from './tunnel-port.ts';
import type { ListenOptions, TunnelServer } from './tunnel-server.ts';
import type { TunnelSocket } from './tunnel-socket.ts';

/** How an attachment ended. */
export interface AttachmentEnd {
  /** `detached` when this side wanted it. */
  readonly reason: ErrorCode;
  readonly error: TunnelError;
}

/** The events of a {@link MediatorAttachment}. */
export interface MediatorAttachmentEvents {
  /** Something happened on a port: connected, fin, rst, ... (S15, S16). */
  event: [event: PortEvent];
  /** The way is lost, and everything waits for it to come back: at the longest until `until`. */
  suspended: [suspension: Suspension];
  /** The way is back, and nothing was lost but datagrams. */
  resumed: [resumed: { readonly afterMs: number }];
  closed: [end: AttachmentEnd];
}

/** Whom an attachment is with. */
export interface AttachmentPeer {
  /** The mediator's name, by the operator's word. */
  readonly mediator: string;
  readonly purpose: Purpose;
  /** Id of the grant that it runs under; chosen anew when the way was lost. */
  readonly grant: string;
  /** 16 random bytes that name the attachment at the mediator (P4.2), as hex. */
  readonly id: string;
}

/** What a listener asks for in one call. */
export interface OpenAndListenOptions extends Omit<OpenOptions, 'protocol' | 'number'>, ListenOptions {
  readonly port?: number;
  readonly signal?: AbortSignal;
}

/** One limit of the mediator, and how much of it is used (P5.6). */
export interface LimitListing {
  readonly name: string;
  readonly used: number;
  readonly allowed: number;
}

/**
 * A mediator's TCP/IP interface at this program's disposal (S1): ports, sockets, listeners. End to end: the server
 * between can refuse, but not make commands. A lost way suspends it: sockets stay open, writes go as far as their windows
 * have room, commands wait, datagrams are dropped; each byte and each command comes exactly once when the way is back. It
 * ends by itself only when the way does not come back within the hold, the mediator was restarted, or it is no longer
 * allowed ('closed' says which); then every socket has an 'error' first. It does not come back: forward and expose attach
 * anew, see there.
 */
export class MediatorAttachment extends EventEmitter<MediatorAttachmentEvents> {
  private readonly whom: Omit<AttachmentPeer, 'grant'>;
  private readonly hold: AttachmentHold;
  private readonly families: KnownFamilies = new Map();

  /** Attachments come from {@link Terminal.attach}. */
  constructor(whom: Omit<AttachmentPeer, 'grant'>, parts: HoldParts) {
    super();
    this.whom = whom;
    this.hold = new AttachmentHold(parts, {
      onEvent: event => this.emit('event', event),
      onSuspended: suspension => this.emit('suspended', suspension),
      onResumed: afterMs => this.emit('resumed', { afterMs }),
      onClosed: error => this.emit('closed', endOf(error)),
    });
  }

  private get core(): AttachmentCore {
    return this.hold.core;
  }

  /** Of Terminal: the first attempt. @throws as {@link AttachmentHold.begin} */
  begin(...args: Parameters<AttachmentHold['begin']>): Promise<void> {
    return this.hold.begin(...args);
  }

  /** Whom it is with. */
  get peer(): AttachmentPeer {
    return { ...this.whom, grant: this.hold.grantId };
  }

  /** How long it outlives the loss of its way, in milliseconds: what was asked for, or less by the mediator's word (P4.6). */
  get holdMs(): number {
    return this.hold.holdMs;
  }

  /** While the way is lost: since and until when, and why. */
  get suspended(): Suspension | undefined {
    return this.hold.suspended;
  }

  /** True when the attachment is over. */
  get closed(): boolean {
    return this.core.closed;
  }

  /**
   * Opens a port, whose number is then held (S7).
   * @throws TunnelError `address-not-available`, `port-in-use`, `not-permitted`, `limit`, ...
   */
  open(options: OpenOptions): Promise<TunnelPort> {
    return openPort(this.core, options);
  }

  /** A connection from any number: one round trip for port, connection and first bytes. As net.connect. */
  connect(options: QuickConnectOptions): TunnelSocket {
    return quickConnect(this.core, this.families, options);
  }

  /**
   * A listening port in one call. As net.createServer().listen(); resolves when it listens.
   * @throws TunnelError as {@link open}, and what LISTEN is refused for
   */
  async listen(options: OpenAndListenOptions): Promise<TunnelServer> {
    const { port, ...wish } = options;
    const opened = await this.open({
      ...wish,
      protocol: 'tcp',
      ...(port === undefined ? {} : { number: port }),
    });
    try {
      return await opened.listen(options);
    } catch (thrown) {
      discardPort(this.core, opened.id);
      throw thrown;
    }
  }

  /**
   * A bound UDP socket. Without address it is bound to the wildcard, which grant and owner must name.
   * @throws TunnelError as {@link open}
   */
  async createUdpSocket(options: Omit<OpenOptions, 'protocol'> = {}): Promise<TunnelDatagramSocket> {
    return (await this.open({ ...options, protocol: 'udp' })).createSocket();
  }

  /**
   * A UDP port whose datagrams go over UDP all the way (S8, P5.5), and while UDP does not pass as `fallback` says.
   * @throws TunnelError as {@link open}; `not-permitted` when the grant does not contain `redirect`
   */
  redirect(options: Omit<OpenOptions, 'protocol'> & RedirectOptions = {}): Promise<TunnelPort> {
    return openRedirected(this.core, options);
  }

  /** True when REDIRECT is worth a try: this terminal makes UDP channels, and the grant contains it. */
  get mayRedirect(): boolean {
    return this.core.routes.isThere && this.hold.mayRun('redirect');
  }

  /**
   * This attachment's ports on the mediator (P5.6).
   * @throws TunnelError `not-permitted`
   */
  ports(): Promise<PortListing[]> {
    return this.pages('ports', result => result.ports ?? []);
  }

  /**
   * The ports that an adopted attachment has kept, to be used as if this process had opened them: those that listened are
   * `opened` and may listen again (P4.6). To be asked for before anything is opened.
   * @throws TunnelError `not-permitted`
   */
  async adoptedPorts(): Promise<TunnelPort[]> {
    const listings = await this.ports();
    return listings.map(
      ({ port: id, protocol, address, number }) =>
        new TunnelPort(this.core, protocol, { id, address, number }),
    );
  }

  /**
   * The ports of all attachments of this terminal's key, those of other programs with `attachment` (P5.6).
   * @throws TunnelError `not-permitted`, `unsupported`
   */
  keyPorts(): Promise<PortListing[]> {
    return this.pages('key-ports', result => result.ports ?? []);
  }

  /**
   * The devices of the gateway's LAN that grant and owner let this terminal connect to (P5.6). Names are their own word:
   * hostile text.
   * @throws TunnelError `not-permitted`, `unsupported`
   */
  devices(): Promise<DeviceListing[]> {
    return this.pages('devices', result => result.devices ?? []);
  }

  /**
   * The limits that are in force for this attachment (P5.6).
   * @throws TunnelError `not-permitted`, `unsupported`
   */
  limits(): Promise<LimitListing[]> {
    return this.pages('limits', result => result.limits ?? []);
  }

  /**
   * The addresses of a name, as the mediator resolves it (P6.8).
   * @throws TunnelError `no-such-name`, `not-permitted`
   */
  async resolve(name: string, options: { readonly signal?: AbortSignal } = {}): Promise<readonly string[]> {
    return this.core.resolve(name, options.signal);
  }

  /**
   * From now on events of the ports of this key's other attachments come too, with `attachment` (QUERY events).
   * @throws TunnelError `not-permitted`, `unsupported`
   */
  async watchEvents(): Promise<void> {
    const command = { verb: 'query', what: 'events' } as const;
    await this.core.commands.run(() => ({ command }), { timeoutMs: commandTimeoutMs }).result;
  }

  private async pages<T>(
    what: 'ports' | 'key-ports' | 'limits' | 'devices',
    itemsOf: (result: Result) => readonly T[],
  ): Promise<T[]> {
    const all: T[] = [];
    let cursor: number | undefined;
    do {
      const command = { verb: 'query', what, ...(cursor === undefined ? {} : { cursor }) } as const;
      const running = this.core.commands.run(() => ({ command }), { timeoutMs: commandTimeoutMs });
      const result = await running.result;
      all.push(...itemsOf(result));
      cursor = result.cursor;
    } while (cursor !== undefined);
    return all;
  }

  /** The events from now on, until the attachment is over: then the loop ends. */
  async *events(options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<PortEvent, void> {
    if (this.closed) return;
    const { signal } = options;
    const stop = { close: ['closed'], ...(signal === undefined ? {} : { signal }) };
    for await (const [event] of on(this, 'event', stop) as AsyncIterable<[PortEvent]>) yield event;
  }

  /** Ends it: what is still open is closed here and reset there. Close sockets first; their 'close' says that nothing is lost. */
  detach(): void {
    if (this.closed) return;
    this.hold.detach();
  }
}

function endOf(error: EntremiseError): AttachmentEnd {
  return { reason: error.code, error: new TunnelError(error) };
}
