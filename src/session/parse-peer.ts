import type { PacketPeer } from '../wire/packet.ts';

/** Reads `address:number` or `[address]:number`, as `observed` says it; undefined for anything else. */
export function parsePeer(text: string): PacketPeer | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text);
  const address = match?.[1] ?? match?.[2];
  return address === undefined ? undefined : { address, number: Number(match?.[3]) };
}
