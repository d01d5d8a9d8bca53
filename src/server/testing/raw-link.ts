import { randomBytes } from 'node:crypto';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { type ErrorCode, errorCodeOf } from '../../base/errors.ts';
import { generateSigningKey, type SigningKey } from '../../base/keys.ts';
import { MemberHandshake } from '../../session/handshake.ts';
import { pinOf } from '../../transport/pin.ts';
import { encodeFrame, type Frame, FrameDecoder, frameBody } from '../../wire/frame.ts';
import { goaway, ping, pong, type Role } from '../../wire/messages/link.ts';
import { alpnProtocol, exporterLabel, frameType } from '../../wire/spec.ts';
import { until } from './test-operator.ts';

/** Where raw peers come from: another source than the members of the same test, which have limits of their own. */
const strangersAddress = '127.0.0.2';

/** Where those come from that are members all the same. */
const membersAddress = '127.0.0.3';

/** A TCP connection that says what a test lets it say. */
export class RawPeer {
  readonly socket: Socket;
  /** `address:number`, as the server logs it. */
  remote = '';
  /** Everything that came. */
  readonly heard: Buffer[] = [];
  closed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', piece => this.heard.push(piece));
    socket.on('close', () => {
      this.closed = true;
    });
    socket.on('error', () => {});
  }

  /** Connects without TLS. */
  static async tcp(port: number): Promise<RawPeer> {
    const peer = new RawPeer(connectTcp({ host: '127.0.0.1', port, localAddress: strangersAddress }));
    await until(() => peer.socket.readyState === 'open' || peer.closed, 'it is connected');
    peer.remote = `${strangersAddress}:${peer.socket.localPort ?? 0}`;
    return peer;
  }

  /** Waits until the server has closed. */
  untilClosed(): Promise<void> {
    return until(() => this.closed, 'the connection is closed');
  }
}

/** A link in the hands of a test: real TLS, real handshake if it wants one, and then whatever bytes it likes. */
export class RawLink extends RawPeer {
  readonly tls: TLSSocket;
  readonly frames: Frame[] = [];
  private serverPin: Buffer = Buffer.of();
  private receivedBytes = 0;
  private readonly decoder = new FrameDecoder();

  private constructor(socket: TLSSocket) {
    super(socket);
    this.tls = socket;
    socket.on('data', piece => {
      this.receivedBytes += piece.length;
      this.decoder.push(Buffer.from(piece), frame => this.onFrame(frame));
    });
  }

  /** Keeps everything; only PINGs are answered, or the link would not live for longer than 6 s (P8.1). */
  private onFrame(frame: Frame): void {
    this.frames.push(frame);
    if (frame.type !== frameType.ping || this.socket.writableEnded) return;
    const { id } = ping.fromBytes(frameBody(frame));
    this.frame(frameType.pong, pong.toBytes({ id, received: this.receivedBytes }));
  }

  /** Connects by TLS. */
  static async connect(port: number, localAddress = strangersAddress): Promise<RawLink> {
    const options = { host: '127.0.0.1', port, localAddress };
    const socket = connect({ ...options, ALPNProtocols: [alpnProtocol], rejectUnauthorized: false });
    const link = new RawLink(socket);
    let secured = false;
    socket.on('secureConnect', () => {
      // Node gives it once.
      link.serverPin = pinOf(socket.getPeerX509Certificate() ?? '');
      secured = true;
    });
    await until(() => secured || link.closed, 'TLS is up');
    if (!secured) throw new Error('the server closed before TLS was up');
    link.remote = `${localAddress}:${socket.localPort ?? 0}`;
    return link;
  }

  /** Connects, and authenticates as that member. */
  static async member(port: number, role: Role, key: SigningKey): Promise<RawLink> {
    const link = await RawLink.connect(port, membersAddress);
    await link.prove(role, key);
    await until(() => link.has(frameType.welcome), 'it is welcome');
    return link;
  }

  private handshake(role: Role, signer: SigningKey): MemberHandshake {
    const exporter = this.tls.exportKeyingMaterial(32, exporterLabel, Buffer.alloc(0));
    const identity = { role, signer, instance: randomBytes(16), software: 'raw', capabilities: [] };
    return new MemberHandshake(identity, 1, { serverPin: this.serverPin, exporter });
  }

  /** A good HELLO, not sent. */
  hello(role: Role = 'terminal', signer = generateSigningKey()): Buffer {
    return this.handshake(role, signer).start();
  }

  /** HELLO and a good PROOF. */
  async prove(role: Role, signer: SigningKey): Promise<void> {
    const handshake = this.handshake(role, signer);
    this.send(handshake.start());
    await until(() => this.has(frameType.challenge), 'it is challenged');
    const challenge = this.frames.find(({ type }) => type === frameType.challenge);
    const answer = challenge && handshake.receive(challenge);
    if (answer === undefined || !('send' in answer)) throw new Error('no challenge');
    this.send(answer.send);
  }

  /** True when a frame of that type has come. */
  has(type: number): boolean {
    return this.frames.some(frame => frame.type === type);
  }

  /** Sends bytes as they are. */
  send(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  /** Sends a frame, whatever it breaks. */
  frame(type: number, body: Uint8Array = Buffer.of(), label = 0, stream = 0, flags = 0): void {
    this.send(encodeFrame({ type, flags, label, stream }, body));
  }

  /** The reason of the GOAWAY that has come. */
  get reason(): ErrorCode | undefined {
    const last = this.frames.find(({ type }) => type === frameType.goaway);
    return last && errorCodeOf(goaway.fromBytes(frameBody(last)).reason);
  }

  /** Closes this side too and waits until the server has done so; gives the reason of its GOAWAY. */
  async end(): Promise<ErrorCode | undefined> {
    await until(() => this.has(frameType.goaway) || this.closed, 'the server ends the link');
    this.socket.end();
    await this.untilClosed();
    return this.reason;
  }
}

/** The header of a frame that announces `length` bytes. */
export function headerOf(type: number, length: number, label = 0, flags = 0): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt8(type, 0);
  header.writeUInt8(flags, 1);
  header.writeUInt16BE(length, 2);
  header.writeUInt32BE(label, 4);
  return header;
}
