import test from 'ava';
import { EntremiseError, errorNumber } from '../base/errors.ts';
import { LinkFacts } from './link-facts.ts';

test('P1.8: which link there is since when, and when and why the last one was lost, is reported', t => {
  const facts = new LinkFacts(0);
  t.deepEqual(facts.report, {});
  facts.onOffline(new EntremiseError('server-unreachable'), 5);
  t.deepEqual(facts.report, {}, 'a try that failed is no loss');
  facts.onOnline('192.0.2.1:8443', 10);
  t.deepEqual(facts.report, { server: '192.0.2.1:8443', linkSinceMs: 10 });
  facts.onOffline(new EntremiseError('link-lost'), 20);
  facts.onOffline(new EntremiseError('server-unreachable'), 21);
  const lost = { lostReason: errorNumber('link-lost'), lostAtMs: 20 };
  t.deepEqual(facts.report, lost);
  facts.onOnline('192.0.2.2:8443', 30);
  t.deepEqual(facts.report, { server: '192.0.2.2:8443', linkSinceMs: 30, ...lost });
});

test('the owner is told since when there is a link, or since when and why there is none', t => {
  const facts = new LinkFacts(0);
  const since = (seconds: number) => new Date(seconds * 1000).toISOString();
  t.deepEqual(facts.status, { online: false, since: since(0) });
  const unreachable = new EntremiseError('server-unreachable', { message: 'Nobody answers.' });
  t.true(facts.onOffline(unreachable, 1000));
  t.false(facts.onOffline(unreachable, 2000), 'the same again is no news');
  t.deepEqual(facts.status, { online: false, since: since(0), reason: 'Nobody answers.' });
  facts.onOnline('192.0.2.1:8443', 3000);
  t.deepEqual(facts.status, { online: true, since: since(3), server: '192.0.2.1:8443' });
  t.true(facts.onOffline(unreachable, 4000));
  t.deepEqual(facts.status, { online: false, since: since(4), reason: 'Nobody answers.' });
});
