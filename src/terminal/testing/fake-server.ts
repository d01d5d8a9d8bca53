import { randomBytes } from 'node:crypto';
import { systemClock } from '../../base/clock.ts';
import { type ErrorCode, errorNumber } from '../../base/errors.ts';
import { silentLog } from '../../base/log.ts';
import { testKeys } from '../../policy/fixtures.ts';
import { answerAttach } from '../../session/attach-handshake.ts';
import { ServerHandshake } from '../../session/handshake.ts';
import { HopCredit } from '../../session/hop-credit.ts';
import { LinkDriver } from '../../session/link-driver.ts';
import { PendingAttempt } from '../../session/pending-attempt.ts';
import { LinkAssembler } from '../../session/spanning.ts';
import { type MemoryTransport, memoryPair } from '../../transport/memory.ts';
import type { Transport } from '../../transport/transport.ts';
import { encodeFrame, type Frame } from '../../wire/frame.ts';
import {
  type AttachInner,
  attach,
  attached,
  attachInner,
  detach,
  unrouted,
} from '../../wire/messages/attach.ts';
import { encodeCredit } from '../../wire/messages/binary.ts';
import { welcome } from '../../wire/messages/link.ts';
import { type Presence, presence } from '../../wire/messages/report.ts';
import { exporterLabel, frameType } from '../../wire/spec.ts';
import { FakeMediator } from './fake-mediator.ts';

/** Bytes that a label may send before they must have been credited. */
const creditBytes = 256 * 1024;

interface Label {
  readonly mediator: FakeMediator;
  received: number;
  allowed: number;
  /** Until the terminal has proved itself. */
  pending: PendingAttempt | undefined;
}

/**
 * Server and mediator in one, for the SDK's tests: the terminal's real link ends here, and its labels are answered by
 * {@link FakeMediator}s directly. No switch between, so no authorisation either.
 */
export class FakeServer {
  /** One for each attachment that was made, oldest first. */
  readonly mediators: FakeMediator[] = [];
  /** Refuses every ATTACH. */
  refuseAttach: ErrorCode | undefined;
  /** How many it has refused. */
  refusedAttaches = 0;
  /** The mediator's link is lost: ATTACHes to it are refused. */
  away = false;
  /** Answers no ATTACH. */
  silentAttach = false;
  /** Frames on labels are lost. */
  deaf = false;
  /** What the mediator gives: an attachment that loses its label is kept for another. */
  holdMs = 0;
  /** Refuses every link. */
  refuseLink: Error | undefined;
  /** What PRESENCE says when a terminal subscribes. */
  presence: Presence = { entries: [], complete: true };
  /** Labels that the terminal has freed. */
  readonly detached: number[] = [];
  /** Frames that have come on labels. */
  frames = 0;
  /** What the terminal has asked for, oldest first. */
  readonly attaches: AttachInner[] = [];
  private readonly labels = new Map<number, Label>();
  /** By the attachment's id, while they are held or have a label. */
  private readonly held = new Map<string, FakeMediator>();
  private mediatorInstance = randomBytes(16);
  private driver: LinkDriver | undefined;
  private transport: MemoryTransport | undefined;

  /** A new link of the terminal. */
  connect(): Promise<Transport> {
    if (this.refuseLink !== undefined) return Promise.reject(this.refuseLink);
    const { client, server } = memoryPair({ defer: run => void setImmediate(run), capacityBytes: 1 << 20 });
    this.transport = server;
    const exporter = server.exportKeyingMaterial(exporterLabel, 32);
    const handshake = new ServerHandshake({
      serverPin: server.serverPin,
      exporter,
      nonce: randomBytes(32),
      bootId: randomBytes(16),
      capabilities: [],
      authorityKey: undefined,
    });
    const assembler = new LinkAssembler();
    let known = false;
    const driver = new LinkDriver(
      { transport: server, clock: systemClock, log: silentLog(), keepaliveMs: undefined },
      {
        onFrame(frame) {
          if (known) return onLinkFrame(frame, assembler);
          const outcome = handshake.receive(frame);
          if ('send' in outcome) return driver.scheduler.sendOnLink(outcome.send);
          known = true;
          const body = { statementSeq: 1, serverTimeMs: Date.now(), nextWithinMs: 60_000 };
          driver.send(frameType.welcome, welcome.toBytes(body));
          driver.onAuthenticated();
        },
        onClosed: () => this.dropLabels(),
      },
    );
    const onLinkFrame = (frame: Frame, parts: LinkAssembler) => this.onFrame(driver, frame, parts);
    this.driver = driver;
    driver.start();
    return Promise.resolve(client);
  }

  /** The mediator of the newest attachment. */
  get mediator(): FakeMediator {
    const mediator = this.mediators.at(-1);
    if (mediator === undefined) throw new Error('nobody has attached');
    return mediator;
  }

  private onFrame(driver: LinkDriver, frame: Frame, assembler: LinkAssembler): void {
    if (frame.label !== 0) return this.onLabelFrame(driver, frame);
    const body = assembler.receive(frame);
    if (body === undefined) return;
    if (frame.type === frameType.presence) this.tell(this.presence);
    if (frame.type === frameType.attach) this.onAttach(driver, body);
    if (frame.type === frameType.detach) this.onDetach(detach.fromBytes(body).label);
  }

