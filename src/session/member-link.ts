import {
  asEntremiseError,
  EntremiseError,
  type ErrorCode,
  errorCodeOf,
  errorNumber,
} from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Frame } from '../wire/frame.ts';
import {
  type Attach,
  type Attached,
  attach,
  attached,
  type Channel,
  channel,
  detach,
  type Portroute,
  portroute,
  unrouted,
} from '../wire/messages/attach.ts';
import { type Audithead, audithead, type Statement, statement } from '../wire/messages/link.ts';
import { type Presence, presence, type Service, service } from '../wire/messages/report.ts';
import {
  channelExporterLabel,
  exporterLabel,
  frameNameOf,
  frameType,
  isLabelType,
  maxLabel,
} from '../wire/spec.ts';
import { type Enrolment, MemberHandshake, type MemberIdentity, type Welcomed } from './handshake.ts';
import { LinkDriver } from './link-driver.ts';
import type { LinkOptions } from './link-options.ts';
import { LinkAssembler } from './spanning.ts';

/** A label of a member's link: where its frames go. */
export interface LabelEndpoint {
  /** A frame of the label. A throw ends the label, not the link (P3.8). */
  receive(frame: Frame): void;
  /**
   * The label is gone; nothing more goes or comes on it. `mayResume`: by UNROUTED or the loss of the link, so that what was
   * on it may go on on another (P4.3).
   */
  onGone(code: ErrorCode, mayResume: boolean): void;
  /** PORTROUTE of the label has come (P7.2). Absent: it is of no use. */
  onPortroute?(message: Portroute): void;
}

/** What the owner of a member's link is told. */
export interface MemberLinkHandlers {
  onWelcome(welcomed: Welcomed): void;
  /** Mediator: a terminal wants to attach (P6.4). */
  onAttach(message: Attach): void;
  /** Terminal: the answer to an ATTACH of ours. */
  onAttached(message: Attached): void;
  onPresence(message: Presence): void;
  onStatement(message: Statement): void;
  onService(message: Service): void;
  /** About a UDP channel (P7.1); absent: the member has none. */
  onChannel?(message: Channel): void;
  /** The server tells the head of its audit (P6.10); absent: the member keeps none. */
  onAudithead?(message: Audithead): void;
  /** The link is over, once. */
  onClosed(error: EntremiseError): void;
}

/** One link of a member, from HELLO to its end: handshake, label 0, and the table of labels (P1.2). */
export class MemberLink {
  /** The link's driver, for sending and for its round trip. */
  readonly driver: LinkDriver;
  private readonly handlers: MemberLinkHandlers;
  private readonly transport: LinkOptions['transport'];
  private readonly log: Log;
  private readonly handshake: MemberHandshake;
  private readonly labels = new Map<number, LabelEndpoint>();
  private readonly assembler = new LinkAssembler();
  private welcomed = false;
  private nextOwnLabel = 1;
  private highestServerLabel = 0;
  /** Frames for labels that are no more (P1.2), and messages that are of no use here. */
  droppedFrames = 0;

  constructor(
    options: LinkOptions,
    identity: MemberIdentity,
    linkNo: number,
    handlers: MemberLinkHandlers,
    enrolment?: Enrolment,
  ) {
    const { transport } = options;
    this.handlers = handlers;
    this.transport = transport;
    this.log = options.log;
    const binding = {
      serverPin: transport.serverPin,
      exporter: transport.exportKeyingMaterial(exporterLabel, 32),
    };
    this.handshake = new MemberHandshake(identity, linkNo, binding, enrolment);
    this.driver = new LinkDriver(options, {
      onFrame: frame => this.onFrame(frame),
      onEnding: () => this.loseLabels(),
      onClosed: error => this.onClosed(error),
    });
  }

  /** Says HELLO. */
  start(): void {
    this.driver.start();
    this.driver.scheduler.sendOnLink(this.handshake.start());
  }

  /** Gives the link up without a word, which would come to nobody. `why` is for the log. */
  abandon(why: string): void {
    this.transport.destroy(new Error(why));
  }

  /**
   * A label of our own for an ATTACH (odd, never reused). `endpoint` gets its frames, and is told of its end unless
   * {@link closeLabel} or {@link forgetLabel} makes it.
   * @throws EntremiseError `limit` when all have been used; the link ends, and the next has all of them again (P1.2)
   */
  openLabel(endpoint: LabelEndpoint): number {
    const label = this.nextOwnLabel;
    if (label > maxLabel) {
      const error = new EntremiseError('limit', { message: 'This link has used all its labels.' });
      this.driver.close(error.code, error.message);
      throw error;
    }
    this.nextOwnLabel += 2;
    this.labels.set(label, endpoint);
    return label;
  }

  /**
   * Takes a label that the server has made by ATTACH.
   * @throws EntremiseError `protocol-error` when it is not a new one of the server's
   */
  takeLabel(label: number, endpoint: LabelEndpoint): void {
    if (label % 2 !== 0 || label <= this.highestServerLabel) throw new EntremiseError('protocol-error');
    this.highestServerLabel = label;
    this.labels.set(label, endpoint);
  }

