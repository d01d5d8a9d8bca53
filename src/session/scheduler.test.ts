import test from 'ava';
import fc from 'fast-check';
import { DeficitRing } from './deficit-ring.ts';
import { type LabelSource, Scheduler } from './scheduler.ts';

function source(name: string, urgent: string[], control: string[], data: string[]): LabelSource {
  const take = (from: string[]) => {
    const next = from.shift();
    return next === undefined ? undefined : Buffer.from(`${name}:${next}`);
  };
  return { takeUrgent: () => take(urgent), takeControl: () => take(control), takeData: () => take(data) };
}

function drain(scheduler: Scheduler): string[] {
  const order: string[] = [];
  for (let frame = scheduler.take(); frame !== undefined; frame = scheduler.take())
    order.push(frame.toString());
  return order;
}

test('P2.1: label 0, then WINDOW and CREDIT of every label, then stream 0, then data in turn', t => {
  const scheduler = new Scheduler(() => {});
  scheduler.wake(source('a', ['w'], ['c'], ['d1', 'd2']));
  scheduler.wake(source('b', ['w'], ['c'], ['d1']));
  scheduler.sendOnLink(Buffer.from('link'));
  const order = drain(scheduler);
  t.deepEqual(order.slice(0, 5), ['link', 'a:w', 'b:w', 'a:c', 'b:c']);
  t.deepEqual(order.slice(5).sort(), ['a:d1', 'a:d2', 'b:d1']);
});

test('a label that is woken while data waits overtakes it', t => {
  const scheduler = new Scheduler(() => {});
  scheduler.wake(source('bulk', [], [], ['1', '2', '3']));
  t.is(scheduler.take()?.toString(), 'bulk:1');
  scheduler.wake(source('quick', [], ['command'], []));
  t.is(scheduler.take()?.toString(), 'quick:command');
  t.is(scheduler.take()?.toString(), 'bulk:2');
});

test('a removed label gives nothing more', t => {
  const scheduler = new Scheduler(() => {});
  const gone = source('gone', ['w'], ['c'], ['d']);
  scheduler.wake(gone);
  scheduler.remove(gone);
  t.is(scheduler.take(), undefined);
});

test('whoever wakes asks for a pump', t => {
  let asked = 0;
  const scheduler = new Scheduler(() => asked++);
  scheduler.wake(source('a', [], [], []));
  scheduler.sendOnLink(Buffer.alloc(1));
  t.true(asked >= 2);
});

test('P2.1: deficit round robin gives everyone who waits the same bytes, within one frame', t => {
  const frameBytes = fc.array(fc.integer({ min: 1, max: 16_384 }), { minLength: 2, maxLength: 6 });
  fc.assert(
    fc.property(frameBytes, sizes => {
      const ring = new DeficitRing<number>();
      const sent = sizes.map(() => 0);
      for (const index of sizes.keys()) ring.add(index);
      for (let round = 0; round < 400; round++) {
        let from = 0;
        const frame = ring.take(index => {
          from = index;
          return Buffer.allocUnsafe(sizes[index] ?? 1);
        });
        sent[from] = (sent[from] ?? 0) + (frame?.length ?? 0);
      }
      return Math.max(...sent) - Math.min(...sent) <= 2 * 16_384 + 16_384;
    }),
  );
  t.pass();
});

test('a member of the ring that has nothing leaves it, and comes back when added', t => {
  const ring = new DeficitRing<string>();
  ring.add('a');
  t.is(
    ring.take(() => undefined),
    undefined,
  );
  t.true(ring.empty);
  ring.add('a');
  t.is(ring.take(item => Buffer.from(item))?.toString(), 'a');
});

test('who had to leave the ring is at its head again, in the order asked for, with what was left of its turn', t => {
  const ring = new DeficitRing<string>();
  for (const item of ['a', 'b', 'c']) ring.add(item);
  ring.take(() => Buffer.alloc(16_000));
  ring.take(() => undefined);
  ring.take(() => undefined);
  ring.take(() => undefined);
  for (const item of ['d', 'b']) ring.add(item);
  ring.addFirst(['a', 'b']);
  const order = Array.from({ length: 5 }, () => {
    let from = '';
    ring.take(item => {
      from = item;
      return Buffer.alloc(10_000);
    });
    return from;
  });
  t.deepEqual(order, ['a', 'b', 'b', 'd', 'd']);
});