  private onLabelFrame(driver: LinkDriver, frame: Frame): void {
    const entry = this.labels.get(frame.label);
    if (entry === undefined || this.deaf) return;
    this.frames++;
    entry.received += frame.bytes.length;
    if (entry.allowed - entry.received < creditBytes / 2) {
      entry.allowed = entry.received + creditBytes;
      const header = { type: frameType.credit, flags: 0, label: frame.label, stream: 0 };
      driver.scheduler.sendOnLink(
        encodeFrame(header, encodeCredit({ allowed: entry.allowed, linkReceived: 0 })),
      );
    }
    const { pending, mediator } = entry;
    if (pending === undefined) return mediator.session.receive(frame);
    if (!pending.receive(frame)) return;
    entry.pending = undefined;
    mediator.session.moveTo(pending);
  }

  private onAttach(driver: LinkDriver, body: Uint8Array): void {
    const { label, inner: innerBytes } = attach.fromBytes(body);
    const refusal = this.away ? 'mediator-offline' : this.refuseAttach;
    if (refusal !== undefined) return this.refuse(driver, label, refusal);
    const asked = attachInner.fromBytes(innerBytes);
    this.attaches.push(asked);
    if (this.silentAttach) return;
    const answered = answerAttach(innerBytes, asked, {
      signer: testKeys.mediator,
      instance: this.mediatorInstance,
      holdMs: Math.min(asked.holdMs, this.holdMs),
      capabilities: [],
    });
    const mediator = this.mediatorFor(asked);
    const pending = new PendingAttempt({
      label,
      keys: answered.keys,
      credit: new HopCredit(Number.MAX_SAFE_INTEGER),
      verify: signature => answered.verify(signature),
      wake: source => driver.scheduler.wake(source),
      requestTick: atMs =>
        void systemClock.after(atMs - systemClock.now(), () => mediator.session.tick(systemClock.now())),
      roundTripMs: () => 10,
    });
    this.labels.set(label, { mediator, received: 0, allowed: creditBytes, pending });
    const { inner, signature } = answered;
    driver.send(frameType.attached, attached.toBytes({ label, credit: creditBytes, inner, signature }));
  }

  private refuse(driver: LinkDriver, label: number, code: ErrorCode): void {
    this.refusedAttaches++;
    const refusal = { label, error: errorNumber(code), by: 'owner', message: 'not today' } as const;
    driver.send(frameType.attached, attached.toBytes(refusal));
  }

  private mediatorFor({ attachmentId }: AttachInner): FakeMediator {
    const id = Buffer.from(attachmentId).toString('hex');
    const known = this.held.get(id);
    if (known !== undefined) return known;
    const mediator = new FakeMediator();
    this.mediators.push(mediator);
    this.held.set(id, mediator);
    return mediator;
  }

  private onDetach(label: number): void {
    this.detached.push(label);
    const mediator = this.labels.get(label)?.mediator;
    this.labels.delete(label);
    if (mediator !== undefined) this.endMediator(mediator, 'terminal-gone');
  }

  private endMediator(mediator: FakeMediator, code: ErrorCode): void {
    mediator.session.unbind(code);
    for (const [id, each] of this.held) if (each === mediator) this.held.delete(id);
  }

  /** The mediator's process dies, and another takes its place, which knows of nothing. */
  restartMediator(): void {
    for (const mediator of this.held.values()) mediator.close();
    for (const mediator of [...this.held.values()]) this.endMediator(mediator, 'mediator-restarted');
    this.mediatorInstance = randomBytes(16);
  }

  /** Sends PRESENCE. */
  tell(message: Presence): void {
    this.driver?.send(frameType.presence, presence.toBytes(message));
  }

  /** The mediator's own link is lost: every attachment is held, or ends when there is no hold. */
  unroute(code: ErrorCode = 'link-lost'): void {
    for (const label of this.labels.keys())
      this.driver?.send(frameType.unrouted, unrouted.toBytes({ label, reason: errorNumber(code) }));
    this.dropLabels();
  }

  private dropLabels(): void {
    for (const { mediator } of this.labels.values()) {
      if (this.holdMs > 0) mediator.session.suspend();
      else this.endMediator(mediator, 'link-lost');
    }
    this.labels.clear();
  }

  /** The mediator ends every attachment. */
  detach(code: ErrorCode): void {
    for (const label of this.labels.keys())
      this.driver?.send(frameType.detach, detach.toBytes({ label, reason: errorNumber(code) }));
    for (const { mediator } of this.labels.values()) this.endMediator(mediator, code);
    this.labels.clear();
  }

  /** The mediator gives up the attempts that have not been proven; their attachments it keeps. */
  detachAttempts(code: ErrorCode): void {
    for (const [label, { pending }] of this.labels) {
      if (pending === undefined) continue;
      this.driver?.send(frameType.detach, detach.toBytes({ label, reason: errorNumber(code) }));
      this.labels.delete(label);
    }
  }

  /** The terminal's link breaks. */
  breakLink(): void {
    this.transport?.destroy(new Error('the test cut the link'));
  }

  /** Closes every socket and the link. */
  close(): void {
    this.driver?.close('shutting-down');
    for (const mediator of this.mediators) mediator.close();
  }
}
