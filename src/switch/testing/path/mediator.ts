import { EntremiseError, type ErrorCode, errorNumber } from '../../../base/errors.ts';
import type { SigningKey } from '../../../base/keys.ts';
import { Attachment } from '../../../session/attachment.ts';
import type { LabelEndpoint, MemberLink, MemberLinkHandlers } from '../../../session/member-link.ts';
import { PendingAttempt } from '../../../session/pending-attempt.ts';
import type { Stream } from '../../../session/stream.ts';
import { ModelEnd } from '../../../session/testing/model-end.ts';
import type { Frame } from '../../../wire/frame.ts';
import { type Attach, type AttachInner, attached, attachInner } from '../../../wire/messages/attach.ts';
import type { Command } from '../../../wire/messages/command.ts';
import { frameType } from '../../../wire/spec.ts';
import { type Association, listenLimitBytes } from './association.ts';
import { agree, answerOf } from './attempt.ts';
import { ModelProcess, mustBeHonest } from './process.ts';
import type { PathWorld } from './world.ts';

/** From ATTACHED to the terminal's proof (P4.2). */
const proofTimeoutMs = 10_000;

interface Held {
  readonly idText: string;
  readonly instance: Buffer;
  readonly association: Association;
  readonly attachment: Attachment;
  attempt: number;
  label: LabelEndpoint | undefined;
  labelNumber: number;
  cancelHold: (() => void) | undefined;
}

/** The owner of a mediator's ends of attachments, as thin as can be: answer, move, hold, adopt (P4). */
export class ModelMediator extends ModelProcess {
  private readonly held = new Map<string, Held>();
  /** Attachments that this life has ended: what a terminal would go on from is not there any more. */
  private readonly gone = new Set<string>();

  constructor(world: PathWorld, key: SigningKey) {
    super(world, 'mediator', key);
  }

  /** Attachments that are held or bound. */
  get attachments(): readonly Attachment[] {
    return [...this.held.values()].map(({ attachment }) => attachment);
  }

  /** Live streams and RESETs that are kept. */
  get leftovers(): number {
    return this.attachments.reduce(
      (sum, { streamCount, pendingResets }) => sum + streamCount + pendingResets,
      0,
    );
  }

  protected linkHandlers(): Partial<MemberLinkHandlers> {
    return { onAttach: message => this.onAttach(message) };
  }

  protected *streams(): Iterable<Stream> {
    for (const { association } of this.held.values()) yield* association.streamsAt('mediator');
  }

  protected onWelcome(): void {}

  protected onDeath(): void {
    for (const { association, cancelHold } of this.held.values()) {
      association.end('mediator', 'died');
      cancelHold?.();
    }
    this.held.clear();
    this.gone.clear();
  }

  private onAttach(message: Attach): void {
    const { link } = this;
    if (link === undefined) return;
    const inner = attachInner.fromBytes(message.inner);
    const refusal = this.refusalOf(inner);
    if (refusal !== undefined) return this.refuse(link, message.label, refusal);
    const { inner: answer, signature } = answerOf(this.key.publicKey, this.instance, inner);
    const { mediator, verify } = agree(this.key.publicKey, message.inner, answer);
    const binding = this.bindingOf(message.label, message.credit ?? 0, mediator, now =>
      this.held.get(idTextOf(inner))?.attachment.tick(now),
    );
    const pending = new PendingAttempt({ ...binding, verify });
    const endpoint = this.endpointOf(link, message.label, inner, pending);
    link.takeLabel(message.label, endpoint);
    link.driver.send(
      frameType.attached,
      attached.toBytes({ label: message.label, inner: answer, signature }),
    );
  }

  private refuse(link: MemberLink, label: number, code: ErrorCode): void {
    link.takeLabel(label, { receive: () => {}, onGone: () => {} });
    link.forgetLabel(label);
    const error = errorNumber(code);
    link.driver.send(frameType.attached, attached.toBytes({ label, error, by: 'mediator' }));
  }

  private refusalOf(inner: AttachInner): ErrorCode | undefined {
    const held = this.held.get(idTextOf(inner));
    if (held === undefined) return this.gone.has(goneTextOf(inner)) ? 'terminal-gone' : undefined;
    if (!held.instance.equals(inner.instance)) return held.label === undefined ? undefined : 'in-use';
    return inner.attempt > held.attempt ? undefined : 'in-use';
  }

  /** A label, until its terminal has proved itself and from then on. */
  private endpointOf(
    link: MemberLink,
    label: number,
    inner: AttachInner,
    pending: PendingAttempt,
  ): LabelEndpoint {
    let proven: Held | undefined;
    const cancel = this.world.clock.after(proofTimeoutMs, () => {
      if (proven === undefined) link.closeLabel(label, 'too-slow');
    });
    const endpoint: LabelEndpoint = {
      receive: (frame: Frame) => {
        if (proven !== undefined) return this.receive(proven, endpoint, frame);
        if (!pending.receive(frame)) return;
        cancel();
        proven = this.prove(link, inner);
        proven.label = endpoint;
        proven.labelNumber = label;
        proven.attachment.moveTo(pending);
      },
      onGone: (code, mayResume) => {
        cancel();
        if (!mayResume) this.world.note(() => mustBeHonest(code, 'a label of the mediator'));
        if (proven?.label === endpoint) this.onGone(proven, code, mayResume);
      },
    };
    return endpoint;
  }

  private receive(held: Held, endpoint: LabelEndpoint, frame: Frame): void {
    if (held.label === endpoint) held.attachment.receive(frame);
  }

