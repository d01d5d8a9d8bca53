import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { fakeClock } from '../../base/clock.ts';
import { defaultOwnerPolicy, parseOwnerPolicy } from '../../policy/owner-policy.ts';
import { hoursFrom } from '../testing/hours.ts';
import { Consent } from './consent.ts';
import { consentStatus, missingCapabilities } from './status.ts';

const minuteMs = 60_000;

function made(t: ExecutionContext) {
  const stateDir = mkdtempSync(join(tmpdir(), 'entremise-consent-'));
  t.teardown(() => rmSync(stateDir, { recursive: true }));
  const clock = fakeClock();
  const consent = new Consent(stateDir, clock);
  const changes: number[] = [];
  consent.onChange = () => changes.push(clock.now());
  return { stateDir, clock, consent, changes };
}

test('the window is open for as long as was said, and its end is a change like its beginning', t => {
  const { clock, consent, changes } = made(t);
  t.deepEqual(consent.consentUntilMs, {});
  clock.advance(1000);
  consent.allow(30);
  const untilMs = 1000 + 30 * minuteMs;
  t.deepEqual(consent.consentUntilMs, { assistance: untilMs, service: untilMs });
  t.is(consent.leftMs('assistance'), 30 * minuteMs);
  consent.allow(10, ['service']);
  t.is(consent.leftMs('service'), 10 * minuteMs);
  clock.advance(60 * minuteMs);
  t.deepEqual(changes, [1000, 1000, 1000 + 10 * minuteMs, untilMs]);
  t.is(consent.leftMs('assistance'), 0);
});

test('a stop closes the windows and outweighs `always`, over a restart too, until something is allowed', t => {
  const { clock, consent, stateDir, changes } = made(t);
  consent.allow(30);
  consent.stop();
  t.deepEqual(consent.consentUntilMs, {});
  t.is(consent.applied(defaultOwnerPolicy).service.consent, 'window');
  consent.stop();
  const again = new Consent(stateDir, clock);
  t.true(again.stopped);
  again.allow(5, ['assistance']);
  t.is(again.applied(defaultOwnerPolicy).service.consent, 'always');
  t.false(new Consent(stateDir, clock).stopped);
  t.deepEqual(readdirSync(stateDir), []);
  clock.advance(60 * minuteMs);
  t.deepEqual(changes, [0, 0, 0], 'the windows that were closed do not end later');
});

test('what the owner is told of consent', t => {
  const { clock, consent } = made(t);
  const policy = parseOwnerPolicy({ purposes: ['assistance'], consent: 'window' }, 'x');
  t.deepEqual(consentStatus(policy, consent, clock), {
    assistance: { allowed: true, consent: 'window' },
    service: { allowed: false, consent: 'window' },
  });
  consent.allow(30, ['assistance']);
  t.is(consentStatus(policy, consent, clock).assistance.openUntil, '2026-01-01T00:30:00.000Z');
});

test('the owner is told of hours, and whether they let anybody in now', t => {
  const { clock, consent } = made(t);
  const { text } = hoursFrom(clock, 0, 10);
  const policy = parseOwnerPolicy({ assistance: { hours: [text] } }, 'x');
  const shown = () => consentStatus(policy, consent, clock);
  t.deepEqual(shown().assistance.hours, { allowed: [text], now: true });
  t.is(shown().service.hours, undefined);
  clock.advance(10 * minuteMs);
  t.deepEqual(shown().assistance.hours, { allowed: [text], now: false });
});

test('capabilities that are missing, by the kernel’s own word', t => {
  t.deepEqual(missingCapabilities('Name:\tnode\nCapEff:\t0000000000002400\n'), []);
  t.deepEqual(missingCapabilities('CapEff:\t0000000000000400\n'), ['CAP_NET_RAW']);
  t.deepEqual(missingCapabilities('CapEff:\t0000000000000000\n'), ['CAP_NET_BIND_SERVICE', 'CAP_NET_RAW']);
  t.deepEqual(missingCapabilities(undefined), []);
});
