import { EntremiseError } from '../base/errors.ts';
import { type SigningKey, signBytes, verifyBytes } from '../base/keys.ts';
import { encodeFrame, type Frame, frameBody } from '../wire/frame.ts';
import {
  challenge,
  type Hello,
  hello,
  proof,
  type Role,
  type Welcome,
  welcome,
} from '../wire/messages/link.ts';
import { frameNameOf, frameType, protocolVersion } from '../wire/spec.ts';
import { proofInput } from './transcript.ts';

/**
 * The two sides of P6.1. A member says HELLO, is challenged, proves that it holds its key *for this TLS session and
 * this server key*, and is welcomed. Anything else at any moment ends the link.
 *
 *   member:  helloSent --CHALLENGE/PROOF--> proofSent --WELCOME--> done
 *   server:  waiting --HELLO/CHALLENGE--> challenged --PROOF--> proven (the switch decides, and says WELCOME)
 */

/** What binds a handshake to its TLS session. */
export interface SessionBinding {
  /** SHA-256 of the SPKI of the server's TLS key. */
  readonly serverPin: Buffer;
  /** 32 bytes of the exporter (P6.1). */
  readonly exporter: Buffer;
}

/** Who a member is, for all its links. */
export interface MemberIdentity {
  readonly role: Role;
  readonly signer: SigningKey;
  /** 16 random bytes, one process life. */
  readonly instance: Buffer;
  readonly software: string;
  readonly capabilities: readonly string[];
}

/** What a member that enrols has from its code (P6.5). */
export interface Enrolment {
  /** The authority's key must hash, with the pin, to what the code says. Throws when it does not. */
  check(serverPin: Uint8Array, authorityKey: Uint8Array): void;
  /** The member statement made with the invitation key. */
  readonly statement: string;
}

/** What a member knows of the server once welcomed. */
export interface Welcomed extends Welcome {
  readonly serverBootId: Uint8Array;
  readonly capabilities: readonly string[];
  readonly authorityKey: Uint8Array | undefined;
}

function linkFrame(type: number, body: Uint8Array): Buffer {
  return encodeFrame({ type, flags: 0, label: 0, stream: 0 }, body);
}

/** What a frame is answered with that has no place in an authentication, or comes after it and before its end. */
export function unexpected(frame: Frame): EntremiseError {
  const name = frameNameOf(frame.type) ?? `type ${frame.type}`;
  return new EntremiseError('unauthenticated', { message: `${name} may not come during authentication.` });
}

/** The member's side; see the head of this file. */
export class MemberHandshake {
  private readonly identity: MemberIdentity;
  private readonly linkNo: number;
  private readonly binding: SessionBinding;
  private readonly enrolment: Enrolment | undefined;
  private challenged:
    | { bootId: Uint8Array; capabilities: readonly string[]; authorityKey: Uint8Array | undefined }
    | undefined;

  constructor(identity: MemberIdentity, linkNo: number, binding: SessionBinding, enrolment?: Enrolment) {
    this.identity = identity;
    this.linkNo = linkNo;
    this.binding = binding;
    this.enrolment = enrolment;
  }

  /** The HELLO to send first. */
  start(): Buffer {
    const { role, signer, instance, software, capabilities } = this.identity;
    const fields = {
      versions: [protocolVersion],
      role,
      key: signer.publicKey,
      instance,
      linkNo: this.linkNo,
    };
    const enrolling = this.enrolment === undefined ? {} : { enrolling: true };
    return linkFrame(frameType.hello, hello.toBytes({ ...fields, capabilities, software, ...enrolling }));
  }

  /**
   * A frame of the server: what to send, or that the member is welcome.
   * @throws EntremiseError `version-mismatch`, `pin-mismatch`, `unauthenticated`
   */
  receive(frame: Frame): { readonly send: Buffer } | { readonly welcomed: Welcomed } {
    const body = frameBody(frame);
    if (frame.label !== 0) throw unexpected(frame);
    if (frame.type === frameType.challenge && this.challenged === undefined)
      return { send: this.prove(body) };
    if (frame.type === frameType.welcome && this.challenged !== undefined) {
      const { bootId: serverBootId, capabilities, authorityKey } = this.challenged;
      return { welcomed: { ...welcome.fromBytes(body), serverBootId, capabilities, authorityKey } };
    }
    throw unexpected(frame);
  }

  private prove(body: Uint8Array): Buffer {
    const { version, nonce, bootId, capabilities, authorityKey } = challenge.fromBytes(body);
    if (version !== protocolVersion) throw new EntremiseError('version-mismatch');
    this.challenged = { bootId, capabilities, authorityKey };
    const { role, signer, instance } = this.identity;
    if (this.enrolment !== undefined) {
      this.enrolment.check(this.binding.serverPin, authorityKey ?? new Uint8Array());
    }
    const fields = { ...this.binding, role, nonce, key: signer.publicKey, instance, linkNo: this.linkNo };
    const signature = signBytes(signer, proofInput(fields));
    const enrolment = this.enrolment === undefined ? {} : { enrolment: this.enrolment.statement };
    return linkFrame(frameType.proof, proof.toBytes({ signature, ...enrolment }));
  }
}

/** A member that has proved its key. Whether it may stay is for the switch to say. */
export interface ProvenMember extends Hello {
  /** The statement that a member brings which enrols (P6.5). */
  readonly enrolment: string | undefined;
}

/** What the server brings to a handshake. */
export interface ServerHandshakeOptions extends SessionBinding {
  /** 32 fresh random bytes. */
  readonly nonce: Buffer;
  readonly bootId: Buffer;
  readonly capabilities: readonly string[];
  /** The operator's authority, told to members that enrol. */
  readonly authorityKey: Buffer | undefined;
}

/** The server's side; see the head of this file. */
export class ServerHandshake {
  private readonly options: ServerHandshakeOptions;
  private said: Hello | undefined;
  private proven = false;

  constructor(options: ServerHandshakeOptions) {
    this.options = options;
  }

  /**
   * A frame of the member: what to send, or the member that it has proved to be.
   * @throws EntremiseError `unauthenticated`, `version-mismatch`, `proof-invalid`, `bad-request`, `unsupported`
   */
  receive(frame: Frame): { readonly send: Buffer } | { readonly member: ProvenMember } {
    const body = frameBody(frame);
    if (frame.label !== 0 || this.proven) throw unexpected(frame);
    if (frame.type === frameType.hello && this.said === undefined)
      return { send: this.challenge(hello.fromBytes(body)) };
    if (frame.type === frameType.proof && this.said !== undefined)
      return { member: this.verify(this.said, body) };
    throw unexpected(frame);
  }

  private challenge(said: Hello): Buffer {
    if (!said.versions.includes(protocolVersion)) throw new EntremiseError('version-mismatch');
    this.said = said;
    const { nonce, bootId, capabilities, authorityKey } = this.options;
    const authority = said.enrolling === true && authorityKey !== undefined ? { authorityKey } : {};
    const body = challenge.toBytes({ version: protocolVersion, nonce, bootId, capabilities, ...authority });
    return linkFrame(frameType.challenge, body);
  }

  private verify(said: Hello, body: Uint8Array): ProvenMember {
    const { signature, enrolment } = proof.fromBytes(body);
    const { serverPin, exporter, nonce } = this.options;
    const { role, key, instance, linkNo } = said;
    const input = proofInput({ role, serverPin, exporter, nonce, key, instance, linkNo });
    if (!verifyBytes(key, input, signature)) throw new EntremiseError('proof-invalid');
    this.proven = true;
    return { ...said, enrolment };
  }
}
