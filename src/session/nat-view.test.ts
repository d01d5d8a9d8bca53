import test from 'ava';
import { natView, type Sighting } from './nat-view.ts';

const own = (address: string) => address === '203.0.113.20';
const seen = (address: string, number: number, localNumber: number | undefined = 40_000): Sighting => ({
  localNumber,
  observed: { address, number },
});

test('P8.5: an own address and the own number is no NAT, another address with the number kept is one', t => {
  const bare = [seen('203.0.113.20', 40_000), seen('203.0.113.20', 40_001, 40_001)];
  t.deepEqual(natView(bare, own), { translation: 'none', publicAddresses: 1 });
  const cone = [seen('198.51.100.2', 40_000), seen('198.51.100.2', 40_001, 40_001)];
  t.deepEqual(natView(cone, own), { translation: 'address', publicAddresses: 1 });
});

test('P8.5: one number that is not kept is enough, and several public addresses are counted', t => {
  const one = [seen('198.51.100.2', 40_000), seen('198.51.100.2', 61_234, 40_001)];
  t.deepEqual(natView(one, own), { translation: 'numbers', publicAddresses: 1 });
  const pool = [seen('198.51.100.2', 1_025), seen('198.51.100.3', 1_026)];
  t.deepEqual(natView(pool, own), { translation: 'numbers', publicAddresses: 2 });
});

test('P8.5: nothing is said of nothing, and a number that is not known says nothing', t => {
  t.is(natView([], own), undefined);
  t.deepEqual(natView([{ localNumber: undefined, observed: { address: '198.51.100.2', number: 9 } }], own), {
    translation: 'address',
    publicAddresses: 1,
  });
});
