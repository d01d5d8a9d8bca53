import type { Clock } from '../base/clock.ts';
import { EntremiseError, type ErrorCode, errorCodeOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { TokenBucket } from '../policy/rate.ts';
import type { GoawayHint } from '../session/goaway.ts';
import {
  type ProvenMember,
  ServerHandshake,
  type ServerHandshakeOptions,
  unexpected,
} from '../session/handshake.ts';
import { LinkDriver } from '../session/link-driver.ts';
import { noPromiseMs } from '../session/link-options.ts';
import type { LabelSource } from '../session/scheduler.ts';
import { LinkAssembler } from '../session/spanning.ts';
import type { Transport } from '../transport/transport.ts';
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
} from '../wire/messages/attach.ts';
import { type Statement, statement, welcome } from '../wire/messages/link.ts';
import { type Presence, presence, type Report, report } from '../wire/messages/report.ts';
import { channelExporterLabel, exporterLabel, frameNameOf, frameType } from '../wire/spec.ts';
import type { ChannelLink } from './channel-desk.ts';
import { type LabelEnd, LabelTable } from './label-table.ts';
import type { LinkIdentity, MemberEntry } from './members.ts';
import type { RouteLink } from './route.ts';

/** From accept to a good PROOF (P1.6). */
const authenticationMs = 10_000;

/** Label 0 from a member: that much at once, then that much a second (P1.6). */
const linkBurstBytes = 512 * 1024;
const linkBytesPerSecond = 64 * 1024;

/** What the owner of a link is told. Messages come from members that were welcomed only, and of the right role. */
export interface ServerLinkHandlers {
  /** The peer has proved its key: {@link ServerLink.welcome} it, or {@link ServerLink.close}. */
  onProven(link: ServerLink, member: ProvenMember): void;
  onAttach(link: ServerLink, message: Attach): void;
  onAttached(link: ServerLink, message: Attached): void;
  onPresence(link: ServerLink, message: Presence): void;
  onReport(link: ServerLink, message: Report): void;
  onStatement(link: ServerLink, message: Statement): void;
  onChannel(link: ServerLink, message: Channel): void;
  /** `end`: what its label leads to, if it is in use. */
  onPortroute(link: ServerLink, end: LabelEnd | undefined, message: Portroute): void;
  /** Nothing comes or goes any more, once. Its labels have been told. */
  onEnded(link: ServerLink, error: EntremiseError): void;
}

/** What a link is made with. */
export interface ServerLinkOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Log;
  readonly handshake: Omit<ServerHandshakeOptions, 'serverPin' | 'exporter'>;
  readonly handlers: ServerLinkHandlers;
}

/**
 * One link of a member at the server, from its first byte to its end: handshake and its deadline, label 0, and the table
 * of labels. Counterpart of the member's MemberLink.
 *
 *     authenticating --PROOF--> proven --identify(), welcome()--> up --> ended
 */
export class ServerLink implements RouteLink, MemberEntry, ChannelLink {
  readonly labels = new LabelTable();
  readonly remote: string;
  private readonly driver: LinkDriver;
  private readonly transport: Transport;
  private readonly clock: Clock;
  private readonly handlers: ServerLinkHandlers;
  /** Kept no longer than it is needed: it holds on to buffers of a fleet's handshakes. */
  private handshake: ServerHandshake | undefined;
  private readonly assembler = new LinkAssembler();
  private cancelDeadline: () => void;
  private who: LinkIdentity | undefined;
  private welcomed = false;
  private ended = false;

  constructor({ transport, clock, log, handshake, handlers }: ServerLinkOptions) {
    this.remote = transport.remote;
    this.transport = transport;
    this.clock = clock;
    this.handlers = handlers;
    this.handshake = new ServerHandshake({
      ...handshake,
      serverPin: transport.serverPin,
      exporter: transport.exportKeyingMaterial(exporterLabel, 32),
    });
    const budget = new TokenBucket(linkBytesPerSecond, linkBurstBytes, clock.now());
    this.driver = new LinkDriver(
      {
        transport,
        clock,
        log,
        keepaliveMs: undefined,
        onLinkFrame: frameBytes => {
          if (!budget.take(frameBytes, clock.now())) throw new EntremiseError('limit');
        },
      },
      {
        onFrame: frame => this.onFrame(frame),
        onEnding: error => this.end(error),
        onClosed: error => this.end(error),
      },
    );
    this.cancelDeadline = clock.after(authenticationMs, () => this.close('too-slow'));
  }

  /** From now on frames come and go. */
  start(): void {
    this.driver.start();
  }

  /** Who is there, once that is known. */
  get identity(): LinkIdentity {
    if (this.who === undefined) throw new EntremiseError('unauthenticated');
    return this.who;
  }

  /** True once the member was admitted. */
  get isMember(): boolean {
    return this.who !== undefined;
  }

  /** Says who has proved its key. */
  identify(identity: LinkIdentity): void {
    this.who = identity;
  }

  /** True until the link has ended. */
  get open(): boolean {
    return !this.ended;
  }

