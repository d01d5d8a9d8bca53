import { onAbort, throwIfAborted } from './abort-error.ts';
import type { Mediator, MediatorChange } from './mediator-list.ts';
import type { Terminal } from './terminal.ts';

/** A mediator that wants a service, wants it otherwise, or no more (S5). */
export interface ServiceWish {
  readonly kind: 'wanted' | 'changed' | 'ended';
  readonly mediator: Mediator;
  /** Text of the gateway; the last known ones when it wants it no more. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** The parameters by which a mediator wants a service (S5), by its last word; undefined when it does not, or is not verified. */
export function wantedParameters(
  { verified, report }: Mediator,
  service: string,
): Readonly<Record<string, string>> | undefined {
  const found = verified ? report?.services.find(({ name }) => name === service) : undefined;
  return found && Object.fromEntries(found.parameters.map(({ name, value }) => [name, value]));
}

/** What has changed in the wishes of one mediator. */
class Wishes {
  private readonly known = new Map<string, Readonly<Record<string, string>>>();
  private readonly service: string;

  constructor(service: string) {
    this.service = service;
  }

  next(mediator: Mediator, gone: boolean): ServiceWish | undefined {
    const before = this.known.get(mediator.key);
    const now = gone || !mediator.online ? undefined : wantedParameters(mediator, this.service);
    if (now === undefined) {
      if (before === undefined) return undefined;
      this.known.delete(mediator.key);
      return { kind: 'ended', mediator, parameters: before };
    }
    this.known.set(mediator.key, now);
    if (before === undefined) return { kind: 'wanted', mediator, parameters: now };
    const same = JSON.stringify(before) === JSON.stringify(now);
    return same ? undefined : { kind: 'changed', mediator, parameters: now };
  }
}

/**
 * See {@link Terminal.provide}. While this terminal has no link nobody's wish has ended: what is known then is compared
 * when the list is complete again.
 */
export async function* wishesFor(
  terminal: Terminal,
  service: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ServiceWish, void> {
  const wishes = new Wishes(service);
  const waiting: ServiceWish[] = [];
  let wake = () => {};
  const take = (mediator: Mediator, gone = false) => {
    const wish = wishes.next(mediator, gone);
    if (wish !== undefined) waiting.push(wish);
    wake();
  };
  const takeAll = () => {
    for (const mediator of terminal.mediators()) take(mediator);
  };
  const onMediator = ({ kind, mediator }: MediatorChange) => {
    if (terminal.state.connected || kind === 'gone') take(mediator, kind === 'gone');
  };
  terminal.on('mediator', onMediator).on('connected', takeAll);
  const stopListening = onAbort(signal, () => wake());
  try {
    if (terminal.state.connected) takeAll();
    for (;;) {
      throwIfAborted(signal);
      const wish = waiting.shift();
      if (wish !== undefined) yield wish;
      else
        await new Promise<void>(resolve => {
          wake = resolve;
        });
    }
  } finally {
    stopListening();
    terminal.off('mediator', onMediator).off('connected', takeAll);
  }
}
