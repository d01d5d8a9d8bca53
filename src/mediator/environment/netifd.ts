import * as v from 'valibot';
import { canonicalIp } from '../../wire/ip.ts';

/**
 * The networks of an OpenWRT router as netifd knows them: the answer of `ubus call network.interface dump`. The service may
 * not ask ubus from its jail, so the init script, which may, leaves the answer in a file at each event of netifd's.
 */

/** A logical network: `lan`, `wan6`, `guest`. */
export interface LogicalNetwork {
  readonly name: string;
  /** The interface that carries its packets, where it has one. */
  readonly interface: string | undefined;
  /** It is, or would be, a way to the outside: netifd has a default route for it. */
  readonly outside: boolean;
  /** Prefixes that were delegated to the router by this network (RFC 8415). */
  readonly delegated: readonly DelegatedPrefix[];
}

/** An IPv6 network that the router may give to its LANs. */
export interface DelegatedPrefix {
  readonly address: string;
  readonly prefixLength: number;
}

const prefix = v.object({ address: v.string(), mask: v.number() });

const network = v.object({
  interface: v.string(),
  l3_device: v.optional(v.string()),
  device: v.optional(v.string()),
  route: v.optional(v.array(v.object({ target: v.string(), mask: v.number() })), []),
  'ipv6-prefix': v.optional(v.array(prefix), []),
});

const dump = v.object({ interface: v.array(v.unknown()) });

function delegatedOf(prefixes: v.InferOutput<typeof network>['ipv6-prefix']): DelegatedPrefix[] {
  return prefixes.flatMap(({ address, mask }) => {
    const canonical = canonicalIp(address);
    const good = canonical?.includes(':') === true && Number.isInteger(mask) && mask > 0 && mask <= 128;
    return good ? [{ address: canonical, prefixLength: mask }] : [];
  });
}

function networkOf(entry: unknown): LogicalNetwork[] {
  const parsed = v.safeParse(network, entry);
  if (!parsed.success || parsed.output.interface === 'loopback') return [];
  const { interface: name, l3_device, device, route, 'ipv6-prefix': prefixes } = parsed.output;
  const outside = route.some(({ target, mask }) => mask === 0 && (target === '0.0.0.0' || target === '::'));
  return [{ name, interface: l3_device ?? device, outside, delegated: delegatedOf(prefixes) }];
}

/** Reads the answer; what is not understood is left out, because a newer netifd may say more. Undefined: it is none. */
export function parseNetifd(text: string): readonly LogicalNetwork[] | undefined {
  let said: unknown;
  try {
    said = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = v.safeParse(dump, said);
  return parsed.success ? parsed.output.interface.flatMap(networkOf) : undefined;
}
