import { networkInterfaces } from 'node:os';

/** True for an address that one of this machine's interfaces has now. */
export function isOwnAddress(address: string): boolean {
  const interfaces = Object.values(networkInterfaces());
  return interfaces.some(addresses => addresses?.some(own => own.address.split('%')[0] === address));
}
