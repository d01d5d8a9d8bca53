import { type ErrorCode, errorCodeOf } from '../../../base/errors.ts';
import type { SigningKey } from '../../../base/keys.ts';
import { Attachment, earlyDataBytes } from '../../../session/attachment.ts';
import type { MemberLinkHandlers } from '../../../session/member-link.ts';
import type { Stream } from '../../../session/stream.ts';
import { ModelEnd } from '../../../session/testing/model-end.ts';
import { type Attached, attach, attachedInner } from '../../../wire/messages/attach.ts';
import type { Command, Result } from '../../../wire/messages/command.ts';
import type { PortEvent } from '../../../wire/messages/event.ts';
import { presence } from '../../../wire/messages/report.ts';
import { frameType } from '../../../wire/spec.ts';
import { Association, listenLimitBytes } from './association.ts';
import { agree, innerOf } from './attempt.ts';
import { ModelProcess, mustBeHonest } from './process.ts';
import type { PathWorld } from './world.ts';

/** Refusals after which a terminal tries again (P4.3). */
const passing = new Set<ErrorCode | undefined>([
  'mediator-offline',
  'timed-out',
  'limit',
  'in-use',
  'link-lost',
]);

/** A command as its owner thinks of it; the number is the model's. */
export type Wish = Command extends infer C ? (C extends unknown ? Omit<C, 'id'> : never) : never;

interface Held {
  readonly association: Association;
  readonly attachment: Attachment;
  readonly id: Buffer;
  attempt: number;
  /** The label it is bound to, or that it asks for. */
  label: number | undefined;
  asking: Uint8Array | undefined;
  peerInstance: Buffer | undefined;
  cancelHold: (() => void) | undefined;
}

/** The owner of a terminal's end of an attachment, as thin as can be: attach, suspend, bind again (P4). */
export class ModelTerminal extends ModelProcess {
  private held: Held | undefined;
  private ids = 0;

  constructor(world: PathWorld, key: SigningKey) {
    super(world, 'terminal', key);
  }

  /** What there is to say and hear, while there is an attachment. */
  get association(): Association | undefined {
    return this.held?.association;
  }

  /** Live streams and RESETs that are kept. */
  get leftovers(): number {
    const attachment = this.held?.attachment;
    return attachment === undefined ? 0 : attachment.streamCount + attachment.pendingResets;
  }

  /** True when the attachment is there and open. */
  get open(): boolean {
    return this.held?.attachment.open === true;
  }

  protected linkHandlers(): Partial<MemberLinkHandlers> {
    return {
      onAttached: message => this.onAttached(message),
      onPresence: ({ entries = [] }) => {
        if (entries.some(({ online }) => online) && this.held !== undefined) this.attach();
      },
    };
  }

  protected streams(): Iterable<Stream> {
    return this.held?.association.streamsAt('terminal') ?? [];
  }

  protected onWelcome(): void {
    this.link?.driver.send(frameType.presence, presence.toBytes({ subscribe: true }));
  }

  protected onDeath(): void {
    this.ids = 0;
    this.held?.association.end('terminal', 'died');
    this.held?.cancelHold?.();
    this.held = undefined;
  }

  /** Asks for an attachment, for the one that there is if there is one. */
  attach(): void {
    const { link } = this;
    if (link === undefined || this.held?.label !== undefined) return;
    this.held ??= this.newHeld();
    const { held } = this;
    held.attempt++;
    const inner = innerOf({
      terminalKey: this.key.publicKey,
      instance: this.instance,
      attachmentId: held.id,
      attempt: held.attempt,
      holdMs: this.world.holdMs,
    });
    held.asking = inner;
    held.label = link.openLabel({
      receive: frame => this.world.expect(() => held.attachment.receive(frame)),
      onGone: (code, mayResume) => this.onGone(held, code, mayResume),
    });
    const body = { label: held.label, mediator: this.world.mediatorKey, inner };
    link.driver.send(frameType.attach, attach.toBytes(body));
  }

  private newHeld(): Held {
    this.ids++;
    const id = Buffer.from(this.key.publicKey.subarray(0, 16));
    // A standing service has one id for all lives of its terminals (P4.2). Nobody uses one twice in a life.
    if (!this.world.standing || this.ids > 1) {
      id.writeUInt32BE(this.ids);
      this.instance.copy(id, 4, 0, 4);
    }
    const association = new Association(id.toString('hex'));
    this.world.associations.push(association);
    const attachment = new Attachment('terminal', this.resources, {
      onCommand: () => {},
      onResult: result => this.world.expect(() => this.onResult(association, result)),
      onEvent: event => this.world.expect(() => this.onEvent(association, event)),
      onDatagram: datagram => this.world.expect(() => association.datagrams.mediator.hear(datagram)),
      onOpen: () => this.onOpen(),
      onControlRoom: () => {},
    });
    return {
      association,
      attachment,
      id,
      attempt: 0,
      label: undefined,
      asking: undefined,
      peerInstance: undefined,
      cancelHold: undefined,
    };
  }

