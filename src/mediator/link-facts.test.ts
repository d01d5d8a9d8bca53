import test from 'ava';
import { errorNumber } from '../base/errors.ts';
import { LinkFacts } from './link-facts.ts';

test('P1.8: which link there is since when, and when and why the last one was lost, is reported', t => {
  const facts = new LinkFacts();
  t.deepEqual(facts.report, {});
  facts.onOffline('server-unreachable', 5);
  t.deepEqual(facts.report, {}, 'a try that failed is no loss');
  facts.onOnline('192.0.2.1:8443', 10);
  t.deepEqual(facts.report, { server: '192.0.2.1:8443', linkSinceMs: 10 });
  facts.onOffline('link-lost', 20);
  facts.onOffline('server-unreachable', 21);
  const lost = { lostReason: errorNumber('link-lost'), lostAtMs: 20 };
  t.deepEqual(facts.report, lost);
  facts.onOnline('192.0.2.2:8443', 30);
  t.deepEqual(facts.report, { server: '192.0.2.2:8443', linkSinceMs: 30, ...lost });
});
