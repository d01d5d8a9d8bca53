import test from 'ava';
import { receivedGbits } from './iperf.ts';
import { residentMbIn } from './resident.ts';
import { bestOf, type Reading } from './udp-load.ts';

test('throughput is what the receiver counted', t => {
  const end = { sum_sent: { bits_per_second: 9e9 }, sum_received: { bits_per_second: 2.5e9 } };
  t.is(receivedGbits(JSON.stringify({ end })), 2.5);
});

test("iperf3's own error is told", t => {
  t.throws(() => receivedGbits('{"error":"unable to connect to server"}'), {
    message: 'iperf3: unable to connect to server',
  });
});

test('a measurement in which nothing came is no measurement', t => {
  t.throws(() => receivedGbits('{"end":{"sum_received":{"bits_per_second":0}}}'), {
    message: /received nothing/,
  });
  t.throws(() => receivedGbits('', 'iperf3: not found'), { message: /not found/ });
});

test('resident memory is VmRSS in MB of 10^6 bytes', t => {
  t.is(residentMbIn('Name:\tnode\nVmHWM:\t   90000 kB\nVmRSS:\t   50000 kB\n'), 51.2);
  t.throws(() => residentMbIn('Name:\tnode\nState:\tZ (zombie)\n'), { message: /no memory/ });
});

test('of datagram loads the fastest counts that lost less than a thousandth', t => {
  const reading = (kpps: number, loss: number): Reading => ({ kpps, loss, cpuUs: 1, p50Us: 1, p99Us: 1 });
  const [slow, fast, lossy] = [reading(90, 0), reading(120, 0.001), reading(200, 0.002)];
  t.is(bestOf([slow, fast, lossy]), fast);
  t.is(bestOf([reading(300, 0.5), lossy]), lossy);
  t.throws(() => bestOf([]), { instanceOf: RangeError });
});
