import test from 'ava';
import { errorNumber } from '../base/errors.ts';
import type { PathReport } from '../wire/messages/report.ts';
import { linkWords, natWords, pathWords } from './path-words.ts';

const nowMs = Date.UTC(2026, 0, 2);
const base = { udp: 'up', udpKeepaliveMs: 94_400, tcpKeepaliveMs: 240_000 } as const;
const words = (path: Partial<PathReport> & Pick<PathReport, 'origin'>) =>
  pathWords({ ...base, ...path }, nowMs);

test('what was learned of a path, and how, is one line (P8.3)', t => {
  const learned = { heldMs: 118_000, expiredMs: 178_000, learnedAtMs: nowMs - 3_600_000 };
  t.is(
    words({ origin: 'learned', ...learned }),
    'UDP passes, silent for 94.4 s at most (learned, 1 h 0 min ago: 118 s of silence held, 178 s did not); link silent for 240 s at most',
  );
  t.regex(words({ origin: 'learned', heldMs: 238_000, learnedAtMs: nowMs }), /238 s of silence held\);/);
  t.regex(words({ origin: 'learned', expiredMs: 19_000, learnedAtMs: nowMs }), /: 19 s did not\)/);
  t.regex(words({ origin: 'default' }), /\(not learned yet\)/);
  t.regex(words({ origin: 'learning' }), /\(being learned: nothing has held yet\)/);
  t.regex(words({ origin: 'learning', heldMs: 28_000 }), /\(being learned: 28 s of silence held\)/);
  t.regex(words({ origin: 'halved', expiredMs: 94_400 }), /a NAT forgot the channel after 94.4 s/);
  t.regex(words({ origin: 'unclear' }), /could not be learned: the path loses too much/);
});

test('the size of the path is told where it is known (P7.5)', t => {
  t.regex(
    words({ origin: 'default', packetBytes: 1252 }),
    /^UDP passes in packets of 1252 bytes, silent for/,
  );
});

test('where there is no UDP that is all that is said of it', t => {
  t.is(words({ origin: 'default', udp: 'blocked' }), 'UDP does not pass; link silent for 240 s at most');
  t.is(
    words({ origin: 'default', udp: 'proxied' }),
    'no UDP through an HTTP proxy; link silent for 240 s at most',
  );
  t.is(
    words({ origin: 'default', udp: 'off', tcpKeepaliveMs: 20_000 }),
    'the server offers no UDP channel; link silent for 20 s at most',
  );
});

test('what NATs do is one line, which says what one server cannot tell (P8.5)', t => {
  const nat = (seen: Partial<PathReport>) => natWords({ ...base, origin: 'default', ...seen });
  t.is(nat({}), undefined);
  t.is(nat({ translation: 'none', publicAddresses: 1 }), 'none on the way of UDP');
  t.regex(
    nat({ translation: 'address', publicAddresses: 1 }) ?? '',
    /^changes the address and keeps every number/,
  );
  const random = nat({ translation: 'numbers', publicAddresses: 3 }) ?? '';
  t.regex(random, /^changes numbers; mapping endpoint-independent, or dependent/);
  t.regex(random, /; 3 public addresses in turn; filtering: one server, one number, cannot tell$/);
});

test('of a link is told where it goes, for how long, its round trip, and how the one before was lost', t => {
  const path = { ...base, origin: 'default', server: '192.0.2.1:8443', linkSinceMs: nowMs - 60_000 } as const;
  t.is(
    linkWords(path, 12, nowMs),
    'link to 192.0.2.1:8443 for 1 min, round trip 12 ms, none lost since it was started',
  );
  const lost = { lostReason: errorNumber('link-lost'), lostAtMs: nowMs - 3_600_000 };
  t.is(
    linkWords({ ...path, ...lost }, undefined, nowMs),
    'link to 192.0.2.1:8443 for 1 min, the one before was lost 1 h 0 min ago (link-lost)',
  );
  t.regex(linkWords({ ...path, lostReason: 250, lostAtMs: nowMs }, undefined, nowMs), /\(250\)$/);
});
