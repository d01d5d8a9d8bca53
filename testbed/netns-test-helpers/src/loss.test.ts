import {
  buildTrio,
  fixture,
  labTest,
  outsideAddress,
  tcpHold,
  tcpServer,
  tryTcp,
  udpPeer,
} from './fixtures/harness.ts';
import {
  type AppliedRules,
  blackHole,
  burstLoss,
  masquerade,
  type Namespace,
  type Program,
  policeUdp,
  randomLoss,
  refuseNewFlows,
  until,
} from './index.ts';

async function taker(outside: Namespace): Promise<Program> {
  const program = outside.node(fixture('udp-numbers'), ['take', '9']);
  await program.untilOutput(/^bound$/m);
  return program;
}

/** Sends numbered datagrams and, behind them with the rules out of the way, number 0 once more; gives what came before. */
async function came(inside: Namespace, to: Program, count: number, rules: AppliedRules): Promise<number[]> {
  const send = (many: number) =>
    inside.run([
      process.execPath,
      fixture('udp-numbers'),
      'send',
      ...[outsideAddress, 9, many, 5, 100].map(String),
    ]);
  await send(count);
  await rules.remove();
  await send(1);
  const numbers = () =>
    [...to.stdout.matchAll(/^(\d+) \S+ \S+ whole$/gm)].map(([, number]) => Number(number));
  await until(() => numbers().length > 1 && numbers().at(-1) === 0, { what: 'the last one to come' });
  return numbers().slice(0, -1);
}

labTest('random loss takes its share of packets', async (t, lab) => {
  const { inside, router, outside } = await buildTrio(lab);
  const to = await taker(outside);
  const loss = await router.apply(randomLoss({ ratio: 0.3, outside: 'wan' }));
  t.regex(lab.drawing(), /loss at wan: 30 %/);
  const numbers = await came(inside, to, 1_000, loss);
  t.true(numbers.length > 620 && numbers.length < 780, `${numbers.length} of 1000 came, 700 meant`);
});

labTest('bursts of loss take so many in a row, at even distances', async (t, lab) => {
  const { inside, router, outside } = await buildTrio(lab);
  const to = await taker(outside);
  const loss = await router.apply(burstLoss({ ratio: 0.05, burstPackets: 3 }));
  const numbers = await came(inside, to, 600, loss);
  const lost = Array.from({ length: 600 }, (_, number) => number).filter(number => !numbers.includes(number));
  t.is(lost.length, 30);
  const starts = lost.filter(number => !lost.includes(number - 1));
  t.is(starts.length, 10);
  t.true(starts.every(number => lost.includes(number + 1) && lost.includes(number + 2)));
});

labTest('policed UDP gets through at the rate, and TCP as before', async (t, lab) => {
  const { inside, router, outside } = await buildTrio(lab);
  const to = await taker(outside);
  await tcpServer(outside, 80);
  const police = await router.apply(policeUdp({ packetsPerSecond: 20, burstPackets: 10, outside: 'wan' }));
  const startedAt = performance.now();
  const numbers = await came(inside, to, 200, police);
  const seconds = (performance.now() - startedAt) / 1_000;
  t.true(numbers.length >= 10 && numbers.length <= 11 + 20 * seconds, `${numbers.length} in ${seconds} s`);
  t.regex(await tryTcp(inside, outsideAddress, 80), /^connected/);
});

labTest('refuseNewFlows lets go on what runs, and nothing else begin', async (t, lab) => {
  const { inside, router, outside } = await buildTrio(lab, masquerade({ outside: 'wan' }));
  await tcpServer(outside, 80);
  const [near, far] = [await udpPeer(inside, 5000), await udpPeer(outside, 9000, '4', 'echo')];
  const held = await tcpHold(inside, outsideAddress, 80);
  near.write(`send ${outsideAddress} 9000 before\n`);
  await near.untilOutput(/^got before/m);

  const refusal = await router.apply(refuseNewFlows({ outside: 'wan' }));
  t.is(await tryTcp(inside, outsideAddress, 80, 300), 'failed TIMEOUT');
  const late = await udpPeer(inside, 5001);
  late.write(`send ${outsideAddress} 9000 late\n`);
  await late.untilOutput(/^sent late$/m);
  near.write(`send ${outsideAddress} 9000 during\n`);
  await near.untilOutput(/^got during/m);
  held.write('still here\n');
  await held.untilOutput(/^got still here$/m);
  t.notRegex(far.stdout, /late/);
  t.true((await refusal.hits()) >= 2);

  await refusal.remove();
  await router.apply(refuseNewFlows({ how: 'reject' }));
  t.is(await tryTcp(inside, outsideAddress, 80), 'failed ECONNREFUSED');
});

labTest('a black hole swallows everything both ways, and gives nothing back', async (t, lab) => {
  const { inside, router, outside } = await buildTrio(lab);
  await tcpServer(outside, 80);
  const held = await tcpHold(inside, outsideAddress, 80);
  const hole = await router.apply(blackHole({ outside: 'wan' }));
  t.is(await tryTcp(inside, outsideAddress, 80, 300), 'failed TIMEOUT');
  held.write('into it\n');
  await until(async () => (await hole.hits()) >= 2, { what: 'the hole to swallow both' });
  t.notRegex(held.stdout, /got|lost|ended/);
  await hole.remove();
  // TCP itself sends again.
  await held.untilOutput(/^got into it$/m);
  t.regex(await tryTcp(inside, outsideAddress, 80), /^connected/);
});
