import { randomBytes } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { asEntremiseError, type EntremiseError, type ErrorCode, errorCodeOf } from '../../base/errors.ts';
import { generateSigningKey, type SigningKey } from '../../base/keys.ts';
import { silentLog } from '../../base/log.ts';
import { answerAttach, prepareAttach } from '../../session/attach-handshake.ts';
import { Attachment, type Side } from '../../session/attachment.ts';
import { Budget } from '../../session/budget.ts';
import type { ControlKeys } from '../../session/control-stream.ts';
import type { Enrolment, Welcomed } from '../../session/handshake.ts';
import { HopCredit } from '../../session/hop-credit.ts';
import { MemberLink } from '../../session/member-link.ts';
import { SlabPool } from '../../session/slab.ts';
import type { Stream } from '../../session/stream.ts';
import type { MemoryTransport } from '../../transport/memory.ts';
import type { Transport } from '../../transport/transport.ts';
import { encodeFrame, type Frame, FrameDecoder } from '../../wire/frame.ts';
import { type Attach, attach, attached, attachInner } from '../../wire/messages/attach.ts';
import type { Datagram } from '../../wire/messages/binary.ts';
import type { Command, Result } from '../../wire/messages/command.ts';
import type { PortEvent } from '../../wire/messages/event.ts';
import type { Audithead, Role, Statement } from '../../wire/messages/link.ts';
import type { Presence } from '../../wire/messages/report.ts';
import { frameType } from '../../wire/spec.ts';

/** What a {@link LabMember} is made with. */
export interface LabMemberOptions {
  readonly role: Role;
  readonly key?: SigningKey;
  readonly instance?: Buffer;
  readonly linkNo?: number;
  /** A mediator that does not answer ATTACH. */
  readonly mute?: boolean;
  readonly software?: string;
  readonly capabilities?: readonly string[];
  /** Keeps every frame that comes, in {@link LabMember.received}. */
  readonly tap?: boolean;
  readonly enrolment?: Enrolment;
}

/** One end of an attachment of a {@link LabMember}, and what it was told. */
export interface LabEnd {
  label: number;
  attachment: Attachment | undefined;
  /** Why the label is gone, once it is. */
  gone: ErrorCode | undefined;
  /** The refusal in ATTACHED, if there was one. */
  refused: { code: ErrorCode | undefined; by: string | undefined } | undefined;
  readonly commands: { command: Command; seq: number; denied: ErrorCode | undefined }[];
  readonly results: Result[];
  readonly events: PortEvent[];
  readonly datagrams: Datagram[];
  /** Frames as they came, newest last. */
  readonly frames: Frame[];
}

/** A member for tests of the switch: real handshake, link and attachments; no policy of its own. */
export class LabMember<T extends Transport = MemoryTransport> {
  readonly key: SigningKey;
  readonly link: MemberLink;
  readonly transport: T;
  readonly received: Frame[] = [];
  readonly ends: LabEnd[] = [];
  readonly presence: Presence[] = [];
  readonly statements: Statement[] = [];
  readonly heads: Audithead[] = [];
  readonly attaches: Attach[] = [];
  welcomed: Welcomed | undefined;
  closed: EntremiseError | undefined;
  private readonly clock: Clock;
  private readonly instance: Buffer;
  private readonly mute: boolean;
  private readonly asked = new Map<number, (message: Parameters<LabMember['onAttached']>[0]) => void>();
  private readonly resources;

  constructor(transport: T, clock: Clock, options: LabMemberOptions) {
    const { role, key = generateSigningKey(), instance = randomBytes(16), linkNo = 1 } = options;
    this.key = key;
    this.instance = instance;
    this.clock = clock;
    this.transport = transport;
    this.mute = options.mute ?? false;
    this.resources = {
      pool: new SlabPool(),
      receiveBudget: new Budget(32 * 1024 * 1024),
      replayBudget: new Budget(32 * 1024 * 1024),
      now: () => clock.now(),
    };
    const identity = { role, signer: key, instance, software: options.software ?? 'lab' };
    const capabilities = options.capabilities ?? [];
    this.link = new MemberLink(
      {
        transport: options.tap ? this.tapped(transport) : transport,
        clock,
        log: silentLog(),
        keepaliveMs: 25_000,
      },
      { ...identity, capabilities },
      linkNo,
      {
        onWelcome: welcomed => {
          this.welcomed = welcomed;
        },
        onAttach: message => this.onAttach(message),
        onAttached: message => this.onAttached(message),
        onPresence: message => this.presence.push(message),
        onStatement: message => this.statements.push(message),
        onService: () => {},
        onAudithead: message => this.heads.push(message),
        onClosed: error => {
          this.closed = error;
        },
      },
      options.enrolment,
    );
  }

