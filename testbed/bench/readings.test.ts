import test from 'ava';
import { receivedGbits } from './iperf.ts';
import { residentMbIn } from './resident.ts';

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
