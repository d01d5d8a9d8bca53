import test from 'ava';
import type { MediatorStatus } from '../mediator/control/status.ts';
import { mediatorProgram } from './mediator-program.ts';
import { statusLines } from './mediator-status.ts';

const status: MediatorStatus = {
  version: 'entremise 0.1.0',
  name: 'home-4711',
  link: { online: false, since: '2026-01-01T00:00:00.000Z', reason: 'The server cannot be reached.' },
  configuration: { path: '/etc/config/entremise', problem: 'logLevel must be one of ...' },
  addonProblem: 'the native addon is at none of /x',
  missingCapabilities: ['CAP_NET_RAW'],
  stopped: false,
  consent: {
    assistance: { allowed: true, consent: 'window', openUntil: '2026-01-01T00:30:00.000Z' },
    service: { allowed: false, consent: 'window' },
  },
  attached: [
    {
      terminal: 'KEY',
      grant: 'grant-one',
      purpose: 'assistance',
      since: '2026-01-01T00:01:00.000Z',
      away: true,
      ports: [
        { port: 1, protocol: 'tcp', address: 'fd00::1', number: 8080, state: 'server', streams: 2 },
        { port: 2, protocol: 'udp', address: '192.168.1.1', number: 5060, state: 'opened', streams: 0 },
      ],
      targets: ['tcp 192.168.1.10:80'],
    },
  ],
  recent: [],
};

test('the owner reads when nobody is let in', t => {
  const hours = { allowed: ['mon-fri 08:00-18:00'], now: false };
  const shut = { ...status.consent.assistance, hours };
  const lines = statusLines({ ...status, consent: { ...status.consent, assistance: shut } });
  t.true(lines.includes('assistance     nobody at this hour, but mon-fri 08:00-18:00'));
  const open = { ...shut, hours: { ...hours, now: true } };
  t.true(
    statusLines({ ...status, consent: { ...status.consent, assistance: open } }).some(line =>
      line.includes('window open'),
    ),
  );
});

test('the owner reads what is wrong, what was allowed, who is here and what they have reached', t => {
  t.deepEqual(statusLines(status), [
    'home-4711, entremise 0.1.0',
    'server         offline since 2026-01-01T00:00:00.000Z: The server cannot be reached.',
    'configuration  what was good before; logLevel must be one of ...',
    'addon          missing: the native addon is at none of /x',
    'capability     CAP_NET_RAW is missing',
    'assistance     window open until 2026-01-01T00:30:00.000Z',
    'service        not allowed',
    'attached       1',
    '  KEY away, waited for since 2026-01-01T00:01:00.000Z',
    '    assistance, grant grant-one',
    '    tcp [fd00::1]:8080 server, 2 connections',
    '    udp 192.168.1.1:5060 opened',
    '    reached tcp 192.168.1.10:80',
  ]);
});

test('the owner reads whether UDP passes, and what NATs do to it (P8.5)', t => {
  const path = {
    udp: 'up',
    origin: 'learned',
    udpKeepaliveMs: 94_400,
    tcpKeepaliveMs: 240_000,
    heldMs: 118_000,
  } as const;
  const lines = statusLines({ ...status, path: { ...path, translation: 'numbers', publicAddresses: 1 } });
  t.is(lines[2], 'udp            UDP passes, silent for 94.4 s at most (118 s of silence held)');
  t.regex(lines[3] ?? '', /^nat {12}changes numbers; /);
  t.regex(statusLines({ ...status, path: { ...path, udp: 'blocked' } })[2] ?? '', /UDP does not pass$/);
});

test('nobody is here, and all is well', t => {
  const consent = { allowed: true, consent: 'always' } as const;
  const quiet: MediatorStatus = {
    ...status,
    link: { online: true, since: 'a', server: '192.0.2.1:8443' },
    configuration: { path: '/b' },
    missingCapabilities: [],
    consent: { assistance: consent, service: { allowed: true, consent: 'window' } },
    attached: [],
  };
  const lines = statusLines(quiet);
  for (const line of [
    'server         online with 192.0.2.1:8443 since a',
    'configuration  /b is in force',
    'attached       nobody',
  ])
    t.true(lines.includes(line), line);
  t.true(lines.includes('assistance     always allowed') && lines.includes('service        window closed'));
  const stopped = statusLines({ ...quiet, stopped: true });
  t.true(stopped.includes('assistance     stopped') && stopped.includes('service        stopped'));
});

for (const words of [[], ['0'], ['1441'], ['soon'], ['30', '--purpose', 'all']]) {
  test(`allow ${words.join(' ')} is a wrong command line`, async t => {
    t.is(await mediatorProgram(['allow', ...words]), 2);
  });
}
