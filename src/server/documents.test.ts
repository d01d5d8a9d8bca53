import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
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

/** How often the store was written to with that mediator among what was heard. */
function countWrites(t: ExecutionContext, mediator: string): () => number {
  const { saveMediators } = Store.prototype;
  let writes = 0;
  Store.prototype.saveMediators = function (heard) {
    if (heard.has(mediator)) writes++;
    saveMediators.call(this, heard);
  };
  t.teardown(() => {
    Store.prototype.saveMediators = saveMediators;
  });
  return () => writes;
}

test('REPORTs that come as fast as they may are written once in two seconds, and others are answered meanwhile', async t => {
  const made = await operator(t);
  const mediator = await made.enrol({ role: 'mediator', name: 'gw-1', labels: ['lab'] });
  const other = await made.enrol({ role: 'terminal', name: 'laptop' });
  const writes = countWrites(t, mediator.key.text);
  const before = performance.now();
  for (let count = 1; count <= 4000; count++) mediator.sendRaw(frameType.report, 0, 0, reportOf(count));
  other.link.driver.send(frameType.presence, presence.toBytes({ subscribe: true }));
  await until(() => other.presence.some(({ complete }) => complete === true), 'the other member is answered');
  await until(() => writes() > 0, 'what was heard is written');
  const seconds = (performance.now() - before) / 1000;
  t.true(writes() <= 1 + seconds / 2, `${writes()} writes in ${seconds} s`);
});

function reportOf(uptimeS: number): Uint8Array {
  return report.toBytes({
    hostname: 'g',
    interfaces: [],
    routes: [],
    bootId: Buffer.alloc(16),
    uptimeS,
    services: [],
    software: '',
  });
}
