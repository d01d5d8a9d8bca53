import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { systemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { presence, report } from '../wire/messages/report.ts';
import { frameType } from '../wire/spec.ts';
import { readServerConfig } from './config.ts';
import { startServer } from './server.ts';
import { Store } from './store.ts';
import { TestOperator, until } from './testing/test-operator.ts';

async function operator(t: { teardown(run: () => Promise<void>): void }) {
  const made = await TestOperator.start();
  t.teardown(() => made.end());
  return made;
}

/** Files that this process holds open below a directory, but for the database: its package closes that when it is collected. */
function openBelow(directory: string): string[] {
  return readdirSync('/proc/self/fd').flatMap(fd => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(directory) && !path.includes('sqlite') ? [path] : [];
    } catch {
      return [];
    }
  });
}

test('P6.2: of trust statements that come at the same moment the highest seq stays, in whatever order', async t => {
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
    [1, 2, 0],
  ]) {
    const made = await operator(t);
    const texts = [await made.issueTrust({}), await made.issueTrust({}), await made.issueTrust({})];
    await Promise.all(order.map(index => made.server.documents.accept(texts[index] ?? '')));
    t.is(made.server.documents.trustSeq, 4);
    t.is(made.server.documents.trust().text, texts[2] ?? '');
  }
});

test('P6.2: a mediator that loses the label a grant names loses the attachments the grant opened', async t => {
  const made = await operator(t);
  const mediator = await made.enrol({ role: 'mediator', name: 'gw-1', labels: ['lab'] });
  const terminal = await made.enrol({ role: 'terminal', name: 'laptop' });
  const grant = await made.grant(terminal.key.text);
  const end = terminal.attachTo(mediator.key.publicKey, grant);
  await until(() => end.attachment?.open, 'the attachment is open');
  const identity = { role: 'mediator', name: 'gw-1', labels: ['elsewhere'] } as const;
  await made.push(await made.authority.member(mediator.key.text, identity, Date.now()));
  await until(() => end.gone !== undefined, 'the attachment ends');
  t.is(end.gone, 'not-permitted');
});

test('a server that ends, or cannot begin, holds nothing open', async t => {
  const made = await operator(t);
  const mediator = await made.enrol({ role: 'mediator', name: 'gw-1', labels: ['lab'] });
  const terminal = await made.enrol({ role: 'terminal', name: 'laptop' });
  const end = terminal.attachTo(mediator.key.publicKey, await made.grant(terminal.key.text));
  await until(() => end.attachment?.open, 'the attachment is open');
  t.true(existsSync(join(made.stateDir, 'audit.jsonl')));
  await made.stopServer();
  await until(() => openBelow(made.stateDir).length === 0, `nothing is open but ${openBelow(made.stateDir)}`);

  const taken = createServer();
  await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve));
  t.teardown(() => void taken.close());
  const address = taken.address();
  const number = typeof address === 'object' && address !== null ? address.port : 0;
  const config = { ...readServerConfig(made.stateDir), listen: { host: '127.0.0.1', number } };
  await t.throwsAsync(startServer({ config, clock: systemClock, log: silentLog() }), {
    code: 'environment-unfit',
  });
  t.deepEqual(openBelow(made.stateDir), []);
});

test('a REPORT of another version in the store hides nothing else', async t => {
  const made = await operator(t);
  const mediator = await made.enrol({ role: 'mediator', name: 'gw-1', labels: ['lab'] });
  const terminal = await made.enrol({ role: 'terminal', name: 'laptop' });
  await made.grant(terminal.key.text);
  await made.stopServer();
  const store = await Store.open(made.stateDir);
  store.saveMediators(new Map([[mediator.key.text, { report: Buffer.from('a0', 'hex'), lastSeenMs: 5 }]]));
  store.close();
  await made.startServer();
  const back = await made.connect('terminal', terminal.key);
  await until(() => back.welcomed !== undefined, 'the terminal is welcome');
  back.link.driver.send(frameType.presence, presence.toBytes({ subscribe: true }));
  await until(() => back.presence.some(({ complete }) => complete === true), 'the answer is complete');
  const [entry] = back.presence.flatMap(({ entries = [] }) => entries);
  t.is(entry?.report, undefined);
  t.truthy(entry?.statement);
});

test('REPORTs that come as fast as they may do not hold up the server', async t => {
  const made = await operator(t);
  const mediator = await made.enrol({ role: 'mediator', name: 'gw-1', labels: ['lab'] });
  const other = await made.enrol({ role: 'terminal', name: 'laptop' });
  const body = report.toBytes({
    hostname: 'g',
    interfaces: [],
    routes: [],
    bootId: Buffer.alloc(16),
    uptimeS: 5,
    services: [],
    software: '',
  });
  for (let count = 0; count < 4000; count++) mediator.sendRaw(frameType.report, 0, 0, body);
  const before = performance.now();
  other.link.driver.send(frameType.presence, presence.toBytes({ subscribe: true }));
  await until(() => other.presence.some(({ complete }) => complete === true), 'the other member is answered');
  t.true(performance.now() - before < 2_000, `${Math.round(performance.now() - before)} ms`);
});
