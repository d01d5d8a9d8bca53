import { isIP } from 'node:net';
import { canonicalIp, type IpText } from '../../wire/ip.ts';
import type { MediatorAttachment } from '../mediator-attachment.ts';
import { failure } from '../tunnel-error.ts';

/**
 * The address of `host`: itself, or what the mediator resolves the name to, IPv4 first as everywhere here.
 * @throws TunnelError `no-such-name`, `not-permitted`
 */
export async function addressOf(attachment: MediatorAttachment, host: string): Promise<IpText> {
  const literal = isIP(host) === 0 ? undefined : canonicalIp(host);
  if (literal !== undefined) return literal;
  const found = await attachment.resolve(host);
  const address = found.find(each => !each.includes(':')) ?? found[0];
  if (address === undefined) throw failure('no-such-name');
  return address;
}
