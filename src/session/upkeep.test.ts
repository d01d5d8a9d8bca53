import test from 'ava';
import fc from 'fast-check';
import type { PathFacts } from '../transport/transport.ts';
import { Upkeep } from './upkeep.ts';

const second = 1_000;

function facts(more: Partial<PathFacts> = {}): PathFacts {
  return { acknowledgedBytes: 1, sinceAckMs: 0, outstanding: true, roundTripMs: 40, ...more };
}

/** The verdict is given twice: in between what lies unread in the socket is read. */
function isDead(upkeep: Upkeep, nowMs: number, known?: PathFacts): boolean {
  return upkeep.tick(nowMs, known) === undefined && upkeep.tick(nowMs, known) === 'dead';
}

test('P8.1: an idle member pings after its keepalive, and an answered PING leaves nothing due', t => {
  const upkeep = new Upkeep(25_000, 0);
  t.is(upkeep.tick(24_999), undefined);
  t.is(upkeep.tick(25_000), 'ping');
  const id = upkeep.ping(25_000);
  upkeep.onSent(25_000, 100);
  upkeep.onReceived(25_040);
  upkeep.onPong(id, 100, 25_040);
  t.is(upkeep.roundTripMs, 40);
  t.is(upkeep.deadlineMs, 50_000);
  t.is(upkeep.tick(49_999), undefined);
  t.is(upkeep.tick(50_000), 'ping');
});

test('P8.1: a PING that the transport does not take yet is not asked for again at once', t => {
  const upkeep = new Upkeep(25_000, 0);
  t.is(upkeep.tick(25_000), 'ping');
  upkeep.ping(25_000);
  upkeep.onReceived(25_001);
  t.is(upkeep.tick(25_001), undefined);
  t.is(upkeep.deadlineMs, 28_001);
});

test('P8.1: with bytes waiting, 3 s of silence ask for a PING and 5.8 s are the end', t => {
  const upkeep = new Upkeep(undefined, 0);
  upkeep.onReceived(500);
  upkeep.onSent(1_000, 10);
  t.is(upkeep.tick(3_999), undefined);
  t.is(upkeep.tick(4_000), 'ping');
  upkeep.ping(4_000);
  upkeep.onSent(4_000, 20);
  t.is(upkeep.tick(6_799), undefined);
  t.true(isDead(upkeep, 6_800));
});

test('P8.1: one PONG missing for 5.8 s is the end of an idle link, were the PING acknowledged', t => {
  const upkeep = new Upkeep(25_000, 0, facts());
  t.is(upkeep.tick(25_000, facts({ outstanding: false })), 'ping');
  upkeep.ping(25_000);
  upkeep.onSent(25_000, 100);
  const acknowledged = (nowMs: number) =>
    facts({ acknowledgedBytes: 2, sinceAckMs: nowMs - 25_040, outstanding: false });
  t.is(upkeep.tick(28_000, acknowledged(28_000)), undefined);
  t.is(upkeep.tick(30_839, acknowledged(30_839)), undefined);
  t.true(isDead(upkeep, 30_840, acknowledged(30_840)));
});

test('P8.1: a byte received in between starts the judgement anew', t => {
  const upkeep = new Upkeep(undefined, 0);
  upkeep.onSent(0, 10);
  upkeep.onReceived(5_000);
  upkeep.onAcknowledged(10);
  t.is(upkeep.tick(60_000), undefined);
  upkeep.onSent(60_000, 20);
  t.is(upkeep.tick(65_799), 'ping');
  t.true(isDead(upkeep, 65_800));
});

test('P8.1: bytes that came without saying that ours arrived leave ours due', t => {
  const upkeep = new Upkeep(undefined, 0);
  upkeep.onSent(0, 100);
  upkeep.onReceived(2_000);
  upkeep.onAcknowledged(99);
  t.is(upkeep.deadlineMs, 5_000);
  upkeep.onAcknowledged(100);
  t.is(upkeep.deadlineMs, Number.POSITIVE_INFINITY);
});

