import test from 'ava';
import { silentLog } from '../base/log.ts';
import { noWayOut } from './environment/environment.ts';
import { LinkWay } from './link-way.ts';

function made() {
  const now = { wan: 'wan 100.64.0.1' };
  const abandoned: string[] = [];
  const asked: string[] = [];
  const way = new LinkWay(address => {
    asked.push(address);
    return now.wan;
  }, silentLog());
  const link = {
    driver: { remote: '[2001:db8::9]:8443' },
    abandon: (why: string) => void abandoned.push(why),
  };
  return { now, abandoned, asked, way, link };
}

test('P8.1: a link is given up when packets to its server leave by another way, once', t => {
  const { now, abandoned, asked, way, link } = made();
  way.onOnline(link);
  way.look();
  t.deepEqual(abandoned, []);
  now.wan = 'wwan 10.0.0.1';
  way.look();
  way.look();
  t.deepEqual(abandoned, ['the way out is another now']);
  t.deepEqual([...new Set(asked)], ['2001:db8::9']);
});

test('P8.1: a way out that is gone may come back: the link waits for it', t => {
  const { now, abandoned, way, link } = made();
  way.onOnline(link);
  now.wan = noWayOut;
  way.look();
  now.wan = 'wan 100.64.0.1';
  way.look();
  t.deepEqual(abandoned, []);
  way.onOffline();
  now.wan = 'wwan 10.0.0.1';
  way.look();
  t.deepEqual(abandoned, [], 'there is no link to give up');
});

test('P8.1: a link that came up before its way out was known is not given up for it, and for another one it is', t => {
  const { now, abandoned, way, link } = made();
  now.wan = noWayOut;
  way.onOnline(link);
  now.wan = 'wan 100.64.0.1';
  way.look();
  t.deepEqual(abandoned, []);
  now.wan = 'wwan 10.0.0.1';
  way.look();
  t.deepEqual(abandoned, ['the way out is another now']);
});
