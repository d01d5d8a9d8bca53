import { hkdfSync } from 'node:crypto';
import { lengthPrefixed } from '../base/length-prefixed.ts';
import type { PacketKey, PacketSuite } from '../wire/packet-key.ts';

/** Keys of UDP channels (P7.3). */

/** Number on the wire and length of the key, by suite (P7.1). */
const suites: Readonly<Record<PacketSuite, { readonly number: number; readonly keyBytes: number }>> = {
  'aes-128-gcm': { number: 1, keyBytes: 16 },
  'chacha20-poly1305': { number: 2, keyBytes: 32 },
};

const ivBytes = 12;

/** What the keys of an epoch come from (P7.3). */
export interface ChannelSecret {
  /** 32 bytes exported from the TLS session of the link on which the nonces were exchanged. */
  readonly exporter: Uint8Array;
  readonly memberNonce: Uint8Array;
  readonly serverNonce: Uint8Array;
  readonly cid: number;
  readonly epoch: number;
  readonly suite: PacketSuite;
}

/** The keys of both directions. */
export interface ChannelKeys {
  readonly memberToServer: PacketKey;
  readonly serverToMember: PacketKey;
}

/** HKDF-SHA-256 of the exporter, salted with both nonces, one info a direction (P7.3). */
export function channelKeys(secret: ChannelSecret): ChannelKeys {
  const { exporter, memberNonce, serverNonce, epoch, suite } = secret;
  const salt = lengthPrefixed(memberNonce, serverNonce);
  const { number, keyBytes } = suites[suite];
  const cid = Buffer.allocUnsafe(4);
  cid.writeUInt32BE(secret.cid);
  const derive = (direction: string): PacketKey => {
    const info = lengthPrefixed('entremise channel v1', cid, Buffer.of(epoch), direction, Buffer.of(number));
    const bytes = Buffer.from(hkdfSync('sha256', exporter, salt, info, keyBytes + ivBytes));
    return { suite, key: bytes.subarray(0, keyBytes), iv: bytes.subarray(keyBytes) };
  };
  return { memberToServer: derive('m2s'), serverToMember: derive('s2m') };
}
