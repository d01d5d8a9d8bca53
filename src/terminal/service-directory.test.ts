import test from 'ava';
import type { Report } from '../wire/messages/report.ts';
import type { ServiceWish } from './service-directory.ts';
import { eventually } from './testing/eventually.ts';
import { lab, mediatorEntry } from './testing/lab.ts';

const wanting = (account: string): Report => ({
  hostname: 'gw',
  interfaces: [],
  routes: [],
  bootId: Buffer.alloc(16),
  uptimeS: 1,
  services: [{ name: 'voip', parameters: [{ name: 'account', value: account }] }],
  software: 'test',
});

const told = (wishes: readonly ServiceWish[]) =>
  wishes.map(({ kind, mediator, parameters }) => [kind, mediator.name, parameters.account]);

test('S5: mediators that want a service are told of as they come, change their minds and go', async t => {
  const { terminal, server } = await lab(t);
  const stop = new AbortController();
  server.presence = { entries: [], complete: true };
  const wishes: ServiceWish[] = [];
  const following = (async () => {
    for await (const wish of terminal.provide('voip', { signal: stop.signal })) wishes.push(wish);
  })();
  await terminal.ready();
  const tell = async (entry: Parameters<typeof mediatorEntry>[0], count: number) => {
    server.tell({ entries: [await mediatorEntry(entry)] });
    await eventually(`${count} wishes`, () => wishes.length === count);
  };
  await tell({ report: wanting('x') }, 1);
  await tell({ report: wanting('y') }, 2);
  await tell({ report: wanting('y'), online: false }, 3);
  await tell({ report: wanting('y') }, 4);
  t.deepEqual(told(wishes), [
    ['wanted', 'gw-1', 'x'],
    ['changed', 'gw-1', 'y'],
    ['ended', 'gw-1', 'y'],
    ['wanted', 'gw-1', 'y'],
  ]);
  stop.abort();
  await t.throwsAsync(following, { code: 'ABORT_ERR' });
  t.is(terminal.listenerCount('mediator') + terminal.listenerCount('connected'), 0);
});

test('S5: those that were there before are told of first; a link of our own that is lost ends no wish', async t => {
  const entry = await mediatorEntry({ report: wanting('x') });
  const { terminal, server } = await lab(t, { entries: [entry] });
  await terminal.ready();
  const following = terminal.provide('voip');
  t.like((await following.next()).value, { kind: 'wanted', parameters: { account: 'x' } });
  const next = following.next();
  server.breakLink();
  await eventually('the link is lost', () => !terminal.state.connected);
  await eventually('and back', () => terminal.state.connected);
  server.tell({ entries: [await mediatorEntry({ report: wanting('z') })] });
  t.like((await next).value, { kind: 'changed', parameters: { account: 'z' } });
  await following.return();
});
