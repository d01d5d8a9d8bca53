import type { IpText } from '../wire/ip.ts';
import type { Choice, CommandOf, PortState, Protocol, Result } from '../wire/messages/command.ts';
import type { Carrier } from '../wire/messages/shared.ts';
import { commandTimeoutMs } from './command-queue.ts';
import { connectStream, targetOf } from './connect-stream.ts';
import type { PortHost } from './port-host.ts';
import { TunnelDatagramSocket } from './tunnel-datagram-socket.ts';
import { failure, tunnelError } from './tunnel-error.ts';
import { type ListenAddress, type ListenOptions, listenOn, type TunnelServer } from './tunnel-server.ts';
import { type SocketPlug, TunnelSocket, type TunnelSocketOptions } from './tunnel-socket.ts';

/** What OPEN asks for (S7, P5.1). */
export interface OpenOptions {
  readonly protocol: Protocol;
  /** One of the mediator's addresses; without it the wildcard of `family`, which is good for connecting only. */
  readonly address?: string;
  /** Interface of a link-local address. */
  readonly zone?: string;
  /** Without address: 4 (default) or 6. */
  readonly family?: 4 | 6;
  /** The number wanted; any when absent. */
  readonly number?: number;
  /** How much the number matters; `any` when there is none, else `preferred`. */
  readonly choice?: Choice;
  readonly signal?: AbortSignal;
}

/** Where a port connects to. */
export interface ConnectOptions extends TunnelSocketOptions {
  /** An address, a link-local one with `%zone`, or a name, which the mediator resolves. */
  readonly host: string;
  readonly port: number;
}

/** The fields of an OPEN for what is asked. */
export function openCommand(options: OpenOptions): Omit<CommandOf<'open'>, 'id'> {
  const { protocol, address, zone, family = 4, number = 0 } = options;
  const choice = options.choice ?? (number === 0 ? 'any' : 'preferred');
  const where =
    address === undefined ? ({ family: family === 4 ? 'ipv4' : 'ipv6' } as const) : addressOf(address, zone);
  return { verb: 'open', protocol, number, choice, ...where };
}

function addressOf(text: string, zone: string | undefined): Pick<CommandOf<'open'>, 'address' | 'zone'> {
  const { address, zone: written } = targetOf(text, 1);
  if (address === undefined)
    throw failure(
      'bad-request',
      `${JSON.stringify(text)} is not an IP address; ports are opened on addresses.`,
    );
  const interfaceName = zone ?? written;
  return { address, ...(interfaceName === undefined ? {} : { zone: interfaceName }) };
}

/** A port of the mediator, made by OPEN (P5). It belongs to its attachment and ends with it. */
export class TunnelPort {
  readonly id: number;
  readonly protocol: Protocol;
  /** The mediator's address; the wildcard when none was asked for. */
  readonly address: IpText;
  readonly number: number;
  private readonly host: PortHost;
  private current: PortState;
  private carrier: Carrier;

  /** Use {@link openPort}. */
  constructor(
    host: PortHost,
    protocol: Protocol,
    at: { id: number; address: IpText; number: number },
    state: PortState = 'opened',
    carrier: Carrier = 'tcp',
  ) {
    this.current = state;
    this.carrier = carrier;
    this.host = host;
    this.protocol = protocol;
    this.id = at.id;
    this.address = at.address;
    this.number = at.number;
  }

  /** Its state as far as this end knows (P5.7). */
  get state(): PortState {
    return this.current;
  }

  /** What carries a UDP port's datagrams, by the mediator's last word: `tcp` unless it is redirected. */
  get channel(): Carrier {
    return this.host.routes.inForce(this.id, this.carrier);
  }

  private get listenAddress(): ListenAddress {
    const family = this.address.includes(':') ? 'IPv6' : 'IPv4';
    return { address: this.address, family, port: this.number };
  }

  /** Connects from exactly this address and number (S9, P5.2). After a failure the port can be used again. */
  connect(options: ConnectOptions): TunnelSocket {
    return new TunnelSocket(this.host, options, plug => {
      this.runConnect(options, plug).catch(thrown => plug.fail(tunnelError(thrown)));
    });
  }

  private async runConnect(options: ConnectOptions, plug: SocketPlug): Promise<void> {
    const reference = () => ({ port: this.id });
    const target = targetOf(options.host, options.port);
    const before = this.current;
    this.current = 'client';
    try {
      await connectStream(this.host, { reference, target, plug, early: true, local: () => this });
    } catch (thrown) {
      this.current = before;
      throw thrown;
    }
  }

  /**
   * Makes it a server port (S10).
   * @throws TunnelError `not-permitted`, `wrong-state`, `limit`, ...
   */
  async listen(options: ListenOptions = {}): Promise<TunnelServer> {
    const server = await listenOn(this.host, { ...options, id: this.id, at: this.listenAddress });
    this.current = 'server';
    server.once('close', () => {
      this.current = 'closed';
    });
    return server;
  }

  /**
   * Redirects an opened UDP port (S8, P5.5): its datagrams go over UDP all the way, and while UDP does not pass as
   * `fallback` says: over the TCP channel, or nowhere. Resolves with what carries them now.
   * @throws TunnelError `not-permitted`, `wrong-state`, `no-such-port`, ...
   */
  async redirect(options: RedirectOptions = {}): Promise<Carrier> {
    if (this.current === 'redirected') throw failure('wrong-state', 'This port is redirected already.');
    const channel =
      options.ownChannel === true
        ? await runRedirectAlone(this.host, this.id, options)
        : (await runRedirect(this.host, { port: this.id }, options)).channel;
    this.current = 'redirected';
    this.carrier = channel;
    return this.channel;
  }

