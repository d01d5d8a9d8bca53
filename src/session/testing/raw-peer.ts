import { randomBytes } from 'node:crypto';
import type { Transport } from '../../transport/transport.ts';
import { encodeFrame, type Frame, FrameDecoder, frameBody } from '../../wire/frame.ts';
import { goaway, ping, pong, type Welcome, welcome } from '../../wire/messages/link.ts';
import { exporterLabel, frameType } from '../../wire/spec.ts';
import { goawayError } from '../goaway.ts';
import { ServerHandshake } from '../handshake.ts';
import { noPromiseMs } from '../link-options.ts';
import { parseFrame } from './frames.ts';

/** Where a frame goes that is not an ordinary message of label 0. */
export interface Place {
  readonly label?: number;
  readonly stream?: number;
  readonly flags?: number;
}

/** Bytes of a frame, on label 0 unless said. */
export function rawFrame(type: number, body: Uint8Array = Buffer.alloc(0), place: Place = {}): Buffer {
  const { label = 0, stream = 0, flags = 0 } = place;
  return encodeFrame({ type, flags, label, stream }, body);
}

/** Waits until everything that is deferred has run. */
export function settled(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}

/** The other end of a link, which does what the test says and knows no rule but PONG. */
export class RawPeer {
  readonly transport: Transport;
  /** Every frame that has come. */
  readonly frames: Frame[] = [];
  closed = false;
  /** False: PINGs are not answered, and nothing else is. */
  answers = true;
  /** Every byte that has come. */
  receivedBytes = 0;
  private readonly decoder = new FrameDecoder();
  private readonly onFrame: (frame: Frame) => void;

  /** `onFrame` is told of each frame but PING. */
  constructor(transport: Transport, onFrame: (frame: Frame) => void = () => {}) {
    this.transport = transport;
    this.onFrame = onFrame;
    transport.start({
      onBytes: piece => {
        this.receivedBytes += piece.length;
        this.decoder.push(piece, frame => this.receive(parseFrame(frame.bytes)));
      },
      onDrain: () => {},
      onClosed: () => {
        this.closed = true;
      },
    });
  }

  private receive(frame: Frame): void {
    this.frames.push(frame);
    if (!this.answers) return;
    if (frame.type !== frameType.ping) return this.onFrame(frame);
    const { id } = ping.fromBytes(frameBody(frame));
    this.send(frameType.pong, pong.toBytes({ id, received: this.receivedBytes }));
  }

  /** Sends a frame, whatever the rules. */
  send(type: number, body?: Uint8Array, place?: Place): void {
    this.transport.write(rawFrame(type, body, place));
  }

  /** Frames of a type that have come. */
  got(type: number): Frame[] {
    return this.frames.filter(frame => frame.type === type);
  }

  /** The code of the GOAWAY that has come, if one has. */
  get goawayCode(): string | undefined {
    const frame = this.got(frameType.goaway)[0];
    return frame === undefined ? undefined : goawayError(frameBody(frame)).code;
  }

  /** Says GOAWAY and closes. */
  leave(
    reason: number,
    more: { readonly message?: string; readonly afterMs?: number; readonly server?: string } = {},
  ): void {
    this.send(frameType.goaway, goaway.toBytes({ reason, ...more }));
    this.transport.end();
  }
}

/** What a {@link rawServer} does differently. */
export interface RawServerOptions {
  /** False: PROOF is not answered. */
  readonly welcomes?: boolean;
  readonly nextWithinMs?: number;
  /** Written in one piece with WELCOME. */
  readonly behindWelcome?: Buffer;
}

/** A server that welcomes whoever proves its key, and then does what the test says. */
export function rawServer(transport: Transport, options: RawServerOptions = {}): RawPeer {
  const { welcomes = true, nextWithinMs = noPromiseMs, behindWelcome = Buffer.alloc(0) } = options;
  const handshake = new ServerHandshake({
    serverPin: transport.serverPin,
    exporter: transport.exportKeyingMaterial(exporterLabel, 32),
    nonce: randomBytes(32),
    bootId: randomBytes(16),
    capabilities: [],
    authorityKey: undefined,
  });
  const said: Welcome = { statementSeq: 1, serverTimeMs: 1, nextWithinMs };
  let known = false;
  const peer = new RawPeer(transport, frame => {
    if (known || frame.type === frameType.goaway) return;
    const outcome = handshake.receive(frame);
    if ('send' in outcome) return transport.write(outcome.send);
    known = true;
    const bytes = rawFrame(frameType.welcome, welcome.toBytes(said));
    if (welcomes) transport.write(Buffer.concat([bytes, behindWelcome]));
  });
  return peer;
}
