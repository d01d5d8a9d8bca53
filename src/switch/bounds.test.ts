import test from 'ava';
import type { Stream } from '../session/stream.ts';
import { record } from '../session/testing/attached-pair.ts';
import { encodeReset } from '../wire/messages/binary.ts';
import { frameType } from '../wire/spec.ts';
import { firstCreditBytes } from './credit-ledger.ts';
import { Lab, pump, settle, turn, until } from './testing/lab.ts';
import { type LabEnd, streamBetween } from './testing/lab-member.ts';

const megabyte = 1024 * 1024;

/** Twenty streams that want to send more than anybody would hold. */
function flood(atTerminal: LabEnd, atMediator: LabEnd) {
  const bytes = Buffer.alloc(megabyte, 'one two three ');
  return Array.from({ length: 20 }, () => {
    const streams = streamBetween(atTerminal, atMediator);
    record(streams.terminal);
    return { bytes, received: record(streams.mediator), done: pump(streams.terminal, bytes) };
  });
}

test('P2.3: a member that sends more than its credit loses its link, and only it', async t => {
  const lab = new Lab();
  const { terminal, mediator, atTerminal, atMediator } = await lab.attached();
  mediator.transport.pauseReading();
  for (let sent = 0; sent < 2 * firstCreditBytes; sent += 16_012)
    terminal.sendRaw(0x40, atTerminal.label, 1, Buffer.alloc(16_000));
  await until(() => terminal.closed !== undefined, 'the link is closed');
  t.is(terminal.closed?.code, 'over-credit');
  t.is(lab.switch.status().queuedBytes, 0);
  mediator.transport.resumeReading();
  await until(() => atMediator.gone !== undefined, 'the mediator is told');
  t.true(mediator.link.driver.live);
});

test('P2.3: what waits for a stopped member stays within the credit, and arrives whole when it goes on', async t => {
  const lab = new Lab();
  const { mediator, atTerminal, atMediator } = await lab.attached();
  mediator.transport.pauseReading();
  const streams = flood(atTerminal, atMediator);
  let most = 0;
  for (let turns = 0; turns < 200; turns++) {
    await turn();
    most = Math.max(most, lab.switch.status().queuedBytes);
  }
  t.true(most > firstCreditBytes / 2 && most <= firstCreditBytes, `${most} bytes waited`);
  mediator.transport.resumeReading();
  await until(() => streams.every(({ received }) => received.told.includes('fin')), 'every FIN arrives');
  t.true(streams.every(({ received, bytes }) => received.bytes().equals(bytes)));
});

test('P2.3: datagrams to a stopped member are dropped whole, the oldest first, and cost no credit', async t => {
  const lab = new Lab();
  const { terminal, mediator, atTerminal, atMediator } = await lab.attached();
  mediator.transport.pauseReading();
  for (let number = 0; number < 2000; number++) {
    const bytes = Buffer.alloc(20_000, number & 0xff);
    const peerAddress = '192.168.1.9';
    atTerminal.attachment?.sendDatagram({ port: 1, peerAddress, peerNumber: number + 1, bytes });
    if (number % 5 === 0) await turn();
  }
  await settle();
  t.true(lab.switch.status().queuedBytes <= 256 * 1024 + 20_100);
  t.true(terminal.link.driver.live);
  mediator.transport.resumeReading();
  await until(() => atMediator.datagrams.at(-1)?.peerNumber === 2000, 'the newest arrives');
  const numbers = atMediator.datagrams.map(({ peerNumber }) => peerNumber);
  t.deepEqual(
    numbers,
    [...numbers].sort((a, b) => a - b),
  );
  t.true(numbers.length < 200, 'most were dropped');
  t.true(
    atMediator.datagrams.every(({ bytes, peerNumber }) =>
      bytes.every(byte => byte === ((peerNumber - 1) & 0xff)),
    ),
  );
});

test('P2.3: RESETs cost no credit, but nobody can pile them up', async t => {
  const lab = new Lab();
  const { terminal, mediator, atTerminal } = await lab.attached();
  mediator.transport.pauseReading();
  for (let stream = 1; stream < 60_000; stream += 2)
    terminal.sendRaw(frameType.reset, atTerminal.label, stream, encodeReset(26));
  await until(() => atTerminal.gone !== undefined, 'the label ends');
  t.is(atTerminal.gone, 'protocol-error');
  t.true(terminal.link.driver.live);
  t.is(lab.switch.status().queuedBytes, 0);
});

test('P2.3: out of room, the attachment that holds most is unrouted, and the others feel nothing', async t => {
  const lab = new Lab({ queuedBytes: 280 * 1024 });
  const fat = await lab.attached();
  const lean = await lab.attached();
  const healthy = await lab.attached();
  for (const { mediator } of [fat, lean]) mediator.transport.pauseReading();
  t.teardown(() => lab.end());
  flood(fat.atTerminal, fat.atMediator);
  await settle();
  t.is(lab.switch.status().attachments, 3);
  for (let stream = 1; stream < 34; stream += 2)
    lean.terminal.sendRaw(0x40, lean.atTerminal.label, stream, Buffer.alloc(14_000));
  await until(() => fat.atTerminal.gone !== undefined, 'the fattest is ended');
  t.is(fat.atTerminal.gone, 'limit');
  t.is(lean.atTerminal.gone, undefined);
  t.is(healthy.atTerminal.gone, undefined);
  t.true(lab.switch.status().queuedBytes <= 280 * 1024);
});

/** Turns of the event loop that a terminal needs for `bytes` to a mediator, others going on meanwhile. */
async function turnsFor(stream: Stream, told: readonly string[], bytes: Buffer): Promise<number> {
  let turns = 0;
  let done = false;
  const counting = (async () => {
    while (!done) {
      await turn();
      turns++;
    }
  })();
  await pump(stream, bytes);
  await until(() => told.includes('fin'), 'FIN arrives');
  done = true;
  await counting;
  return turns;
}

test('P2.4: with one mediator stopped, another attachment of the same terminal keeps at least 90 % of its rate', async t => {
  const bytes = Buffer.alloc(8 * megabyte);
  const lab = new Lab();
  t.teardown(() => lab.end());
  const first = await lab.attached();
  const alone = streamBetween(first.atTerminal, first.atMediator);
  record(alone.terminal);
  const before = await turnsFor(alone.terminal, record(alone.mediator).told, bytes);

  const stopped = await lab.member({ role: 'mediator' });
  const toStopped = await lab.attach(first.terminal, stopped);
  stopped.transport.pauseReading();
  flood(toStopped.atTerminal, toStopped.atMediator);
  await settle();

  const beside = streamBetween(first.atTerminal, first.atMediator);
  record(beside.terminal);
  const after = await turnsFor(beside.terminal, record(beside.mediator).told, bytes);
  t.true(after <= before / 0.9 + 5, `${before} turns alone, ${after} beside a stopped mediator`);
  t.true(lab.switch.status().queuedBytes <= firstCreditBytes);
});

test('a member that never reads what it is told on label 0 loses its link', async t => {
  const lab = new Lab();
  const member = await lab.member({ role: 'terminal' });
  await settle();
  member.transport.pauseReading();
  const documents = Array.from({ length: 100 }, () => 'x'.repeat(10_000));
  for (let count = 0; count < 10 && lab.switch.status().members === 1; count++)
    lab.switch.broadcastDocuments(documents);
  t.is(lab.switch.status().members, 0);
});