  /**
   * A redirected port is an opened one again: its datagrams go over the TCP channel, none lost or out of order.
   * @throws TunnelError `wrong-state`, `no-such-port`, ...
   */
  async redirectBack(): Promise<void> {
    this.host.routes.forget(this.id);
    const command = { verb: 'redirect', port: this.id, back: true } as const;
    await this.host.commands.run(() => ({ command }), { timeoutMs: commandTimeoutMs }).result;
    // What the mediator said before it took the command may have come after it was sent.
    this.host.routes.forget(this.id);
    this.current = 'opened';
    this.carrier = 'tcp';
  }

  /** The datagram socket of an opened or redirected UDP port. */
  createSocket(): TunnelDatagramSocket {
    return new TunnelDatagramSocket(this.host, this, this.listenAddress);
  }

  /**
   * Closes it (S11): its streams get a RESET, or with `drain` go on to their end.
   * @throws TunnelError `no-such-port`, ...
   */
  async close(options: { readonly streams?: 'reset' | 'drain' } = {}): Promise<void> {
    const command = { verb: 'close', port: this.id, streams: options.streams ?? 'reset' } as const;
    this.host.routes.forget(this.id);
    await this.host.commands.run(() => ({ command }), { timeoutMs: commandTimeoutMs }).result;
    this.current = 'closed';
  }
}

/** The fields of a RESULT that says which port there is now. */
export function openedAt(result: Result): { id: number; address: IpText; number: number } {
  const { port, address, number } = result;
  if (port !== undefined && address !== undefined && number !== undefined)
    return { id: port, address, number };
  throw failure('protocol-error', 'The mediator did not say which port it has opened.');
}

/** How REDIRECT goes on. */
export interface RedirectOptions {
  /** While UDP does not pass: datagrams go over the TCP channel (default), or are dropped. */
  readonly fallback?: 'tcp' | 'none';
  /**
   * On a UDP channel that no other port shares, here and at the mediator: a burst, or the loss, of one keeps none of the
   * others waiting. At most three at either end; beyond, the shared one carries it.
   */
  readonly ownChannel?: boolean;
  readonly signal?: AbortSignal | undefined;
}

type RedirectWhat = { readonly port: number } | Omit<CommandOf<'open'>, 'id' | 'verb'>;

async function runRedirect(
  host: PortHost,
  what: RedirectWhat,
  { fallback = 'tcp', signal }: RedirectOptions,
): Promise<{ readonly result: Result; readonly channel: Carrier }> {
  await host.routes.ready(fallback);
  const result = await commandRedirect(host, { verb: 'redirect', ...what, fallback }, signal);
  if (result.port !== undefined) host.routes.want(result.port, fallback === 'tcp');
  return { result, channel: result.channel ?? 'tcp' };
}

function commandRedirect(
  host: PortHost,
  command: Omit<CommandOf<'redirect'>, 'id'>,
  signal: AbortSignal | undefined,
): Promise<Result> {
  return host.commands.run(() => ({ command }), {
    timeoutMs: commandTimeoutMs,
    signal,
    onLate: late => discardPort(host, late.port),
  }).result;
}

/** The port is known before: the mediator asks for its way before it says that it is redirected. */
async function runRedirectAlone(
  host: PortHost,
  port: number,
  { fallback = 'tcp', signal }: RedirectOptions,
): Promise<Carrier> {
  const { routes } = host;
  const own = routes.ownChannel();
  try {
    await routes.ready(fallback, own);
    routes.want(port, fallback === 'tcp', own);
    const command = { verb: 'redirect', port, fallback, ownChannel: true } as const;
    return (await commandRedirect(host, command, signal)).channel ?? 'tcp';
  } catch (thrown) {
    own?.end();
    routes.forget(port);
    throw thrown;
  }
}

/**
 * Opens a UDP port that is redirected from the beginning (S8).
 * @throws TunnelError as {@link openPort}
 */
export async function openRedirected(
  host: PortHost,
  options: Omit<OpenOptions, 'protocol'> & RedirectOptions,
): Promise<TunnelPort> {
  if (options.ownChannel === true) return openAlone(host, options);
  const { verb: _open, ...wish } = openCommand({ ...options, protocol: 'udp' });
  const { result, channel } = await runRedirect(host, wish, options);
  return new TunnelPort(host, 'udp', openedAt(result), 'redirected', channel);
}

async function openAlone(
  host: PortHost,
  options: Omit<OpenOptions, 'protocol'> & RedirectOptions,
): Promise<TunnelPort> {
  const port = await openPort(host, { ...options, protocol: 'udp' });
  try {
    await port.redirect(options);
    return port;
  } catch (thrown) {
    discardPort(host, port.id);
    throw thrown;
  }
}

/** Closes a port that nobody will use. */
export function discardPort(host: PortHost, id: number | undefined): void {
  if (id !== undefined)
    host.commands.run(() => ({ command: { verb: 'close', port: id, streams: 'reset' } }), {
      timeoutMs: commandTimeoutMs,
    });
}

/**
 * Opens a port.
 * @throws TunnelError `address-not-available`, `port-in-use`, `not-permitted`, `limit`, ...
 */
export async function openPort(host: PortHost, options: OpenOptions): Promise<TunnelPort> {
  const command = openCommand(options);
  const { result } = host.commands.run(() => ({ command }), {
    timeoutMs: commandTimeoutMs,
    signal: options.signal,
    onLate: late => discardPort(host, late.port),
  });
  return new TunnelPort(host, options.protocol, openedAt(await result));
}
