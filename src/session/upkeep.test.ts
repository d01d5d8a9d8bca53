import test from 'ava';
import { Upkeep } from './upkeep.ts';

test('P8.1: an idle member pings after its keepalive, and an answered PING leaves nothing due', t => {
  const upkeep = new Upkeep(25_000, 0);
  t.is(upkeep.tick(24_999), undefined);
  t.is(upkeep.tick(25_000), 'ping');
  const id = upkeep.ping(25_000);
  upkeep.onSent(25_000);
  upkeep.onReceived(25_040);
  upkeep.onPong(id, 25_040);
  t.is(upkeep.roundTripMs, 40);
  t.is(upkeep.tick(50_000), 'ping');
  t.is(upkeep.tick(49_999), undefined);
});

test('P8.1: a PING that the transport does not take yet is not asked for again at once', t => {
  const upkeep = new Upkeep(25_000, 0);
  t.is(upkeep.tick(25_000), 'ping');
  upkeep.ping(25_000);
  upkeep.onReceived(25_001);
  t.is(upkeep.tick(25_001), undefined);
  t.is(upkeep.deadlineMs, 50_000);
});

test('P8.1: with bytes waiting, 3 s of silence ask for a PING and 6 s are the end', t => {
  const upkeep = new Upkeep(undefined, 0);
  upkeep.onReceived(500);
  upkeep.onSent(1_000);
  t.is(upkeep.tick(3_999), undefined);
  t.is(upkeep.tick(4_000), 'ping');
  upkeep.ping(4_000);
  upkeep.onSent(4_000);
  t.is(upkeep.tick(6_999), undefined);
  t.is(upkeep.tick(7_000), 'dead');
});

test('P8.1: a byte received in between starts the judgement anew', t => {
  const upkeep = new Upkeep(undefined, 0);
  upkeep.onSent(0);
  upkeep.onReceived(5_000);
  t.is(upkeep.tick(60_000), undefined);
  upkeep.onSent(60_000);
  t.is(upkeep.tick(65_999), 'ping');
  t.is(upkeep.tick(66_000), 'dead');
});

test('P8.1: a long round trip stretches what is allowed, so a slow path is never called dead', t => {
  const upkeep = new Upkeep(undefined, 0);
  upkeep.onPong(upkeep.ping(0), 3_000);
  upkeep.onSent(10_000);
  t.is(upkeep.tick(15_999), undefined);
  t.is(upkeep.tick(21_999), 'ping');
  t.is(upkeep.tick(22_000), 'dead');
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
  upkeep.onPong(99, 10);
  t.is(upkeep.roundTripMs, undefined);
});