  /** What the terminal that has proved itself goes on with. */
  private prove(link: MemberLink, inner: AttachInner): Held {
    const refusal = this.refusalOf(inner);
    if (refusal !== undefined) throw new EntremiseError(refusal);
    const known = this.held.get(idTextOf(inner));
    if (known !== undefined && !known.instance.equals(inner.instance)) this.end(known, 'terminal-restarted');
    const held = this.held.get(idTextOf(inner)) ?? this.newHeld(inner);
    if (held.label !== undefined) link.closeLabel(held.labelNumber, 'displaced');
    held.association.datagrams.mediator.labelLost();
    held.cancelHold?.();
    held.cancelHold = undefined;
    held.attempt = inner.attempt;
    return held;
  }

  private newHeld(inner: AttachInner): Held {
    const idText = idTextOf(inner);
    const association = this.world.associations.findLast(one => one.idText === idText);
    if (association === undefined) throw new Error('nobody has asked for this attachment');
    const attachment: Attachment = new Attachment('mediator', this.resources, {
      onCommand: command => this.world.expect(() => this.run(association, attachment, command)),
      onResult: () => {},
      onEvent: () => {},
      onDatagram: datagram => this.world.expect(() => association.datagrams.terminal.hear(datagram)),
      onOpen: () => {},
      onControlRoom: () => {},
    });
    const held: Held = {
      idText,
      instance: Buffer.from(inner.instance),
      association,
      attachment,
      attempt: 0,
      label: undefined,
      labelNumber: 0,
      cancelHold: undefined,
    };
    this.held.set(idText, held);
    return held;
  }

  private onGone(held: Held, code: ErrorCode, mayResume: boolean): void {
    held.label = undefined;
    held.association.datagrams.mediator.labelLost();
    if (!mayResume) return this.end(held, code);
    if (this.world.holdMs === 0) return this.end(held, 'link-lost');
    held.attachment.suspend();
    held.cancelHold ??= this.world.clock.after(this.world.holdMs, () => this.end(held, 'terminal-gone'));
  }

  private end(held: Held, code: ErrorCode): void {
    if (this.held.get(held.idText) !== held) return;
    this.held.delete(held.idText);
    this.gone.add(`${held.idText} ${held.instance.toString('hex')}`);
    held.cancelHold?.();
    held.attachment.unbind(code);
    this.world.resentBytes += held.attachment.resentBytes;
    held.association.end('mediator', 'ended');
  }

  /** The mediator finds that the grant of that attachment has ended: DETACH says so, held or not. */
  expire(association: Association): void {
    const held = this.heldOf(association);
    if (held === undefined) return;
    if (held.label !== undefined) this.link?.closeLabel(held.labelNumber, 'grant-expired');
    this.end(held, 'grant-expired');
  }

  private run(association: Association, attachment: Attachment, command: Command): void {
    const { id } = command;
    association.hear('commands', id);
    association.nextOf('results');
    if (command.verb === 'listen') association.listening = true;
    if (command.verb !== 'connect') return attachment.sendResult({ id, code: 0 });
    const { stream: port, limit } = command;
    const made = attachment.acceptStream(port, limit);
    if (made === undefined) {
      attachment.sendResult({ id, code: errorNumber('limit'), port });
      return attachment.refuseStream(port, 'limit');
    }
    this.addEnd(association, made.stream);
    attachment.sendResult({ id, code: 0, port, limit: made.limit });
  }

  private addEnd(association: Association, stream: Stream): void {
    const entry = association.streamOf(stream.id);
    if (entry.mediator !== undefined) throw new Error(`stream ${stream.id} is made a second time`);
    entry.mediator = new ModelEnd(`stream ${stream.id} at the mediator`, stream, () => entry.terminal);
  }

  /** A device connects to a port of that attachment, if it listens and stream 0 takes the EVENT (P3.7). */
  accept(association: Association): void {
    const held = this.heldOf(association);
    if (held === undefined || !association.listening || held.attachment.controlFull) return;
    const made = held.attachment.createStream(listenLimitBytes);
    if (made === undefined) return;
    const { stream, limit } = made;
    this.addEnd(association, stream);
    const address = '192.0.2.1';
    const peer = { peerAddress: address, peerNumber: 1000, localAddress: address };
    const fields = { port: 1, timeMs: association.nextOf('events'), direction: 'from-device' as const };
    held.attachment.sendEvent({ kind: 'connected', ...fields, stream: stream.id, limit, ...peer }, stream);
  }

  /** A datagram comes to a port of that attachment. */
  sendDatagram(association: Association, sizeBytes: number): void {
    const held = this.heldOf(association);
    if (held === undefined) return;
    association.sendDatagram('mediator', held.attachment, held.label !== undefined, sizeBytes);
  }

  /** Datagrams that were dropped at that end of an attachment and counted. */
  droppedDatagramsOf(association: Association): number {
    return this.heldOf(association)?.attachment.droppedDatagrams ?? 0;
  }

  private heldOf(association: Association): Held | undefined {
    return [...this.held.values()].find(one => one.association === association);
  }

  /** Something is told of a port of that attachment. */
  tell(association: Association): void {
    const held = this.heldOf(association);
    if (held === undefined || held.attachment.controlFull) return;
    held.attachment.sendEvent({ kind: 'lost', port: 1, timeMs: association.nextOf('events'), count: 1 });
  }
}

function idTextOf({ attachmentId }: AttachInner): string {
  return Buffer.from(attachmentId).toString('hex');
}

function goneTextOf(inner: AttachInner): string {
  return `${idTextOf(inner)} ${Buffer.from(inner.instance).toString('hex')}`;
}
