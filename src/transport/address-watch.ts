import { networkInterfaces } from 'node:os';
import type { Clock } from '../base/clock.ts';

/**
 * Notices that this machine has been given another address: the kernel goes on sending from the old one, whose answers come
 * to nobody, and without this only their silence would tell, after 6 s (P8.1).
 */

/** Addresses by interface; only interfaces that are up and have a carrier are listed. */
export type AddressList = Readonly<Record<string, readonly string[]>>;

const lookEveryMs = 1_000;

function machineAddresses(): AddressList {
  const found = Object.entries(networkInterfaces());
  return Object.fromEntries(found.map(([name, all = []]) => [name, all.map(({ address }) => address)]));
}

/** Without the zone of a link-local address and the IPv6 mapping of an IPv4 one. */
function plain(address: string): string {
  return (address.split('%')[0] ?? '').replace(/^::ffff:(?=\d+\.)/i, '');
}

function interfaceOf(address: string, list: AddressList): string | undefined {
  return Object.entries(list).find(([, addresses]) => addresses.includes(address))?.[0];
}

/**
 * The interface is there and has an address of that family, but not this one. An interface that is down is not listed: its
 * address may come back, and what is open survives that.
 */
function isReplaced(address: string, name: string, list: AddressList): boolean {
  if (interfaceOf(address, list) !== undefined) return false;
  const sameFamily = (other: string) => other.includes(':') === address.includes(':');
  return list[name]?.some(other => sameFamily(other) && !other.startsWith('fe80:')) === true;
}

/**
 * Looks once a second whether this machine still has `address`, which is in use now, and calls `onReplaced` once when its
 * interface has another in its place. Returns how to stop. An address that no interface lists is not watched.
 */
export function watchAddress(
  address: string | undefined,
  clock: Clock,
  onReplaced: () => void,
  addresses: () => AddressList = machineAddresses,
): () => void {
  const watched = plain(address ?? '');
  const name = interfaceOf(watched, addresses());
  if (name === undefined) return () => {};
  let cancel = () => {};
  const look = () => {
    if (isReplaced(watched, name, addresses())) onReplaced();
    else cancel = clock.after(lookEveryMs, look);
  };
  cancel = clock.after(lookEveryMs, look);
  return () => cancel();
}
