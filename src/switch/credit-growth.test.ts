import test from 'ava';
import { record } from '../session/testing/attached-pair.ts';
import { firstCreditBytes } from './credit-ledger.ts';
import { Lab, turn } from './testing/lab.ts';
import { streamBetween } from './testing/lab-member.ts';

/** Growth of hop credit over a long path, in virtual time (P2.3). */

const kib = 1024;
const oneWayMs = 50;
const streamCount = 30;
const streamBytes = 512 * kib;

async function pass(lab: Lab, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 10) {
    lab.clock.advance(10);
    for (let turns = 0; turns < 3; turns++) await turn();
  }
}

/** Milliseconds that streams take which together hold far more than the first credit, and the most credit they had. */
async function transfer(creditBytes: number): Promise<{ tookMs: number; grownBytes: number }> {
  const lab = new Lab({ creditBytes });
  const mediator = await lab.member({ role: 'mediator' });
  const terminal = lab.connectFar({ role: 'terminal' }, oneWayMs);
  await pass(lab, 500);
  const atTerminal = terminal.attachTo(mediator.key.publicKey);
  await pass(lab, 500);
  const [atMediator] = mediator.ends;
  if (atMediator === undefined) throw new Error('not attached');
  const streams = Array.from({ length: streamCount }, () => {
    const made = streamBetween(atTerminal, atMediator);
    record(made.terminal);
    return { from: made.terminal, received: record(made.mediator), sent: 0 };
  });
  const startMs = lab.clock.now();
  let grownBytes = 0;
  const bytes = Buffer.alloc(16_000);
  while (!streams.every(({ received }) => received.told.includes('fin'))) {
    for (const stream of streams) {
      for (
        let room = stream.from.roomBytes;
        room > 0 && stream.sent < streamBytes;
        room = stream.from.roomBytes
      ) {
        const part = bytes.subarray(0, Math.min(room, bytes.length, streamBytes - stream.sent));
        stream.from.send(part);
        stream.sent += part.length;
      }
      if (stream.sent === streamBytes) stream.from.finish();
    }
    await pass(lab, 10);
    grownBytes = Math.max(grownBytes, lab.switch.status().grownCreditBytes);
    if (lab.clock.now() - startMs > 60_000) throw new Error('it takes for ever');
  }
  return { tookMs: lab.clock.now() - startMs, grownBytes };
}

test('P2.3: over a long path credit grows until it is not what holds the member back, and without a budget it does not', async t => {
  const fixed = await transfer(0);
  t.is(fixed.grownBytes, 0);
  t.true(
    fixed.tookMs > (streamCount * streamBytes * 2 * oneWayMs) / (1.2 * firstCreditBytes),
    `${fixed.tookMs} ms`,
  );
  const grown = await transfer(256 * kib * kib);
  t.true(grown.grownBytes > 2 * firstCreditBytes, `${grown.grownBytes} bytes`);
  t.true(grown.tookMs < fixed.tookMs / 2, `${grown.tookMs} ms, ${fixed.tookMs} ms without growth`);
});
