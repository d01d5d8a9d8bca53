import {
  blackHole,
  blockUdp,
  type Interface,
  policeUdp,
  type Rules,
  refuseNewFlows,
} from 'netns-test-helpers';
import { servicePort } from '../site.ts';
import type { Home } from './home.ts';

/** Takes a fault away again. */
export type Heal = () => Promise<unknown>;

/** Something that happens to a {@link Home}; it lasts until it is healed, or is over at once. */
export type Fault = (home: Home) => Promise<Heal>;

const overAtOnce: Heal = async () => {};

/** Happens, and is over. */
const once = (happens: (home: Home) => Promise<unknown>): Fault => {
  return async home => {
    await happens(home);
    return overAtOnce;
  };
};

/** Holds at the carrier's outside, the one place that every packet of the home passes translated. */
const atCarrier = (rules: Rules): Fault => {
  return async home => (await home.carrier.apply(rules)).remove;
};

/** The gateway's interface towards its provider. */
export function wanOf({ gateway }: Home): Interface {
  const wan = gateway.interfaces.find(({ name }) => name === 'wan');
  if (wan === undefined) throw new Error('this home has no wan');
  return wan;
}

/** The provider gives the gateway the other one of two addresses, as by a new lease. */
async function renumber(home: Home): Promise<void> {
  const wan = wanOf(home);
  const next = wan.addresses[0] === '100.64.0.2/24' ? '100.64.0.3/24' : '100.64.0.2/24';
  await wan.replaceAddresses([next]);
}

async function pullCable(home: Home): Promise<Heal> {
  const wan = wanOf(home);
  await wan.down();
  return () => wan.up();
}

/**
 * Faults by name. `servicePort` is the number that the channels go to. A reset needs a packet to answer, so something has
 * to be under way; @throws LabError `deadline` where nothing is.
 */
export function faultsFor(servicePort: number): Readonly<Record<string, Fault>> {
  const ports = [servicePort];
  return {
    'gateway forgets its NAT': once(home => home.gateway.flushConntrack()),
    'carrier forgets its NAT': once(home => home.carrier.flushConntrack()),
    'WAN address replaced': once(renumber),
    'WAN cable pulled': pullCable,
    'black hole': atCarrier(blackHole({ outside: 'net' })),
    'new flows dropped': atCarrier(refuseNewFlows({ outside: 'net' })),
    'new flows rejected': atCarrier(refuseNewFlows({ outside: 'net', how: 'reject' })),
    'UDP blocked': atCarrier(blockUdp({ outside: 'net' })),
    'UDP policed': atCarrier(policeUdp({ outside: 'net', packetsPerSecond: 100 })),
    'reset forged by the carrier': once(home => home.carrier.resetConnections({ ports, outside: 'net' })),
    "mediator's sockets killed": once(home => home.gateway.killConnections(ports)),
    "server's sockets killed": once(home => home.server.killConnections(ports)),
  };
}

/** The fault of a home with the usual service port. @throws RangeError for a name that none has */
export function namedFault(name: string): Fault {
  const found = faultsFor(servicePort)[name];
  if (found === undefined) throw new RangeError(`there is no fault "${name}"`);
  return found;
}