  /** Ends a label from this side. Its endpoint is not told. */
  closeLabel(label: number, code?: ErrorCode): void {
    if (!this.labels.delete(label)) return;
    const reason = code === undefined ? {} : { reason: errorNumber(code) };
    this.driver.send(frameType.detach, detach.toBytes({ label, ...reason }));
  }

  /** Forgets a label whose ATTACH is refused by an ATTACHED: that answer frees it at the server too. */
  forgetLabel(label: number): void {
    this.labels.delete(label);
  }

  /** 32 bytes of the link's session for the keys of a UDP channel (P7.3). */
  channelSecret(): Buffer {
    return this.transport.exportKeyingMaterial(channelExporterLabel, 32);
  }

  /** Sends CHANNEL (P7.1). */
  sendChannel(message: Channel): void {
    this.driver.send(frameType.channel, channel.toBytes(message));
  }

  /** Sends PORTROUTE (P7.2). */
  sendPortroute(message: Portroute): void {
    this.driver.send(frameType.portroute, portroute.toBytes(message));
  }

  private onFrame(frame: Frame): void {
    if (!this.welcomed) return this.onHandshakeFrame(frame);
    if (frame.label === 0) return this.onLinkFrame(frame);
    if (!isLabelType(frame.type)) throw unexpected(frame, 'on a label');
    const endpoint = this.labels.get(frame.label);
    if (endpoint !== undefined) return this.onLabelFrame(endpoint, frame);
    const known =
      frame.label % 2 === 0 ? frame.label <= this.highestServerLabel : frame.label < this.nextOwnLabel;
    if (!known)
      throw new EntremiseError('protocol-error', { message: `Label ${frame.label} does not exist.` });
    this.droppedFrames++;
  }

  private onHandshakeFrame(frame: Frame): void {
    const outcome = this.handshake.receive(frame);
    if ('send' in outcome) return this.driver.scheduler.sendOnLink(outcome.send);
    this.welcomed = true;
    this.driver.onAuthenticated(outcome.welcomed.nextWithinMs);
    this.handlers.onWelcome(outcome.welcomed);
  }

  private onLabelFrame(endpoint: LabelEndpoint, frame: Frame): void {
    try {
      endpoint.receive(frame);
    } catch (thrown) {
      const error = asEntremiseError(thrown);
      const { code } = error;
      this.log.warn({ code, err: error, label: frame.label }, 'label ended by an error');
      this.closeLabel(frame.label, code);
      endpoint.onGone(code, false);
    }
  }

  private onLinkFrame(frame: Frame): void {
    const body = this.assembler.receive(frame);
    if (body === undefined) return;
    switch (frame.type) {
      case frameType.attach:
        return this.handlers.onAttach(attach.fromBytes(body));
      case frameType.attached:
        return this.handlers.onAttached(attached.fromBytes(body));
      case frameType.detach: {
        const { label, reason } = detach.fromBytes(body);
        const code = reason === undefined ? undefined : errorCodeOf(reason);
        return this.dropLabel(label, code ?? 'detached', false);
      }
      case frameType.unrouted: {
        const { label, reason } = unrouted.fromBytes(body);
        return this.dropLabel(label, errorCodeOf(reason) ?? 'link-lost', true);
      }
      case frameType.presence:
        return this.handlers.onPresence(presence.fromBytes(body));
      case frameType.statement:
        return this.handlers.onStatement(statement.fromBytes(body));
      case frameType.service:
        return this.handlers.onService(service.fromBytes(body));
      case frameType.channel:
        if (this.handlers.onChannel === undefined) this.droppedFrames++;
        return this.handlers.onChannel?.(channel.fromBytes(body));
      case frameType.portroute:
        return this.onPortroute(portroute.fromBytes(body));
      case frameType.audithead:
        if (this.handlers.onAudithead === undefined) this.droppedFrames++;
        return this.handlers.onAudithead?.(audithead.fromBytes(body));
      default:
        throw unexpected(frame, 'from a server on label 0');
    }
  }

  private onPortroute(message: Portroute): void {
    const endpoint = this.labels.get(message.label);
    if (endpoint?.onPortroute === undefined) this.droppedFrames++;
    endpoint?.onPortroute?.(message);
  }

  private dropLabel(label: number, code: ErrorCode, mayResume: boolean): void {
    const endpoint = this.labels.get(label);
    this.labels.delete(label);
    endpoint?.onGone(code, mayResume);
  }

  private loseLabels(): void {
    const endpoints = [...this.labels.values()];
    this.labels.clear();
    for (const endpoint of endpoints) endpoint.onGone('link-lost', true);
  }

  private onClosed(error: EntremiseError): void {
    this.loseLabels();
    this.handlers.onClosed(error);
  }
}

function unexpected(frame: Frame, where: string): EntremiseError {
  const name = frameNameOf(frame.type)?.toUpperCase() ?? `Type ${frame.type}`;
  return new EntremiseError('unknown-type', { message: `${name} may not come ${where}.` });
}
