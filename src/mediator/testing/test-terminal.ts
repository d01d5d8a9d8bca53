import { randomBytes } from 'node:crypto';
import { systemClock } from '../../base/clock.ts';
import { type Deferred, deferred } from '../../base/deferred.ts';
import { type ErrorCode, errorCodeOf, errorNumber } from '../../base/errors.ts';
import { generateSigningKey, type SigningKey } from '../../base/keys.ts';
import type { AcceptedGrant, GrantClaims } from '../../policy/grant.ts';
import { prepareAttach } from '../../session/attach-handshake.ts';
import { Attachment } from '../../session/attachment.ts';
import { Budget } from '../../session/budget.ts';
import type { ControlKeys } from '../../session/control-stream.ts';
import { HopCredit } from '../../session/hop-credit.ts';
import { Scheduler } from '../../session/scheduler.ts';
import { SlabPool } from '../../session/slab.ts';
import type { Stream } from '../../session/stream.ts';
import type { Frame } from '../../wire/frame.ts';
import type { Datagram } from '../../wire/messages/binary.ts';
import type { Command, CommandOf, Result } from '../../wire/messages/command.ts';
import type { EventKind, EventOf, PortEvent } from '../../wire/messages/event.ts';
import type { Rig } from './rig.ts';
import type { ServerDouble } from './server-double.ts';
import { TestStream } from './test-stream.ts';

/** What a terminal needs of its surroundings: a rig, or a mediator that was started whole. */
export type TerminalSurroundings = Pick<Rig, 'server' | 'mediatorKey' | 'grant'>;

/** How a terminal attaches. */
export interface TerminalOptions {
  readonly key?: SigningKey;
  readonly grant?: AcceptedGrant;
  readonly claims?: Partial<GrantClaims>;
  /** Of the grant that is made for it. */
  readonly lifeMs?: number;
  readonly attachmentId?: Buffer;
  readonly instance?: Buffer;
  readonly attempt?: number;
  /** The hold that is asked for; default 0. */
  readonly holdMs?: number;
  readonly purpose?: 'assistance' | 'service';
  /** Signs RESUME instead of the terminal's own key. */
  readonly signature?: Buffer;
  /** Changes or drops (undefined) what the terminal sends on its way through the server. */
  readonly tamper?: (frame: Buffer) => Buffer | undefined;
  readonly terminalBudgetBytes?: number;
}

type Fields<C> = C extends unknown ? Omit<C, 'id'> : never;

/** A RESULT with its code in words. */
export type Answer = Omit<Result, 'code'> & { readonly code: ErrorCode | 'ok' };

/** The terminal's end of an attachment: the session's own, driven by a test. */
export class TestTerminal {
  readonly attachment: Attachment;
  /** RESULTs and EVENTs in the order in which they came, for tests of order. */
  readonly log: string[] = [];
  readonly events: PortEvent[] = [];
  readonly datagrams: Datagram[] = [];
  readonly streams = new Map<number, TestStream>();
  /** The reason of the DETACH, once it has come. */
  readonly gone = deferred<ErrorCode>();
  /** As ATTACHED gave it. */
  holdMs = 0;
  private readonly rig: TerminalSurroundings;
  readonly key: SigningKey;
  /** Of the first attempt. */
  readonly grant: AcceptedGrant;
  private readonly options: TerminalOptions;
  private readonly name;
  private attempts: number;
  private current: { readonly server: ServerDouble; readonly label: number } | undefined;
  private readonly waiting = new Map<number, Deferred<Answer>>();
  private readonly watchers: { holds: () => boolean; done: Deferred<void> }[] = [];
  private nextId = 1;

