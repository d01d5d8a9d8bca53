import test from 'ava';
import { formatDuration, parseDuration } from './duration.ts';
import { parseEndpoint, parseForward, parseLanPort, parseLocalPort } from './forward-spec.ts';
import { parseLimits } from './grant-limits.ts';

const tcp = 'tcp' as const;
const udp = 'udp' as const;

test('forwards are read as ssh -L writes them, IPv6 in brackets, /udp behind', t => {
  const rows = {
    '8080:192.168.1.10:80': [tcp, { port: 8080 }, { host: '192.168.1.10', port: 80 }],
    '0:device.lan:443': [tcp, { port: 0 }, { host: 'device.lan', port: 443 }],
    '0.0.0.0:8080:192.168.1.10:80/tcp': [
      tcp,
      { host: '0.0.0.0', port: 8080 },
      { host: '192.168.1.10', port: 80 },
    ],
    '5353:192.168.1.1:53/udp': [udp, { port: 5353 }, { host: '192.168.1.1', port: 53 }],
    '8080:[fd00::10]:80': [tcp, { port: 8080 }, { host: 'fd00::10', port: 80 }],
    '[::1]:8080:[fe80::1%br-lan]:65535': [
      tcp,
      { host: '::1', port: 8080 },
      { host: 'fe80::1%br-lan', port: 65_535 },
    ],
  } as const;
  for (const [text, [protocol, listen, target]] of Object.entries(rows))
    t.deepEqual(parseForward(text), { protocol, listen, target }, text);
});

test('what is no forward is refused with how one looks', t => {
  const wrong = [
    '',
    ':',
    '80',
    '80:host',
    'host:80',
    ':80:host:80',
    '80::80',
    '80:host:',
    '80:host:0',
    '80:host:65536',
    '65536:host:80',
    '-1:host:80',
    '8 0:host:80',
    '80:host:80:80:80',
    '80:fd00::10:80',
    '80:[fd00::10:80',
    '80:fd00::10]:80',
    '80:[]:80',
    '80:host:80/sctp',
    '80:host:80/',
    '80:host:8e1',
    '80:host:0x50',
    '８０:host:80',
    '[80]:host:80',
    '80:[host]:80',
    'x'.repeat(1_000_000),
  ];
  for (const text of wrong)
    t.throws(
      () => parseForward(text),
      { code: 'bad-usage', message: /^.{0,300}write it like/ },
      text.slice(0, 40),
    );
});

test('ports of the mediator and endpoints', t => {
  t.deepEqual(parseLanPort('8000'), { protocol: 'tcp', listen: { port: 8000 } });
  t.deepEqual(parseLanPort('5060/udp'), { protocol: 'udp', listen: { port: 5060 } });
  t.deepEqual(parseLanPort('192.168.1.1:8000'), {
    protocol: 'tcp',
    listen: { host: '192.168.1.1', port: 8000 },
  });
  t.deepEqual(parseLanPort('[fd00::1]:8000/udp'), {
    protocol: 'udp',
    listen: { host: 'fd00::1', port: 8000 },
  });
  t.deepEqual(parseEndpoint('192.168.1.10:80'), { host: '192.168.1.10', port: 80 });
  t.deepEqual(parseEndpoint('[fd00::10]:80'), { host: 'fd00::10', port: 80 });
  for (const text of ['', '0', 'x', '1:2:3', '[]:5', '65536', '80/', ':80'])
    t.throws(() => parseLanPort(text), { code: 'bad-usage' }, text);
  for (const text of [
    '',
    '80',
    'host',
    'host:',
    ':80',
    'host:0',
    'a:b:80',
    'fd00::1:80',
    '[]:80',
    'host:80/udp',
  ])
    t.throws(() => parseEndpoint(text), { code: 'bad-usage' }, text);
});

test('durations', t => {
  t.is(parseDuration('90s'), 90_000);
  t.is(parseDuration('10m'), 600_000);
  t.is(parseDuration('12h'), 43_200_000);
  t.is(parseDuration('30d'), 2_592_000_000);
  for (const text of ['', '0s', '10', 's', '-1s', '1.5h', '1w', ' 1h', '1h ', '9999999d', '1H', '1e3s'])
    t.throws(() => parseDuration(text), { code: 'bad-usage', message: /90s, 10m, 12h or 30d/ }, text);
});

test('durations as people say them', t => {
  const rows = {
    '-5': '0 s',
    '0': '0 s',
    '499': '0 s',
    '59400': '59 s',
    '60000': '1 min',
    '3599000': '59 min',
    '3600000': '1 h 0 min',
    '86399000': '23 h 59 min',
    '273600000': '3 d 4 h',
  };
  for (const [ms, text] of Object.entries(rows)) t.is(formatDuration(Number(ms)), text, ms);
});

test('limits of a grant are name=number, each once', t => {
  t.is(parseLimits(), undefined);
  t.deepEqual(parseLimits(['ports=1100', 'newStreamsPerSecond=10000']), {
    ports: 1100,
    newStreamsPerSecond: 10_000,
  });
  for (const wrong of ['ports', 'ports=', 'ports=-1', 'ports=1.5', 'port=1', 'ports=1 ', 'constructor=1', ''])
    t.throws(() => parseLimits([wrong]), { message: /--limit is name=number/ }, wrong);
  t.throws(() => parseLimits(['ports=1', 'ports=2']), { message: /each name once/ });
});

test('numbers of this computer', t => {
  t.deepEqual(parseLocalPort('1080'), { port: 1080 });
  t.deepEqual(parseLocalPort('0'), { port: 0 });
  t.deepEqual(parseLocalPort('127.0.0.1:1080'), { host: '127.0.0.1', port: 1080 });
  t.deepEqual(parseLocalPort('[::1]:1080'), { host: '::1', port: 1080 });
  for (const text of ['', 'x', '1:2:3', ':80', '65536', 'fd00::1:80'])
    t.throws(() => parseLocalPort(text), { code: 'bad-usage' }, text);
});
