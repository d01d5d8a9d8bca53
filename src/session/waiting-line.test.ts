import test from 'ava';
import { WaitingLine } from './waiting-line.ts';

function drained(line: WaitingLine<string>): string[] {
  const order: string[] = [];
  line.leaveAll(item => order.push(item));
  return order;
}

test('everyone waits once, in the order in which they came', t => {
  const line = new WaitingLine<string>();
  for (const item of ['a', 'b', 'a', 'c']) line.add(item);
  t.deepEqual(drained(line), ['a', 'b', 'c']);
  t.is(line.first, undefined);
});

test('who has left goes to the end when added again', t => {
  const line = new WaitingLine<string>();
  for (const item of ['a', 'b']) line.add(item);
  line.leave('a');
  line.add('a');
  t.deepEqual(drained(line), ['b', 'a']);
});

test('who is forgotten is not given, wherever in the line', t => {
  const line = new WaitingLine<string>();
  for (const item of ['a', 'b', 'c']) line.add(item);
  line.forget('b');
  line.forget('never there');
  line.forget('a');
  t.is(line.first, 'c');
  line.leave('b');
  t.deepEqual(drained(line), ['c']);
});

test('who is added while all leave is given too', t => {
  const line = new WaitingLine<string>();
  line.add('a');
  const order: string[] = [];
  line.leaveAll(item => {
    order.push(item);
    if (item === 'a') line.add('b');
  });
  t.deepEqual(order, ['a', 'b']);
});