  private constructor(rig: TerminalSurroundings, options: TerminalOptions) {
    const { key = generateSigningKey(), attempt = 1 } = options;
    const grant = options.grant ?? rig.grant(key, options.claims, options.lifeMs);
    this.rig = rig;
    this.options = options;
    this.key = key;
    this.grant = grant;
    this.attempts = attempt;
    this.name = {
      instance: options.instance ?? randomBytes(16),
      attachmentId: options.attachmentId ?? randomBytes(16),
    };
    const budget = () => new Budget(options.terminalBudgetBytes ?? 8 * 1024 * 1024);
    const resources = {
      pool: new SlabPool(),
      receiveBudget: budget(),
      replayBudget: budget(),
      now: () => systemClock.now(),
    };
    this.attachment = new Attachment('terminal', resources, {
      onCommand: () => {},
      onResult: result => this.onResult(result),
      onEvent: event => this.onEvent(event),
      onDatagram: datagram => {
        this.datagrams.push({ ...datagram, bytes: Buffer.from(datagram.bytes) });
        this.look();
      },
      onOpen: () => {},
      onControlRoom: () => {},
    });
  }

  /** Attaches through the rig's server; an error code when the mediator refuses. */
  static async attach(rig: TerminalSurroundings, options: TerminalOptions = {}): Promise<TestTerminal> {
    const terminal = new TestTerminal(rig, options);
    await terminal.attachAs(terminal.attempts, options.signature);
    return terminal;
  }

  /**
   * The next attempt, or the one said, under its grant or another: leaves the label that it has, if any (P4.2).
   */
  async reattach(changes: { readonly attempt?: number; readonly grant?: AcceptedGrant } = {}): Promise<void> {
    this.attempts = changes.attempt ?? this.attempts + 1;
    await this.attachAs(this.attempts, undefined, changes.grant);
  }

  private async attachAs(attempt: number, signature?: Buffer, grant = this.grant): Promise<void> {
    const { server, mediatorKey: mediator } = this.rig;
    const { purpose = 'assistance', holdMs = 0 } = this.options;
    const mediatorKey = mediator.publicKey;
    const about = {
      ...this.name,
      attempt,
      grant: grant.text,
      purpose,
      holdMs,
      capabilities: [],
      mediatorKey,
    };
    const prepared = prepareAttach(about, this.key);
    let label: number | undefined;
    const isCurrent = () => this.current?.server === server && this.current.label === label;
    const answer = await server.attach(mediatorKey, prepared.inner, {
      onFrame: frame => {
        if (isCurrent()) this.receive(frame);
      },
      onGone: reason => {
        if (isCurrent()) this.onGone(reason === undefined ? undefined : errorCodeOf(reason));
      },
    });
    const agreed = prepared.complete(answer);
    this.attachment.suspend();
    label = answer.label;
    this.holdMs = agreed.holdMs;
    this.current = { server, label };
    this.bind(agreed.keys, signature ?? agreed.signature);
  }

  /** Of the newest attempt. */
  get label(): number {
    return this.current?.label ?? 0;
  }

  private onGone(code: ErrorCode = 'detached'): void {
    this.gone.resolve(code);
    this.attachment.unbind(code);
  }

  /** The terminal's link is lost: the server tells the mediator, and this end waits for {@link reattach}. */
  lose(): void {
    const { current } = this;
    this.current = undefined;
    this.attachment.suspend();
    current?.server.unroute(current.label, errorNumber('link-lost'));
  }

  private bind(keys: ControlKeys, signature: Buffer): void {
    const to = this.current;
    const scheduler: Scheduler = new Scheduler(() => queueMicrotask(() => this.pump(scheduler, to)));
    this.attachment.bind({
      label: 1,
      keys,
      signature,
      credit: new HopCredit(Number.MAX_SAFE_INTEGER),
      wake: source => scheduler.wake(source),
      requestTick: atMs => {
        systemClock.after(atMs - systemClock.now(), () => this.attachment.tick(systemClock.now()));
      },
      roundTripMs: () => 10,
    });
  }

  private pump(scheduler: Scheduler, to: typeof this.current): void {
    const { tamper = frame => frame } = this.options;
    for (;;) {
      const frame = scheduler.take();
      if (frame === undefined) return;
      const bytes = tamper(frame);
      if (bytes !== undefined) to?.server.deliver(to.label, bytes);
    }
  }

  private receive(frame: Frame): void {
    this.attachment.receive({ ...frame, bytes: Buffer.from(frame.bytes) });
    this.look();
  }