test('P8.1: two idle ends that know nothing of acknowledgements do not ask each other for ever', t => {
  const upkeep = new Upkeep(undefined, 0);
  upkeep.onReceived(10);
  upkeep.onSent(10, 19, false);
  t.is(upkeep.deadlineMs, Number.POSITIVE_INFINITY, 'a PONG asks for nothing');
});

test('P8.1: bytes that are acknowledged, were it slowly and without a word of the peer, are no silence', t => {
  const upkeep = new Upkeep(undefined, 0, facts());
  upkeep.onSent(0, 1_000_000);
  for (let nowMs = 3 * second; nowMs < 60 * second; nowMs += 3 * second) {
    upkeep.onSent(nowMs - 1, 1_000_000);
    t.is(upkeep.tick(nowMs, facts({ acknowledgedBytes: nowMs, sinceAckMs: 200 })), undefined);
  }
});

test('P8.1: a peer that is stopped while its kernel takes every byte is asked, and given up after 30 s', t => {
  const upkeep = new Upkeep(25_000, 0, facts());
  let pings = 0;
  let nowMs = 0;
  for (; nowMs <= 60 * second; nowMs += second) {
    upkeep.onSent(nowMs, nowMs);
    const action = upkeep.tick(nowMs, facts({ acknowledgedBytes: nowMs }));
    if (action === 'dead') break;
    if (action === 'ping') {
      upkeep.ping(nowMs);
      pings++;
    }
  }
  t.is(pings, 1);
  t.is(nowMs, 56 * second, 'asked after 25 s, 30 s more, and one look at what was left unread');
});

test('P8.1: a silence begins with the first write after the last acknowledgement, not with the acknowledgement', t => {
  const upkeep = new Upkeep(undefined, 0, facts());
  upkeep.onSent(0, 10);
  upkeep.onSent(2_900, 20);
  const known = (nowMs: number) => facts({ acknowledgedBytes: 11, sinceAckMs: nowMs - 40 });
  t.is(upkeep.tick(3_000, known(3_000)), undefined);
  t.is(upkeep.tick(5_900, known(5_900)), 'ping');
  upkeep.ping(5_900);
  t.is(upkeep.tick(8_699, known(8_699)), undefined);
  t.true(isDead(upkeep, 8_700, known(8_700)));
});

test('P8.1: a long round trip stretches what is allowed, so a slow path is never called dead', t => {
  const upkeep = new Upkeep(undefined, 0);
  const id = upkeep.ping(0);
  upkeep.onReceived(3_000);
  upkeep.onPong(id, 0, 3_000);
  upkeep.onSent(10_000, 10);
  t.is(upkeep.tick(15_999), undefined);
  t.is(upkeep.tick(21_999), 'ping');
  t.true(isDead(upkeep, 22_000));
  const byMachine = new Upkeep(undefined, 0, facts());
  byMachine.onSent(0, 10);
  const slow = facts({ roundTripMs: 3_000, sinceAckMs: 100 * second });
  t.is(byMachine.tick(5_999, slow), undefined);
  t.is(byMachine.tick(11_999, slow), 'ping');
  t.true(isDead(byMachine, 12_000, slow));
});

test('P8.1: a process that was stopped reads what has come meanwhile before it gives its link up', t => {
  const upkeep = new Upkeep(undefined, 0);
  upkeep.onSent(0, 10);
  t.is(upkeep.tick(60_000), undefined);
  t.true(upkeep.deadlineMs <= 60_000, 'asks again at once');
  upkeep.onReceived(60_001);
  t.is(upkeep.tick(60_001), undefined);
  t.is(upkeep.tick(65_800), 'ping');
});

test('P8.1: the server drops a link 10 s after the promise that PING made', t => {
  const upkeep = new Upkeep(undefined, 0);
  upkeep.onPromise(25_000, 1_000);
  t.is(upkeep.deadlineMs, 36_000);
  upkeep.onReceived(20_000);
  t.is(upkeep.tick(54_999), undefined);
  t.is(upkeep.tick(55_000), 'idle-timeout');
});

