import test from 'ava';
import { encodeCbor } from './cbor.ts';
import {
  bytes,
  clipText,
  field,
  list,
  message,
  oneOf,
  optional,
  sentence,
  text,
  u16,
  uint,
} from './fields.ts';
import { command, commandIdOf, result } from './messages/command.ts';
import { refusalOf } from './testing/refusal.ts';

const numbers: readonly [unknown, boolean][] = [
  [0, true],
  [-0, true],
  [Number.MAX_SAFE_INTEGER, true],
  [2 ** 53, false],
  [-1, false],
  [1.5, false],
  [Number.NaN, false],
  [Number.POSITIVE_INFINITY, false],
  [1n, false],
  ['1', false],
  [null, false],
  [undefined, false],
  [true, false],
];

test('uint takes safe whole numbers and nothing else, reading and writing', t => {
  for (const [value, taken] of numbers) {
    t.is(
      refusalOf(() => uint().decode(value)),
      taken ? undefined : 'bad-request',
      `reading ${String(value)}`,
    );
    t.is(
      refusalOf(() => uint().encode(value as number)),
      taken ? undefined : 'bad-request',
      `writing ${String(value)}`,
    );
  }
  t.is(
    refusalOf(() => u16.decode(65_536)),
    'bad-request',
  );
});

test('text counts bytes, not characters, and refuses lone surrogates', t => {
  t.is(
    refusalOf(() => text(2).encode('é')),
    undefined,
  );
  t.is(
    refusalOf(() => text(2).encode('éa')),
    'bad-request',
  );
  t.is(
    refusalOf(() => text(9).encode('\u{d800}')),
    'bad-request',
  );
  t.is(
    refusalOf(() => text(9).decode(new Uint8Array(1))),
    'bad-request',
  );
});

test('a sentence that is too long is cut between characters when written and refused when read', t => {
  t.is(sentence(4).encode('abcé'), 'abc');
  t.is(sentence(5).encode('abcé'), 'abcé');
  t.is(clipText('\u{1f310}\u{1f310}', 7), '\u{1f310}');
  t.is(clipText('a\u{d800}', 9), 'a\u{fffd}');
  t.is(
    refusalOf(() => sentence(4).decode('abcde')),
    'bad-request',
  );
});

test('byte strings and lists have their lengths checked both ways', t => {
  t.is(
    refusalOf(() => bytes(2).encode(new Uint8Array(3))),
    'bad-request',
  );
  t.is(
    refusalOf(() => bytes(2, 3).decode(new Uint8Array(1))),
    'bad-request',
  );
  t.is(
    refusalOf(() => list(uint(), 1).encode([1, 2])),
    'bad-request',
  );
  t.is(
    refusalOf(() => list(uint(), 1).decode([1, 2])),
    'bad-request',
  );
  t.is(
    refusalOf(() => list(uint(), 1).decode(new Map())),
    'bad-request',
  );
});

test('an unknown number of a closed set is `unsupported`, what is no number is `bad-request`', t => {
  const codec = oneOf({ one: 1 });
  t.is(codec.decode(1), 'one');
  t.is(
    refusalOf(() => codec.decode(2)),
    'unsupported',
  );
  for (const raw of ['one', undefined, new Map()])
    t.is(
      refusalOf(() => codec.decode(raw)),
      'bad-request',
    );
  t.is(
    refusalOf(() => codec.encode('toString' as 'one')),
    'bad-request',
  );
});

const sample = message('SAMPLE', {
  number: field(1, u16),
  items: optional(2, list(message('item', { name: field(1, text(4)) }), 4)),
});

const mapOf = (entries: Record<number, unknown>) =>
  new Map(Object.entries(entries).map(([key, value]) => [Number(key), value]));

test('errors name the field by its path', t => {
  const sentences: readonly [Record<number, unknown>, string][] = [
    [{}, 'SAMPLE.number must be present.'],
    [{ 1: 70_000 }, 'SAMPLE.number must be a whole number up to 65535.'],
    [{ 1: 1, 2: [mapOf({ 1: 'long name' })] }, 'SAMPLE.items[0].name must be text of at most 4 bytes.'],
    [{ 1: 1, 2: [mapOf({ 1: 'a', 9: 1 })] }, 'SAMPLE.items[0] has the unknown key 9.'],
  ];
  for (const [entries, expected] of sentences)
    t.is(t.throws(() => sample.fromBytes(encodeCbor(mapOf(entries))))?.message, expected);
  t.is(
    t.throws(() => sample.toBytes({ number: 1, items: [{ name: 'long name' }] }))?.message,
    'SAMPLE.items[0].name must be text of at most 4 bytes.',
  );
});

test('a field that must be there is missed when written, too', t => {
  t.is(
    refusalOf(() => result.toBytes({ id: 1 } as never)),
    'bad-request',
  );
  t.is(
    refusalOf(() => command.toBytes({ verb: 'fly' } as never)),
    'bad-request',
  );
});

test('a COMMAND with an unknown verb is `unsupported`, one without verb `bad-request`; both can be answered by id', t => {
  const unknown = encodeCbor(mapOf({ 0: 77, 1: 99 }));
  const without = encodeCbor(mapOf({ 0: 77 }));
  t.is(
    refusalOf(() => command.fromBytes(unknown)),
    'unsupported',
  );
  t.is(
    refusalOf(() => command.fromBytes(without)),
    'bad-request',
  );
  t.is(commandIdOf(unknown), 77);
  t.is(commandIdOf(without), 77);
  t.is(commandIdOf(encodeCbor(mapOf({ 0: 2 ** 32 }))), undefined);
  t.is(commandIdOf(encodeCbor([])), undefined);
});