  private onAttached(message: Attached): void {
    const { held } = this;
    if (held?.asking === undefined || held.label !== message.label) return;
    const { asking } = held;
    held.asking = undefined;
    if (message.error !== undefined) return this.onRefused(held, errorCodeOf(message.error));
    if (message.inner === undefined) throw new Error('ATTACHED says nothing');
    const { instance } = attachedInner.fromBytes(message.inner);
    if (held.peerInstance !== undefined && !held.peerInstance.equals(instance)) {
      this.link?.closeLabel(message.label);
      return this.end(held, 'mediator-restarted');
    }
    held.peerInstance = Buffer.from(instance);
    const { terminal, signature } = agree(this.world.mediatorKey, asking, message.inner);
    const binding = this.bindingOf(message.label, message.credit ?? 0, terminal, now =>
      held.attachment.tick(now),
    );
    held.attachment.bind({ ...binding, signature });
  }

  private onRefused(held: Held, code: ErrorCode | undefined): void {
    if (held.label !== undefined) this.link?.forgetLabel(held.label);
    held.label = undefined;
    if (!passing.has(code)) this.end(held, code ?? 'internal');
  }

  private onOpen(): void {
    this.held?.cancelHold?.();
    if (this.held !== undefined) this.held.cancelHold = undefined;
  }

  private onGone(held: Held, code: ErrorCode, mayResume: boolean): void {
    if (this.held !== held) return;
    if (!mayResume) this.world.note(() => mustBeHonest(code, 'a label of the terminal'));
    const wasBound = held.asking === undefined;
    if (mayResume && code === 'limit') this.world.shed++;
    held.label = undefined;
    held.asking = undefined;
    held.association.datagrams.terminal.labelLost();
    if (!mayResume) return this.end(held, code);
    if (!wasBound) return;
    if (this.world.holdMs === 0) return this.end(held, 'link-lost');
    held.attachment.suspend();
    held.cancelHold ??= this.world.clock.after(this.world.holdMs, () => this.endOfHold(held));
  }

  private endOfHold(held: Held): void {
    if (this.held !== held) return;
    if (held.label !== undefined) this.link?.closeLabel(held.label, 'terminal-gone');
    this.end(held, 'terminal-gone');
  }

  private end(held: Held, code: ErrorCode): void {
    if (this.held !== held) return;
    this.held = undefined;
    held.cancelHold?.();
    held.attachment.unbind(code);
    this.world.resentBytes += held.attachment.resentBytes;
    held.association.end('terminal', 'ended');
  }

  /** Leaves for good (P4.6). */
  detach(): void {
    const { held } = this;
    if (held === undefined) return;
    if (held.label !== undefined) this.link?.closeLabel(held.label);
    this.end(held, 'detached');
  }

  private say(wish: Wish, creates?: Stream): void {
    const { held } = this;
    if (held === undefined) return;
    const command = { ...wish, id: held.association.nextOf('commands') } as Command;
    held.attachment.sendCommand(command, creates);
  }

  /** Says a COMMAND that makes no stream, while stream 0 takes one. */
  command(wish: Wish): void {
    if (this.held?.attachment.controlFull === false) this.say(wish);
  }

  /** Sends a datagram, if there is an attachment to send it by. */
  sendDatagram(sizeBytes: number): void {
    const { held } = this;
    if (held === undefined) return;
    const hasLabel = held.label !== undefined && held.asking === undefined;
    held.association.sendDatagram('terminal', held.attachment, hasLabel, sizeBytes);
  }

  /** Datagrams of this end that were dropped and counted. */
  get droppedDatagrams(): number {
    return this.held?.attachment.droppedDatagrams ?? 0;
  }

  /** A stream of this end, by CONNECT. */
  connectStream(): void {
    const { held } = this;
    if (held === undefined || held.attachment.controlFull) return;
    const made = held.attachment.createStream(earlyDataBytes);
    if (made === undefined) return;
    const { stream, limit } = made;
    this.addEnd(held.association, stream);
    this.say(
      { verb: 'connect', port: 1, address: '192.0.2.1', number: 80, stream: stream.id, limit },
      stream,
    );
  }

  private addEnd(association: Association, stream: Stream): void {
    const entry = association.streamOf(stream.id);
    entry.terminal = new ModelEnd(`stream ${stream.id} at the terminal`, stream, () => entry.mediator);
  }

  private onResult(association: Association, { id, code, port = 0, limit = 0 }: Result): void {
    association.hear('results', id);
    const stream = association.streams.get(port)?.terminal?.stream;
    if (code === 0 && limit > 0 && stream?.ended === false) stream.raiseLimit(limit);
  }

  private onEvent(association: Association, event: PortEvent): void {
    association.hear('events', event.timeMs);
    if (event.kind !== 'connected') return;
    const { attachment } = this.held ?? {};
    const made = attachment?.acceptStream(event.stream, event.limit, listenLimitBytes);
    if (made === undefined) attachment?.refuseStream(event.stream, 'limit');
    else this.addEnd(association, made.stream);
  }
}