test('a PONG that answers no PING of ours tells nothing', t => {
  const upkeep = new Upkeep(undefined, 0);
  upkeep.ping(0);
  upkeep.onPong(99, 0, 10);
  t.is(upkeep.roundTripMs, undefined);
});

type Step = { readonly afterMs: number; readonly what: 'write' | 'acknowledge' | 'receive' | 'answer' };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    afterMs: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 7_000 })),
    what: fc.constantFrom('write', 'acknowledge', 'receive', 'answer'),
  }),
  { maxLength: 40 },
);

/** A path whose every acknowledgement is known at once, beside a judge who asks for them only when he must. */
class JudgedPath {
  readonly upkeep = new Upkeep(undefined, 0, facts({ acknowledgedBytes: 0 }));
  private nowMs = 0;
  private written = 0;
  private acknowledged = 0;
  private acknowledgedAtMs = 0;
  private pinged: number | undefined;
  /** Since when the path is silent, or undefined. */
  silentSinceMs: number | undefined;
  diedAtMs: number | undefined;

  private get due(): boolean {
    return this.acknowledged < this.written || this.pinged !== undefined;
  }

  private write(): void {
    this.written += 10;
    this.upkeep.onSent(this.nowMs, this.written);
    this.silentSinceMs ??= this.nowMs;
  }

  private progress(): void {
    this.silentSinceMs = this.due ? this.nowMs : undefined;
  }

  private receive(): void {
    this.upkeep.onReceived(this.nowMs);
    this.progress();
  }

  private acknowledge(): void {
    if (this.acknowledged === this.written) return;
    this.acknowledged = this.written;
    this.acknowledgedAtMs = this.nowMs;
    this.progress();
  }

  private answer(): void {
    if (this.pinged === undefined) return;
    this.upkeep.onReceived(this.nowMs);
    // A round trip that stretches nothing.
    if (this.nowMs - (this.pingedAtMs ?? 0) <= 1_000) this.upkeep.onPong(this.pinged, 0, this.nowMs);
    else return this.progress();
    this.pinged = undefined;
    this.progress();
  }

  private pingedAtMs: number | undefined;

  private tick(): void {
    const sinceAckMs = this.nowMs - this.acknowledgedAtMs;
    const outstanding = this.acknowledged < this.written;
    const known = { acknowledgedBytes: this.acknowledged, sinceAckMs, outstanding, roundTripMs: 0 };
    const action = this.upkeep.tick(this.nowMs, known);
    if (action === 'dead') this.diedAtMs = this.nowMs;
    if (action !== 'ping') return;
    this.pinged = this.upkeep.ping(this.nowMs);
    this.pingedAtMs = this.nowMs;
    this.write();
  }

  /** Lets time pass, judging whenever the judge wants to. */
  pass(untilMs: number): void {
    while (this.upkeep.deadlineMs <= untilMs && this.diedAtMs === undefined) {
      this.nowMs = Math.max(this.nowMs, this.upkeep.deadlineMs);
      this.tick();
    }
    this.nowMs = untilMs;
  }

  run({ afterMs, what }: Step): void {
    this.pass(this.nowMs + afterMs);
    if (this.diedAtMs !== undefined) return;
    if (what === 'write') this.write();
    else if (what === 'acknowledge') this.acknowledge();
    else if (what === 'receive') this.receive();
    else this.answer();
  }
}

test('P8.1: whatever happens, a path is dead after 5.8 s of silence: never before, and at most 50 ms later', t => {
  t.notThrows(() =>
    fc.assert(
      fc.property(steps, history => {
        const path = new JudgedPath();
        for (const step of history) {
          path.run(step);
          if (path.diedAtMs !== undefined) break;
        }
        if (path.diedAtMs === undefined) path.pass(1e9);
        if (path.silentSinceMs === undefined) return path.diedAtMs === undefined;
        const silentMs = (path.diedAtMs ?? Number.POSITIVE_INFINITY) - path.silentSinceMs;
        return silentMs >= 5_800 && silentMs <= 5_850;
      }),
      { numRuns: 3_000 },
    ),
  );
});
