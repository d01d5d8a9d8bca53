/** How packets of UDP channels are sealed, and with what (P7.1, P7.3). */

/** How packets are sealed. */
export type PacketSuite = 'aes-128-gcm' | 'chacha20-poly1305';

/** Every suite of version 1. */
export const packetSuites: readonly PacketSuite[] = ['aes-128-gcm', 'chacha20-poly1305'];

/** What seals one direction of one epoch of one channel. */
export interface PacketKey {
  readonly suite: PacketSuite;
  /** 16 bytes for aes-128-gcm, 32 for chacha20-poly1305. */
  readonly key: Buffer;
  /** 12 bytes. */
  readonly iv: Buffer;
}
