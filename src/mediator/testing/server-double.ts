import { randomBytes } from 'node:crypto';
import { systemClock } from '../../base/clock.ts';
import { deferred } from '../../base/deferred.ts';
import { silentLog } from '../../base/log.ts';
import { ServerHandshake } from '../../session/handshake.ts';
import { LinkDriver } from '../../session/link-driver.ts';
import type { Transport } from '../../transport/transport.ts';
import { encodeFrame, type Frame, frameBody, relabel } from '../../wire/frame.ts';
import { type Attached, attach, attached, detach, unrouted } from '../../wire/messages/attach.ts';
import { welcome } from '../../wire/messages/link.ts';
import { exporterLabel, frameType } from '../../wire/spec.ts';

/** Credit that is never used up. */
const amplyCredit = Number.MAX_SAFE_INTEGER;

/** What the test is told of a label. */
export interface LabelTaps {
  onFrame(frame: Frame): void;
  onGone(reason: number | undefined): void;
}

/**
 * The server's end of a mediator's link, in the hands of a test: it authenticates the mediator for real, and then does
 * with labels and frames what it is told to. It keeps every ATTACH and frame it saw, as a hostile one would.
 */
export class ServerDouble {
  readonly driver: LinkDriver;
  /** Frames of labels as the mediator sent them. */
  readonly seen: Frame[] = [];
  /** What every ATTACH said. */
  readonly attachInners: Uint8Array[] = [];
  /** The newest ATTACHED. */
  lastAnswer: Attached | undefined;
  /** Frames of label 0 after WELCOME: reports and answers. */
  readonly linkFrames: Frame[] = [];
  private readonly ready = deferred<void>();
  private readonly taps = new Map<number, LabelTaps>();
  private readonly answers = new Map<number, (answer: Attached) => void>();
  private readonly handshake: ServerHandshake;
  private welcomed = false;
  private nextLabel = 2;

  constructor(transport: Transport) {
    this.handshake = new ServerHandshake({
      serverPin: transport.serverPin,
      exporter: transport.exportKeyingMaterial(exporterLabel, 32),
      nonce: randomBytes(32),
      bootId: randomBytes(16),
      capabilities: [],
      authorityKey: undefined,
    });
    this.driver = new LinkDriver(
      { transport, clock: systemClock, log: silentLog(), keepaliveMs: undefined },
      { onFrame: frame => this.onFrame(frame), onClosed: () => {} },
    );
    this.driver.start();
  }

  /** Resolves when the mediator is welcome. */
  get online(): Promise<void> {
    return this.ready.promise;
  }

  private onFrame(frame: Frame): void {
    if (!this.welcomed) return this.onHandshake(frame);
    if (frame.label === 0) return this.onLinkFrame(frame);
    this.seen.push({ ...frame, bytes: Buffer.from(frame.bytes) });
    this.taps.get(frame.label)?.onFrame(frame);
  }

  private onHandshake(frame: Frame): void {
    const outcome = this.handshake.receive(frame);
    if ('send' in outcome) return this.driver.scheduler.sendOnLink(outcome.send);
    this.welcomed = true;
    const body = welcome.toBytes({ statementSeq: 1, serverTimeMs: 0, nextWithinMs: 60_000 });
    this.driver.send(frameType.welcome, body);
    this.driver.onAuthenticated();
    this.ready.resolve();
  }

  private onLinkFrame(frame: Frame): void {
    this.linkFrames.push(frame);
    if (frame.type === frameType.attached) {
      const answer = attached.fromBytes(frameBody(frame));
      this.lastAnswer = answer;
      this.answers.get(answer.label)?.(answer);
    }
    if (frame.type !== frameType.detach) return;
    const { label, reason } = detach.fromBytes(frameBody(frame));
    this.taps.get(label)?.onGone(reason);
    this.taps.delete(label);
  }

  /** Passes an ATTACH on under a fresh label; resolves with the mediator's answer. */
  attach(mediator: Uint8Array, inner: Uint8Array, taps: LabelTaps): Promise<Attached> {
    const label = this.nextLabel;
    this.nextLabel += 2;
    this.taps.set(label, taps);
    this.attachInners.push(inner);
    const answer = deferred<Attached>();
    this.answers.set(label, found => answer.resolve(found));
    this.driver.send(frameType.attach, attach.toBytes({ label, mediator, inner, credit: amplyCredit }));
    return answer.promise;
  }

  /** Sends bytes of one frame to the mediator under `label`. */
  deliver(label: number, bytes: Buffer): void {
    const copy = Buffer.from(bytes);
    relabel(copy, label);
    this.driver.scheduler.sendOnLink(copy);
  }

  /** Sends a frame of its own making. */
  forge(type: number, label: number, stream: number, body: Uint8Array, flags = 0): void {
    this.driver.scheduler.sendOnLink(encodeFrame({ type, flags, label, stream }, body));
  }

  /** Tells the mediator that the terminal's link is gone. */
  unroute(label: number, reason: number): void {
    this.taps.delete(label);
    this.driver.send(frameType.unrouted, unrouted.toBytes({ label, reason }));
  }
}
