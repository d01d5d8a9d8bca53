import type { Mediator, Terminal } from '../../terminal/index.ts';
import type { MediatorsQuery } from './schemas.ts';
import type { ApiToken } from './token-store.ts';

/** What is told of a mediator: the schema `Mediator`. */
export function viewOf(mediator: Mediator) {
  const { name = '', key, labels, online, since, observed, roundTripMs, report } = mediator;
  const addresses = (report?.interfaces ?? []).flatMap(each => each.addresses.map(({ address }) => address));
  return {
    name,
    key,
    labels: [...labels],
    online,
    since: since.toISOString(),
    services: (report?.services ?? []).map(each => each.name),
    addresses,
    ...defined({ observed, roundTripMs, software: report?.software, hostname: report?.hostname }),
    ...defined({ model: report?.model, release: report?.release }),
  };
}

function defined<T extends object>(fields: T): Partial<{ [K in keyof T]: NonNullable<T[K]> }> {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Partial<{ [K in keyof T]: NonNullable<T[K]> }>;
}

/** The mediators that a token's grant names, by name. */
export function mediatorsOf(terminal: Terminal, { grantId }: ApiToken): readonly Mediator[] {
  return grantId === undefined ? [] : terminal.mediators(grantId);
}

/** Their labels, with how many have each. */
export function labelsOf(mediators: readonly Mediator[]) {
  const counts = new Map<string, { label: string; mediators: number; online: number }>();
  for (const { labels, online } of mediators)
    for (const label of labels) {
      const count = counts.get(label) ?? { label, mediators: 0, online: 0 };
      counts.set(label, count);
      count.mediators++;
      if (online) count.online++;
    }
  return [...counts.values()].sort((a, b) => a.label.localeCompare(b.label));
}

/** One page of those that a query asks for. */
export function pageOf(mediators: readonly Mediator[], query: MediatorsQuery) {
  const { limit = 100, cursor } = query;
  const after = cursor === undefined ? undefined : Buffer.from(cursor, 'base64url').toString();
  const views = mediators.map(viewOf).filter(view => fits(view, query));
  const rest = after === undefined ? views : views.filter(({ name }) => name.localeCompare(after) > 0);
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  const more = rest.length > page.length && last !== undefined;
  return {
    mediators: page,
    ...(more ? { cursor: Buffer.from(last.name).toString('base64url') } : {}),
  };
}

function fits(view: ReturnType<typeof viewOf>, query: MediatorsQuery): boolean {
  const { name, label, service, online, address, version } = query;
  const wrong =
    (name !== undefined && !view.name.includes(name)) ||
    (label !== undefined && !view.labels.includes(label)) ||
    (service !== undefined && !view.services.includes(service)) ||
    (online !== undefined && view.online !== online) ||
    (version !== undefined && !(view.software ?? '').startsWith(version)) ||
    (address !== undefined && !hasAddress(view, address));
  return !wrong;
}

function hasAddress({ addresses, observed = '' }: ReturnType<typeof viewOf>, address: string): boolean {
  return (
    addresses.includes(address) || observed.startsWith(`${address}:`) || observed.startsWith(`[${address}]:`)
  );
}
