import { EntremiseError, unreachable } from '../../base/errors.ts';
import { canonicalAddress, parseTargetHost } from '../../policy/target.ts';
import type { Budget } from '../../session/budget.ts';
import type { CommandOf, PortListing, Result } from '../../wire/messages/command.ts';
import type { Device } from '../devices/device.ts';
import { maxDestinations } from './destinations.ts';
import type { PortTable } from './port-table.ts';
import type { PortSurroundings, ResultFields } from './surroundings.ts';

/** QUERY (P5.6): what the terminal has, what it may have, and what a name means on the gateway. */

/** Ports in one RESULT; the cursor is the id of the last. */
const portsPerPage = 64;

/** Devices in one RESULT, the largest of which fit a frame. */
const devicesPerPage = 32;

/** Addresses in one RESULT. */
const maxAddresses = 64;

/** What QUERY looks at. */
export interface QuerySurroundings {
  readonly table: PortTable;
  readonly ports: PortSurroundings;
  readonly receiveBudget: Budget;
  readonly replayBudget: Budget;
  /** From now on the terminal is told of its key's other attachments. */
  watchEvents(): void;
  /** The ports of all attachments of the terminal's key, by id, from behind `after` on. */
  keyPorts(after: number, count: number): PortListing[];
}

function pageOf(found: readonly PortListing[]): ResultFields {
  const ports = found.slice(0, portsPerPage);
  const last = ports.at(-1);
  return found.length > portsPerPage && last !== undefined ? { ports, cursor: last.port } : { ports };
}

type Limit = NonNullable<Result['limits']>[number];

function listLimits({ table, ports, receiveBudget, replayBudget }: QuerySurroundings): ResultFields {
  const usage = ports.usage.ofGrant;
  const usedOf = (budget: Budget) => budget.totalBytes - budget.freeBytes;
  const limits: Limit[] = [
    { name: 'ports', used: usage.ports, allowed: usage.allowed.ports },
    { name: 'streams', used: usage.streams, allowed: usage.allowed.streams },
    { name: 'receive-bytes', used: usedOf(receiveBudget), allowed: receiveBudget.totalBytes },
    { name: 'replay-bytes', used: usedOf(replayBudget), allowed: replayBudget.totalBytes },
    { name: 'destinations-per-port', used: table.mostDestinations, allowed: maxDestinations },
  ];
  return { limits };
}

async function resolve(ports: PortSurroundings, text: string | undefined): Promise<ResultFields> {
  if (text === undefined) throw new EntremiseError('bad-request', { message: 'QUERY resolve needs a name.' });
  const host = parseTargetHost(text);
  if (host.kind === 'address') return { addresses: [host.address.text.split('%')[0] ?? ''] };
  const found = await ports.lookup(host.name);
  const addresses = [...new Set(found.map(address => address.text.split('%')[0] ?? ''))];
  return { addresses: addresses.slice(0, maxAddresses) };
}

/** Grant and owner have to name an address for it to be told. */
function shownOf(device: Device, { door }: PortSurroundings): Device | undefined {
  const isShown = (text: string) => door.ask({ verb: 'query', device: canonicalAddress(text) }) === undefined;
  const addresses = device.addresses.filter(isShown);
  return addresses.length === 0 ? undefined : { ...device, addresses };
}

/** The cursor is how many devices of the whole list have been looked at. */
function listDevices(ports: PortSurroundings, cursor: number): ResultFields {
  const all = ports.devices();
  const devices: Device[] = [];
  let looked = cursor;
  while (looked < all.length && devices.length < devicesPerPage) {
    const device = all[looked++];
    const shown = device === undefined ? undefined : shownOf(device, ports);
    if (shown !== undefined) devices.push(shown);
  }
  return looked < all.length ? { devices, cursor: looked } : { devices };
}

/**
 * Answers.
 * @throws EntremiseError `not-permitted`, `audit-unavailable`, `no-such-name`, `timed-out`, `bad-request`
 */
export function answerQuery(
  command: CommandOf<'query'>,
  surroundings: QuerySurroundings,
): ResultFields | Promise<ResultFields> {
  const { what, name, cursor = 0 } = command;
  const { door } = surroundings.ports;
  const details = { verb: 'query', what, ...(name === undefined ? {} : { name }) };
  if (what === 'resolve') door.permit({ verb: 'resolve', name: name ?? '' }, details);
  else door.permit({ verb: 'query', ...(what === 'devices' ? { device: 'any' } : {}) }, details);
  switch (what) {
    case 'ports':
      return pageOf(surroundings.table.listings(cursor, portsPerPage + 1));
    case 'key-ports':
      return pageOf(surroundings.keyPorts(cursor, portsPerPage + 1));
    case 'limits':
      return listLimits(surroundings);
    case 'resolve':
      return resolve(surroundings.ports, name);
    case 'devices':
      return listDevices(surroundings.ports, cursor);
    case 'events':
      surroundings.watchEvents();
      return {};
    default:
      return unreachable(what);
  }
}