  /** The transport, with every frame that comes written down as well. */
  private tapped(transport: T): Transport {
    const decoder = new FrameDecoder();
    return {
      remote: transport.remote,
      serverPin: transport.serverPin,
      alpn: transport.alpn,
      exportKeyingMaterial: (label, lengthBytes) => transport.exportKeyingMaterial(label, lengthBytes),
      hidesBacklog: transport.hidesBacklog,
      unsentBytes: () => transport.unsentBytes(),
      pathFacts: () => transport.pathFacts(),
      write: bytes => transport.write(bytes),
      end: () => transport.end(),
      destroy: cause => transport.destroy(cause),
      get backlogBytes() {
        return transport.backlogBytes;
      },
      start: handlers =>
        transport.start({
          onDrain: () => handlers.onDrain(),
          onClosed: cause => handlers.onClosed(cause),
          onBytes: piece => {
            decoder.push(Buffer.from(piece), frame => this.received.push(frame));
            handlers.onBytes(piece);
          },
        }),
    };
  }

  /** Sends one frame as it is, whatever it breaks. */
  sendRaw(type: number, label: number, stream: number, body: Uint8Array, flags = 0): void {
    this.link.driver.scheduler.sendOnLink(encodeFrame({ type, flags, label, stream }, body));
  }

  private newEnd(label: number, side: Side): LabEnd {
    const commands: LabEnd['commands'] = [];
    const results: Result[] = [];
    const events: PortEvent[] = [];
    const datagrams: Datagram[] = [];
    const attachment = new Attachment(side, this.resources, {
      onCommand: (command, seq, denied) => commands.push({ command, seq, denied }),
      onResult: result => results.push(result),
      onEvent: event => events.push(event),
      onDatagram: datagram => datagrams.push({ ...datagram, bytes: Buffer.from(datagram.bytes) }),
      onOpen: () => {},
      onControlRoom: () => {},
    });
    const told = { commands, results, events, datagrams, frames: [] };
    const end: LabEnd = { label, attachment, gone: undefined, refused: undefined, ...told };
    this.ends.push(end);
    return end;
  }

  private endpointOf(end: LabEnd) {
    return {
      receive: (frame: Frame) => {
        end.frames.push({ ...frame, bytes: Buffer.from(frame.bytes) });
        end.attachment?.receive(frame);
      },
      onGone: (code: ErrorCode) => {
        end.gone = code;
        end.attachment?.unbind(code);
      },
    };
  }

  private bind(
    end: LabEnd,
    credit: number,
    keys: ControlKeys,
    proof: { signature: Buffer } | { verify: (signature: Uint8Array | undefined) => boolean },
  ): void {
    end.attachment?.bind({
      ...proof,
      label: end.label,
      keys,
      credit: new HopCredit(credit),
      wake: source => this.link.driver.scheduler.wake(source),
      requestTick: atMs =>
        void this.clock.after(atMs - this.clock.now(), () => end.attachment?.tick(this.clock.now())),
      roundTripMs: () => 1,
    });
  }

  /** Terminal: asks for an attachment. */
  attachTo(mediatorKey: Uint8Array, grant = 'a grant'): LabEnd {
    const end = this.newEnd(0, 'terminal');
    const label = this.link.openLabel(this.endpointOf(end));
    end.label = label;
    const prepared = prepareAttach(
      {
        mediatorKey,
        instance: this.instance,
        attachmentId: randomBytes(16),
        attempt: 1,
        grant,
        holdMs: 0,
        purpose: 'assistance',
        capabilities: [],
      },
      this.key,
    );
    this.asked.set(label, message => {
      if (message.error !== undefined) {
        end.refused = { code: errorCodeOf(message.error), by: message.by };
        return;
      }
      try {
        const { keys, signature } = prepared.complete(message);
        this.bind(end, message.credit ?? 0, keys, { signature });
      } catch (thrown) {
        // A mediator's answer that is worth nothing is no reason to lose the link.
        end.refused = { code: asEntremiseError(thrown).code, by: 'terminal' };
      }
    });
    const body = { label, mediator: mediatorKey, inner: prepared.inner };
    this.link.driver.send(frameType.attach, attach.toBytes(body));
    return end;
  }

  private onAttached(message: ReturnType<typeof attached.fromBytes>): void {
    this.asked.get(message.label)?.(message);
    this.asked.delete(message.label);
  }

  private onAttach(message: Attach): void {
    this.attaches.push(message);
    if (this.mute) return;
    const end = this.newEnd(message.label, 'mediator');
    this.link.takeLabel(message.label, this.endpointOf(end));
    const answered = answerAttach(message.inner, attachInner.fromBytes(message.inner), {
      signer: this.key,
      instance: this.instance,
      holdMs: 0,
      capabilities: [],
    });
    const { inner, signature, keys } = answered;
    this.link.driver.send(frameType.attached, attached.toBytes({ label: message.label, inner, signature }));
    this.bind(end, message.credit ?? 0, keys, { verify: given => answered.verify(given) });
  }
}

/** A stream made by the terminal and accepted by the mediator, as CONNECT and its RESULT do it. */
export function streamBetween(terminal: LabEnd, mediator: LabEnd): { terminal: Stream; mediator: Stream } {
  const made = terminal.attachment?.createStream(0);
  const accepted = made && mediator.attachment?.acceptStream(made.stream.id, made.limit);
  if (made === undefined || accepted === undefined) throw new Error('no budget for a stream');
  made.stream.raiseLimit(accepted.limit);
  return { terminal: made.stream, mediator: accepted.stream };
}
