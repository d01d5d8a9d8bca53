import test, { type ExecutionContext } from 'ava';
import type { CanonicalAddress } from '../policy/target.ts';
import { canonicalAddress } from '../policy/target.ts';
import { attached, playing } from './testing/set-up.ts';
import type { Answer, TestTerminal } from './testing/test-terminal.ts';

/** Every command, and every new destination of datagrams, is asked about at the mediator, whatever the server let through. */

/** A mediator whose every question to authorise() is counted: each one reads the trust statement, once. */
async function counted(t: ExecutionContext, commands?: readonly 'open'[]) {
  const { rig, terminal } = await attached(
    t,
    commands === undefined ? {} : { claims: { commands: [...commands] } },
  );
  const { trust } = rig.basis;
  let asked = 0;
  Object.defineProperty(rig.basis, 'trust', {
    get() {
      asked++;
      return trust;
    },
  });
  /** How many questions, and how many audit lines, `act` came to. */
  const during = async <T>(act: () => Promise<T>) => {
    const [before, lines] = [asked, rig.lines.length];
    const value = await act();
    return { value, asked: asked - before, lines: rig.lines.length - lines };
  };
  return { rig, terminal, during };
}

function addresses(...texts: string[]): CanonicalAddress[] {
  return texts.map(text => canonicalAddress(text));
}

test('P5.8: each command is asked about and leaves its line before it is run', async t => {
  const { rig, terminal, during } = await counted(t);
  const device = await playing(t);
  rig.names.set('device.lan', addresses('127.0.0.1'));
  const opened = await during(() => terminal.open());
  const port = opened.value.port ?? 0;
  const seen: Record<string, { asked: number; lines: number; value: Answer }> = {
    open: opened,
    connect: await during(() => terminal.connect({ port }, device.number).result),
    close: await during(() => terminal.close(port)),
  };
  const second = (await terminal.open()).port ?? 0;
  seen['connect by name'] = await during(
    () => terminal.connect({ port: second }, device.number, { name: 'device.lan' }).result,
  );
  const third = (await terminal.open()).port ?? 0;
  seen.listen = await during(() => terminal.listen(third));
  seen.query = await during(() => terminal.command({ verb: 'query', what: 'ports' }));
  seen.devices = await during(() => terminal.command({ verb: 'query', what: 'devices' }));
  seen.resolve = await during(() => terminal.command({ verb: 'query', what: 'resolve', name: 'device.lan' }));
  for (const [verb, { asked, lines, value }] of Object.entries(seen)) {
    t.is(value.code, 'ok', verb);
    t.true(asked >= 1, `${verb} was asked about`);
    t.true(lines >= 1, `${verb} left a line`);
  }
  // The name, the address it has, and that address once more when the connection is there.
  t.like(seen['connect by name'], { asked: 3, lines: 2 });
  t.like(seen.resolve, { asked: 1, lines: 1 });
});

test('P5.9: a new destination is asked about and leaves its line, an old one neither', async t => {
  const { terminal, during } = await counted(t);
  const port = (await terminal.open({ protocol: 'udp' })).port ?? 0;
  const query = () => terminal.command({ verb: 'query', what: 'ports' });
  const alone = await during(query);
  // A command behind the datagrams: when it is answered, they have been looked at.
  const sendTo = (...numbers: number[]) =>
    during(() => {
      for (const number of numbers) terminal.send(port, number, Buffer.from('x'));
      return query();
    });
  t.like(await sendTo(5001), { asked: alone.asked + 1, lines: alone.lines + 1 });
  t.like(await sendTo(5001, 5001, 5001), { asked: alone.asked, lines: alone.lines });
  t.like(await sendTo(5001, 5002, 5003), { asked: alone.asked + 2, lines: alone.lines + 2 });
});

const refusable: Readonly<Record<string, (terminal: TestTerminal, port: number) => Promise<Answer>>> = {
  connect: (terminal, port) => terminal.connect({ port }, 9).result,
  'connect by name': (terminal, port) => terminal.connect({ port }, 9, { name: 'device.lan' }).result,
  listen: (terminal, port) => terminal.listen(port),
  close: (terminal, port) => terminal.close(port),
  query: terminal => terminal.command({ verb: 'query', what: 'ports' }),
  devices: terminal => terminal.command({ verb: 'query', what: 'devices' }),
  resolve: terminal => terminal.command({ verb: 'query', what: 'resolve', name: 'device.lan' }),
};

test('P5.8: what the grant does not name is refused by the mediator although the server let it through', async t => {
  const { rig, terminal, during } = await counted(t, ['open']);
  rig.names.set('device.lan', addresses('127.0.0.1'));
  const port = (await terminal.open()).port ?? 0;
  for (const [verb, send] of Object.entries(refusable)) {
    const { value, asked, lines } = await during(() => send(terminal, port));
    t.deepEqual([value.code, value.by, asked, lines], ['not-permitted', 'grant', 1, 1], verb);
    t.like(rig.lines.at(-1), { decision: 'denied', field: 'commands' }, verb);
  }
});

test('P6.9: with an audit that cannot be written nothing is run', async t => {
  const { rig, terminal } = await counted(t);
  rig.names.set('device.lan', addresses('127.0.0.1'));
  const port = (await terminal.open()).port ?? 0;
  rig.auditFault.failing = true;
  t.is((await terminal.open()).code, 'audit-unavailable');
  for (const [verb, send] of Object.entries(refusable))
    t.is((await send(terminal, port)).code, 'audit-unavailable', verb);
  rig.auditFault.failing = false;
  t.is((await terminal.close(port)).code, 'ok');
});