  private onResult(result: Result): void {
    const code = result.code === 0 ? 'ok' : (errorCodeOf(result.code) ?? 'internal');
    this.log.push(`result ${result.id} ${code}`);
    this.waiting.get(result.id)?.resolve({ ...result, code });
  }

  private onEvent(event: PortEvent): void {
    this.log.push(`event ${event.kind}`);
    this.events.push(event);
    if (event.kind === 'connected' && event.attachment === undefined) this.accept(event);
    this.look();
  }

  private accept(event: EventOf<'connected'>): void {
    const made = this.attachment.acceptStream(event.stream, event.limit, 4096);
    if (made !== undefined) this.streams.set(event.stream, new TestStream(made.stream));
  }

  private look(): void {
    for (const watcher of this.watchers) if (watcher.holds()) watcher.done.resolve();
  }

  /** Resolves when `holds` does; looked at after every frame. */
  until(holds: () => boolean): Promise<void> {
    const done = deferred<void>();
    this.watchers.push({ holds, done });
    this.look();
    return done.promise;
  }

  /** The first event of that kind that has come or comes, after those of `before`. */
  async event<K extends EventKind>(kind: K, before = 0): Promise<EventOf<K>> {
    const found = () => this.events.filter(each => each.kind === kind)[before];
    await this.until(() => found() !== undefined);
    return found() as EventOf<K>;
  }

  /** Sends a command; its RESULT. */
  command(fields: Fields<Command>, creates?: Stream): Promise<Answer> {
    const answer = deferred<Answer>();
    const id = this.nextId++;
    this.waiting.set(id, answer);
    this.attachment.sendCommand({ ...fields, id } as Command, creates);
    return answer.promise;
  }

  /** OPEN on 127.0.0.1, any number, unless said otherwise. */
  open(fields: Partial<CommandOf<'open'>> = {}): Promise<Answer> {
    const defaults = { protocol: 'tcp', address: '127.0.0.1', number: 0, choice: 'any' } as const;
    return this.command({ verb: 'open', ...defaults, ...fields });
  }

  /** CONNECT to 127.0.0.1 unless said otherwise; the stream's end here, whether or not it succeeds. */
  connect(
    port: { port?: number; portOf?: number },
    number: number,
    fields: Partial<CommandOf<'connect'>> = { address: '127.0.0.1' },
  ): { stream: TestStream; result: Promise<Answer> } {
    const made = this.attachment.createStream(4096);
    if (made === undefined) throw new Error('no budget');
    const stream = new TestStream(made.stream);
    const asked = { verb: 'connect', ...port, ...fields, number } as const;
    const sent = this.command({ ...asked, stream: made.stream.id, limit: made.limit }, made.stream);
    const result = sent.then(answer => {
      if (answer.limit !== undefined) made.stream.raiseLimit(answer.limit);
      return answer;
    });
    return { stream, result };
  }

  /** OPEN and CONNECT; fails when either does. */
  async connected(
    number: number,
    fields?: Partial<CommandOf<'connect'>>,
  ): Promise<{ port: number; localNumber: number; stream: TestStream }> {
    const opened = await this.open();
    const port = opened.port ?? 0;
    const { stream, result } = this.connect({ port }, number, fields);
    const answer = await result;
    if (answer.code !== 'ok') throw new Error(`CONNECT: ${answer.code} ${answer.message}`);
    return { port, localNumber: opened.number ?? 0, stream };
  }

  /** CLOSE. */
  close(port: number, streams: 'reset' | 'drain' = 'reset'): Promise<Answer> {
    return this.command({ verb: 'close', port, streams });
  }

  /** LISTEN. */
  listen(port: number, fields: Partial<CommandOf<'listen'>> = {}): Promise<Answer> {
    return this.command({ verb: 'listen', port, backlog: 16, whileAway: true, limit: 4096, ...fields });
  }

  /** Sends a datagram. */
  send(port: number, peerNumber: number, bytes: Buffer, peerAddress = '127.0.0.1'): void {
    this.attachment.sendDatagram({ port, peerAddress, peerNumber, bytes });
  }
}