  get receivedBytes(): number {
    return this.driver.totalReceivedBytes;
  }

  /** Smoothed round trip in milliseconds, or undefined before it is known. */
  get roundTripMs(): number | undefined {
    return this.driver.roundTripMs;
  }

  /** Bytes of label 0 that the member has not taken yet. */
  get linkBacklogBytes(): number {
    return this.driver.scheduler.linkBytes;
  }

  /** Says WELCOME: from now on the member's messages are heard. `statementSeq`: of the newest trust statement. */
  welcome(statementSeq: number): void {
    this.welcomed = true;
    const serverTimeMs = this.clock.wallTimeMs();
    this.send(frameType.welcome, welcome.toBytes({ statementSeq, serverTimeMs, nextWithinMs: noPromiseMs }));
    this.driver.onAuthenticated();
  }

  /** Sends documents (P6.2), in as many STATEMENTs as they need. */
  sendDocuments(documents: readonly string[]): void {
    for (const part of statementParts(documents))
      this.send(frameType.statement, statement.toBytes({ documents: part }));
  }

  /** Ends the link with a GOAWAY that says why, and when and where to come back. */
  close(code: ErrorCode, message?: string, hint?: GoawayHint): void {
    this.driver.close(code, message, hint);
  }

  send(type: number, body: Uint8Array): void {
    if (!this.ended) this.driver.send(type, body);
  }

  wake(queue: LabelSource): void {
    if (!this.ended) this.driver.scheduler.wake(queue);
  }

  freeLabel(label: number, queue: LabelSource): void {
    this.labels.free(label);
    this.driver.scheduler.remove(queue);
  }

  dropFrame(): void {
    this.labels.droppedFrames++;
  }

  private onFrame(frame: Frame): void {
    if (!this.welcomed) return this.onHandshakeFrame(frame);
    if (frame.label !== 0) return this.labels.receive(frame);
    const body = this.assembler.receive(frame);
    if (body !== undefined) this.onMessage(frame.type, body);
  }

  private onHandshakeFrame(frame: Frame): void {
    const outcome = this.handshake?.receive(frame);
    if (outcome === undefined) throw unexpected(frame);
    if ('send' in outcome) return this.driver.scheduler.sendOnLink(outcome.send);
    this.handshake = undefined;
    this.endDeadline();
    this.handlers.onProven(this, outcome.member);
  }

  private endDeadline(): void {
    this.cancelDeadline();
    this.cancelDeadline = nothing;
  }

  private onMessage(type: number, body: Buffer): void {
    const { handlers } = this;
    const { role } = this.identity;
    switch (type) {
      case frameType.detach:
        return this.onDetach(body);
      case frameType.statement:
        return handlers.onStatement(this, statement.fromBytes(body));
      case frameType.channel:
        return handlers.onChannel(this, channel.fromBytes(body));
      case frameType.portroute: {
        const message = portroute.fromBytes(body);
        return handlers.onPortroute(this, this.labels.get(message.label), message);
      }
      case frameType.hello:
      case frameType.proof:
        throw new EntremiseError('unauthenticated', { message: 'A second authentication on one link.' });
    }
    if (role === 'terminal' && type === frameType.attach)
      return handlers.onAttach(this, attach.fromBytes(body));
    if (role === 'terminal' && type === frameType.presence)
      return handlers.onPresence(this, presence.fromBytes(body));
    if (role === 'mediator' && type === frameType.attached)
      return handlers.onAttached(this, attached.fromBytes(body));
    if (role === 'mediator' && type === frameType.report)
      return handlers.onReport(this, report.fromBytes(body));
    const name = frameNameOf(type)?.toUpperCase() ?? `Type ${type}`;
    throw new EntremiseError('unknown-type', { message: `${name} may not come from a ${role} on label 0.` });
  }

  /** A label that is no more may be detached once more: the two messages have crossed. */
  private onDetach(body: Buffer): void {
    const { label, reason } = detach.fromBytes(body);
    const code = reason === undefined ? undefined : errorCodeOf(reason);
    this.labels.get(label)?.onDetach(code ?? 'detached');
  }

  sendChannel(message: Channel): void {
    this.send(frameType.channel, channel.toBytes(message));
  }

  channelSecret(): Buffer {
    return this.transport.exportKeyingMaterial(channelExporterLabel, 32);
  }

  private end(error: EntremiseError): void {
    if (this.ended) return;
    this.ended = true;
    this.endDeadline();
    this.labels.loseAll(error.code === 'key-revoked' ? 'key-revoked' : 'link-lost');
    this.handlers.onEnded(this, error);
  }
}

const nothing = (): void => {};

/** Bytes of documents in one STATEMENT; with heads and the longest document still below the 256 KiB of P1.6. */
const statementBytes = 192 * 1024;

function statementParts(documents: readonly string[]): string[][] {
  const parts: string[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const text of documents) {
    if (bytes + text.length > statementBytes || (parts.at(-1)?.length ?? 0) >= 512) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)?.push(text);
    bytes += text.length;
  }
  return parts;
}
