import { isIP, isIPv6 } from 'node:net';
import { LabError } from './errors.ts';

/*
 * Every text that reaches `ip`, `tc`, `nft` or /proc/sys is checked here first. The point is less safety
 * (a test trusts itself) than the message: "bad interface name" beats an nft syntax error five calls later.
 */

function check(holds: boolean, what: string, value: unknown, allowed: string): void {
  if (!holds) throw new LabError('bad-input', `bad ${what} ${JSON.stringify(value)}: ${allowed}`);
}

/** A lab's name: it becomes part of namespace names, where `-` separates the parts. */
export function checkLabName(name: string): string {
  check(/^[a-z][a-z0-9]{0,15}$/.test(name), 'lab name', name, '1 to 16 of a-z 0-9, a letter first');
  return name;
}

/** A namespace's name within its lab. */
export function checkNamespaceName(name: string): string {
  check(/^[a-z0-9][a-z0-9_-]{0,31}$/i.test(name), 'namespace name', name, '1 to 32 of a-z 0-9 _ -');
  return name;
}

/** An interface's name; the kernel allows 15 bytes. */
export function checkInterfaceName(name: string): string {
  check(/^[a-z0-9][a-z0-9_.-]{0,14}$/i.test(name), 'interface name', name, '1 to 15 of a-z 0-9 _ . -');
  return name;
}

/** An address with its prefix length, such as `192.0.2.1/24` or `fd00::1/64`. */
export function checkCidr(cidr: string): string {
  const [address = '', bits = '', ...rest] = cidr.split('/');
  const family = isIP(address);
  const longest = family === 6 ? 128 : 32;
  const holds = family !== 0 && rest.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= longest;
  check(holds, 'address', cidr, 'an IPv4 or IPv6 address with its prefix length, like 192.0.2.1/24');
  return cidr;
}

/** An IP literal without prefix length. */
export function checkAddress(address: string): string {
  check(isIP(address) !== 0, 'address', address, 'an IPv4 or IPv6 literal');
  return address;
}

/** True for an IPv6 literal, with or without a prefix length. */
export function isIPv6Text(text: string): boolean {
  return isIPv6(text.split('/')[0] ?? '');
}

/** A whole number within bounds; `what` names it in the error, with its unit. */
export function checkWhole(value: number, what: string, least: number, most: number): number {
  check(
    Number.isInteger(value) && value >= least && value <= most,
    what,
    value,
    `a whole number from ${least} to ${most}`,
  );
  return value;
}

/** A number within bounds, fractions allowed; `what` names it in the error, with its unit. */
export function checkNumber(value: number, what: string, least: number, most: number): number {
  const holds = typeof value === 'number' && value >= least && value <= most;
  check(holds, what, value, `a number from ${least} to ${most}`);
  return value;
}

/** A list of TCP or UDP ports, not empty. */
export function checkPorts(ports: readonly number[]): readonly number[] {
  check(ports.length > 0, 'port list', ports, 'at least one port');
  for (const port of ports) checkWhole(port, 'port', 1, 65_535);
  return ports;
}

/** A sysctl's name in dots or slashes; gives the path under /proc/sys. */
export function sysctlPath(name: string): string {
  check(/^[a-z0-9_]+([./][A-Za-z0-9_-]+)+$/.test(name), 'sysctl name', name, 'like net.ipv4.ip_forward');
  return name.includes('/') ? name : name.replaceAll('.', '/');
}
