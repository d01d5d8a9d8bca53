import test from 'ava';
import fc from 'fast-check';
import { OwnedChannels } from './owned-channels.ts';

test('what an owner has is what looking at all of them would find, the oldest first', t => {
  const step = fc.record({ cid: fc.nat(20), owner: fc.constantFrom('a', 'b', 'c'), take: fc.boolean() });
  const claim = fc.property(fc.array(step, { maxLength: 60 }), steps => {
    const channels = new OwnedChannels<{ readonly owner: string }>();
    const model = new Map<number, { readonly owner: string }>();
    for (const { cid, owner, take } of steps) {
      if (take) {
        t.is(channels.take(cid), model.get(cid));
        model.delete(cid);
      } else if (!model.has(cid)) {
        model.set(cid, { owner });
        channels.add(cid, model.get(cid) ?? { owner });
      }
    }
    for (const owner of ['a', 'b', 'c'])
      t.deepEqual(
        channels.of(owner),
        [...model].filter(([, entry]) => entry.owner === owner),
      );
    t.deepEqual(channels.all(), [...model.keys()]);
    t.is(channels.size, model.size);
  });
  t.notThrows(() => fc.assert(claim));
});
