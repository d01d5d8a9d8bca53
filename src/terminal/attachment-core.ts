import type { Clock } from '../base/clock.ts';
import { EntremiseError, type ErrorCode } from '../base/errors.ts';
import { Attachment, type AttachmentResources, type Binding } from '../session/attachment.ts';
import type { SlabPool } from '../session/slab.ts';
import type { Frame } from '../wire/frame.ts';
import type { IpText } from '../wire/ip.ts';
import type { Portroute } from '../wire/messages/attach.ts';
import type { PortEvent } from '../wire/messages/event.ts';
import { callOut } from './call-out.ts';
import { CommandQueue, commandTimeoutMs } from './command-queue.ts';
import { PathClock } from './path-clock.ts';
import type { PortHost, PortWatcher } from './port-host.ts';
import { PortRoutes } from './port-routes.ts';
import type { TerminalUdp } from './terminal-udp.ts';
import { failure, TunnelError } from './tunnel-error.ts';

/** What the owner of a core is told. */
export interface CoreHandlers {
  onEvent(event: PortEvent): void;
  /** The peer's RESUME has come on the label of now: everything goes on. */
  onOpen(): void;
  /** The attachment is over, once. */
  onClosed(error: EntremiseError): void;
}

/** The terminal's end of one attachment: the session's machine, its commands, and who wants to know of which port. */
export class AttachmentCore implements PortHost {
  readonly session: Attachment;
  readonly commands: CommandQueue;
  readonly routes: PortRoutes;
  readonly pool: SlabPool;
  readonly clock: Clock;
  readonly pathClock: PathClock;
  private readonly handlers: CoreHandlers;
  private readonly watchers = new Map<number, PortWatcher>();
  private over = false;
  /** Says PORTROUTE on the label of now. */
  private sayPortroute: (message: Omit<Portroute, 'label'>) => void = () => {};

  constructor(
    resources: AttachmentResources,
    clock: Clock,
    handlers: CoreHandlers,
    udp: TerminalUdp | undefined,
  ) {
    this.handlers = handlers;
    this.pool = resources.pool;
    this.clock = clock;
    this.pathClock = new PathClock(clock);
    this.session = new Attachment('terminal', resources, {
      onCommand: () => {},
      onResult: result => this.commands.onResult(result),
      onEvent: event => this.onEvent(event),
      onDatagram: datagram => this.routes.onTcpDatagram(datagram),
      onMark: port => this.routes.onMark(port),
      onOpen: () => this.onOpen(),
      onControlRoom: () => this.commands.onRoom(),
    });
    this.commands = new CommandQueue(this.session, this.pathClock);
    this.routes = new PortRoutes({
      clock,
      udp,
      sendPortroute: message => this.sayPortroute(message),
      sendByTcp: datagram => this.session.sendDatagram(datagram),
      deliver: datagram => this.watchers.get(datagram.port)?.onDatagram?.(datagram),
    });
  }

  /**
   * The label is this attachment's: COMMANDs may go at once when it is the first (P4.4), else everything when the mediator
   * has said what it has.
   * @throws EntremiseError as the session's bind
   */
  bind(binding: Omit<Binding, 'requestTick'>, sayPortroute: (message: Portroute) => void): void {
    const { clock, session } = this;
    const requestTick = (atMs: number) =>
      void clock.after(atMs - clock.now(), () => session.tick(clock.now()));
    session.bind({ ...binding, requestTick });
    const { label } = binding;
    this.sayPortroute = message => sayPortroute({ label, ...message });
  }

  private onOpen(): void {
    this.pathClock.resume();
    this.routes.onLabelBack();
    this.handlers.onOpen();
  }

  /** A frame of the label has come. @throws EntremiseError as the session */
  receive(frame: Frame): void {
    this.session.receive(frame);
  }

  /** The label is lost and another is to come: what is open stays so, and waits. */
  suspend(): void {
    this.session.suspend();
    this.sayPortroute = () => {};
    this.routes.onLabelGone();
    this.pathClock.pause();
  }

  /** The attachment is over: everything of it fails with `error`. */
  end(error: EntremiseError): void {
    // To the sockets `detached` says that this side wanted it.
    this.finish(error, error.code === 'detached' ? 'aborted' : error.code);
  }

  /** This side ends the attachment: its sockets close without an error. */
  detach(): void {
    this.finish(new EntremiseError('detached'), 'detached');
  }

  private finish(error: EntremiseError, streamCode: ErrorCode): void {
    if (this.over) return;
    this.over = true;
    this.session.unbind(streamCode);
    this.sayPortroute = () => {};
    this.routes.end();
    this.commands.close(error);
    const watchers = [...this.watchers.values()];
    this.watchers.clear();
    for (const watcher of watchers) watcher.onClosed(new TunnelError(error));
    callOut(() => this.handlers.onClosed(error));
  }

  /** True when the attachment is over. */
  get closed(): boolean {
    return this.over;
  }

  private onEvent(event: PortEvent): void {
    callOut(() => this.handlers.onEvent(event));
    if (event.attachment !== undefined) return;
    // An EVENT right behind the RESULT comes before anybody watches the port.
    if (event.kind === 'channel') this.routes.onCarrier(event.port, event.channel);
    const watcher = this.watchers.get(event.port);
    if (event.kind !== 'connected') return watcher?.onEvent?.(event);
    // A listener may have been closed while the event was on its way.
    if (watcher?.onConnected === undefined) this.session.refuseStream(event.stream, 'port-closed');
    else watcher.onConnected(event);
  }

  /** Of {@link PortHost}. */
  watchPort(id: number, watcher: PortWatcher): () => void {
    this.watchers.set(id, watcher);
    return () => {
      if (this.watchers.get(id) === watcher) this.watchers.delete(id);
    };
  }

  /** Of {@link PortHost}. */
  async resolve(name: string, signal?: AbortSignal): Promise<readonly [IpText, ...IpText[]]> {
    const command = { verb: 'query', what: 'resolve', name } as const;
    const running = this.commands.run(() => ({ command }), { timeoutMs: commandTimeoutMs, signal });
    const [first, ...more] = (await running.result).addresses ?? [];
    if (first !== undefined) return [first, ...more];
    throw failure('no-such-name', `The mediator knows no address of ${JSON.stringify(name)}.`);
  }
}
