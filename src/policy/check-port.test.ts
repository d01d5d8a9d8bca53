import test from 'ava';
import { commonPortNumbers } from './check-port.ts';
import { numberRangeText, parseNumberRange } from './number-range.ts';

test('candidates for a port are the numbers that both sides let it have', t => {
  const ports = (tcp: readonly string[]) => ({ addresses: [], tcp: tcp.map(parseNumberRange), udp: [] });
  const common = (a: readonly string[], b: readonly string[]) =>
    commonPortNumbers(ports(a), ports(b), 'tcp').map(numberRangeText);
  t.deepEqual(common(['1-65535'], ['1024-65535']), ['1024-65535']);
  t.deepEqual(common(['80', '5000-5010'], ['1-1023', '5005-6000']), ['80', '5005-5010']);
  t.deepEqual(common(['1-65535'], ['80']), []);
  t.deepEqual(common([], ['1-65535']), []);
});
