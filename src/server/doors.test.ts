import test, { type ExecutionContext } from 'ava';
import type { PermissionVerb } from '../policy/schema.ts';
import type { Command } from '../wire/messages/command.ts';
import { attachEnds } from './testing/attached-ends.ts';
import { TestOperator, until } from './testing/test-operator.ts';

/** Every command and every ATTACH is asked about at the server, and audited, before anything of it is passed on. */

type Fields<C> = C extends unknown ? Omit<C, 'id'> : never;

const commands: Readonly<Record<string, readonly [PermissionVerb, Fields<Command>]>> = {
  open: ['open', { verb: 'open', protocol: 'tcp', address: '192.168.1.1', number: 0, choice: 'any' }],
  redirect: ['redirect', { verb: 'redirect', port: 1 }],
  'connect to an address': [
    'connect',
    { verb: 'connect', port: 1, address: '192.168.1.9', number: 80, stream: 1, limit: 4096 },
  ],
  'connect to a name': [
    'connect',
    { verb: 'connect', port: 1, name: 'device.lan', number: 80, stream: 3, limit: 4096 },
  ],
  listen: ['listen', { verb: 'listen', port: 1, backlog: 1, whileAway: true, limit: 4096 }],
  close: ['close', { verb: 'close', port: 1, streams: 'reset' }],
  'query ports': ['query', { verb: 'query', what: 'ports' }],
  'query devices': ['query', { verb: 'query', what: 'devices' }],
  'query resolve': ['resolve', { verb: 'query', what: 'resolve', name: 'device.lan' }],
};

/** An operator with a mediator and a terminal. */
async function members(t: ExecutionContext) {
  const made = await TestOperator.start();
  t.teardown(() => made.end());
  const mediator = await made.enrol({ role: 'mediator', name: 'gw-1', labels: ['lab'] });
  const terminal = await made.enrol({ role: 'terminal', name: 'laptop' });
  return { made, mediator, terminal };
}

/** Sends every command under a grant of these verbs; what arrived at the mediator, refused or not. */
async function sendAll(
  { made, mediator, terminal }: Awaited<ReturnType<typeof members>>,
  allowed: readonly PermissionVerb[],
) {
  const grant = await made.grant(terminal.key.text, {
    commands: [...allowed],
    targets: { networks: ['lan', '192.168.0.0/16'], tcp: ['1-65535'] },
    ports: { addresses: ['lan', '192.168.0.0/16'], tcp: ['1024-65535'] },
  });
  const { atTerminal, atMediator } = await attachEnds(terminal, mediator, grant);
  const all = Object.entries(commands);
  for (const [index, [, [, fields]]] of all.entries())
    atTerminal.attachment?.sendCommand({ ...fields, id: index + 1 } as Command);
  await until(() => atMediator.commands.length === all.length, 'all commands arrive');
  const audit = made.audit().filter(({ action }) => action === 'command');
  const outcomes = atMediator.commands.map(({ denied }) => denied);
  return { outcomes, audit, attaches: made.audit().filter(({ action }) => action === 'attach') };
}

test('P5.8: under a grant that names no command each arrives as refused, with its line in the audit', async t => {
  const { outcomes, audit, attaches } = await sendAll(await members(t), []);
  t.deepEqual([...new Set(outcomes)], ['not-permitted']);
  t.deepEqual(
    audit.map(({ allowed, by }) => [allowed, by]),
    outcomes.map(() => [false, 'grant']),
  );
  t.is(attaches.length, 1);
});

test('P5.8: under a grant that names all of them each arrives as it was sent, with its line in the audit', async t => {
  const { outcomes, audit } = await sendAll(await members(t), [
    ...new Set(Object.values(commands).map(([verb]) => verb)),
  ]);
  t.deepEqual([...new Set(outcomes)], [undefined]);
  t.deepEqual([...new Set(audit.map(({ allowed }) => allowed))], [true]);
  t.is(audit.length, outcomes.length);
});

test('P5.8: a grant of one command alone lets that one pass, and nothing else', async t => {
  const parties = await members(t);
  const verbs = Object.values(commands).map(([verb]) => verb);
  for (const one of new Set(verbs)) {
    const { outcomes } = await sendAll(parties, [one]);
    const expected = verbs.map(verb => (verb === one ? undefined : 'not-permitted'));
    t.deepEqual(outcomes, expected as typeof outcomes, one);
  }
});
