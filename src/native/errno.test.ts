import test from 'ava';
import { bindError, connectError, errnoOf } from './errno.ts';

test('an errno becomes the code of the catalogue that fits what was tried', t => {
  t.is(bindError('EADDRINUSE', '10.0.0.1', 80).code, 'port-in-use');
  t.is(bindError('EADDRNOTAVAIL', '10.0.0.1', 80).code, 'address-not-available');
  t.is(connectError('EADDRNOTAVAIL', '10.0.0.1', 80).code, 'address-in-use');
  t.is(connectError('ECONNREFUSED', '10.0.0.1', 80).code, 'refused');
  t.is(connectError('EHOSTUNREACH', '10.0.0.1', 80).code, 'unreachable');
  t.is(connectError('ETIMEDOUT', '10.0.0.1', 80).code, 'timed-out');
  t.is(connectError('EMFILE', '10.0.0.1', 80).code, 'limit');
  t.is(connectError('EWHATEVER', '10.0.0.1', 80).code, 'internal');
});

test('the message names what was tried, and what a low number needs', t => {
  t.regex(connectError('ECONNREFUSED', '10.0.0.1', 80).message, /10\.0\.0\.1 port 80.*ECONNREFUSED/);
  t.regex(bindError('EACCES', '0.0.0.0', 80).message, /CAP_NET_BIND_SERVICE/);
});

test('what Node throws has an errno name, what has none is UNKNOWN', t => {
  t.is(errnoOf(Object.assign(new Error('x'), { code: 'EPIPE' })), 'EPIPE');
  for (const thrown of [new Error('x'), 'EPIPE', undefined, null, { code: 'EPIPE' }])
    t.is(errnoOf(thrown), 'UNKNOWN');
});
