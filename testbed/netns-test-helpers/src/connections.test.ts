import { buildTrio, labTest, outsideAddress, tcpHold, tcpServer, tryTcp } from './fixtures/harness.ts';
import { masquerade } from './index.ts';

labTest('killConnections ends those of a port, and no others', async (t, lab) => {
  const { inside, outside } = await buildTrio(lab);
  const server = await tcpServer(outside, 80);
  await tcpServer(outside, 81);
  const [one, two, other] = [
    await tcpHold(inside, outsideAddress, 80),
    await tcpHold(inside, outsideAddress, 80),
    await tcpHold(inside, outsideAddress, 81),
  ];
  t.is(await inside.killConnections([80]), 2);
  await one.untilOutput(/^lost ECONNABORTED$/m);
  await two.untilOutput(/^lost ECONNABORTED$/m);
  await server.untilOutput(/^lost ECONNRESET\nlost ECONNRESET$/m);
  other.write('unharmed\n');
  await other.untilOutput(/^got unharmed$/m);
  t.is(await inside.killConnections([80]), 0);
});

labTest('resetConnections answers the next packet with a RST, and is over then', async (t, lab) => {
  const { inside, router, outside } = await buildTrio(lab, masquerade({ outside: 'wan' }));
  const server = await tcpServer(outside, 80);
  const held = await tcpHold(inside, outsideAddress, 80);
  const reset = router.resetConnections({ ports: [80], outside: 'wan' });
  const poke = setInterval(() => held.exit ?? held.write('poke\n'), 50);
  t.true((await reset) >= 1);
  clearInterval(poke);
  await held.untilOutput(/^lost ECONNRESET$/m);
  t.notRegex(server.stdout, /^(lost|read)/m, 'nobody told the other end');
  t.regex(await tryTcp(inside, outsideAddress, 80), /^connected/);
});

labTest('resetConnections says when nothing passes', async (t, lab) => {
  const { router } = await buildTrio(lab);
  await t.throwsAsync(router.resetConnections({ deadlineMs: 50 }), {
    code: 'deadline',
    message: /for a TCP packet to pass through router/,
  });
  t.notRegex(lab.drawing(), /resets/);
});
