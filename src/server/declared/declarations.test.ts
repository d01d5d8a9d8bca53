import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { fakeClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { DeclarationStore } from './declaration-store.ts';
import { Declarations, type DeclaredInFile } from './declarations.ts';
import { publicationText, readPublication } from './publication.ts';
import { parseServiceFile, serviceChanges } from './service-file.ts';
import { readStandingService, standingServiceText } from './standing-service.ts';

const web = {
  mediator: 'home-1',
  protocol: 'tcp',
  on: '203.0.113.5:8080',
  to: '192.168.1.10:80',
  from: ['198.51.100.0/24'],
};
const voip = { name: 'voip', at: 'lan:5060', to: '198.51.100.9:5060', labels: ['voip'] };

async function declared(t: ExecutionContext, file: DeclaredInFile = { publish: [], services: [] }) {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-declared-'));
  const clock = fakeClock();
  const store = await DeclarationStore.open(folder);
  const declarations = new Declarations({ store, file, clock, log: silentLog() });
  t.teardown(() => {
    declarations.close();
    store.close();
    rmSync(folder, { recursive: true });
  });
  let changes = 0;
  declarations.onChange(() => changes++);
  return { folder, clock, declarations, changes: () => changes };
}

test('what is read is written the same', t => {
  const bounds = { peers: 256, newPeersPerSecond: 32 };
  t.deepEqual(publicationText(readPublication(web)) as object, { ...web, ...bounds });
  const named = { ...web, to: 'nas.lan:80', peers: 5 };
  t.like(publicationText(readPublication(named)), named as object);
  t.deepEqual(standingServiceText(readStandingService(voip)) as object, {
    ...voip,
    protocol: 'udp',
    ...bounds,
  });
  const kinds = { ...voip, mediator: 'home-1', wanted: true, protocol: 'tcp', to: 'sip.example:5060' };
  t.like(standingServiceText(readStandingService(kinds)), kinds as object);
});

test('what is wrong is refused, saying what is wrong', t => {
  const wrong: [object, RegExp][] = [
    [{ ...web, from: [] }, /from must be a list of 1 to 64/],
    [{ ...web, protocol: 'sctp' }, /protocol must be one of: tcp, udp/],
    [{ ...web, protocol: 'udp', to: 'nas.lan:80' }, /must have an address in "to"/],
    [{ ...web, idleS: 300 }, /"idleS" for UDP alone/],
    [{ ...web, on: 'server.example:80' }, /on is wrong: .*no address/],
  ];
  for (const [value, message] of wrong)
    t.throws(() => readPublication(value), { code: 'bad-request', message });
  const nobody = { name: 'voip', at: 'lan:5060', to: '198.51.100.9:5060' };
  t.throws(() => readStandingService(nobody), { message: /at least one of: mediator, labels, wanted/ });
});

test('what another process declares is told within half a second, and a number is published once', async t => {
  const { folder, clock, declarations, changes } = await declared(t);
  const other = await DeclarationStore.open(folder);
  t.teardown(() => other.close());
  const cli = new Declarations({
    store: other,
    file: { publish: [], services: [] },
    clock,
    log: silentLog(),
  });
  cli.publish(readPublication(web), 'cli');
  clock.advance(500);
  t.is(changes(), 1);
  t.like(declarations.publications(), { 0: { declaredBy: 'cli', value: { mediator: 'home-1' } }, length: 1 });
  const again = { ...web, mediator: 'home-2' };
  t.throws(() => declarations.publish(readPublication(again), 'cli'), { code: 'wrong-state' });
  t.true(declarations.remove('publication', readPublication(web).id));
  t.false(declarations.remove('publication', readPublication(web).id));
  t.is(changes(), 2);
  cli.close();
});

test('what is declared for a while is gone then, and its number free', async t => {
  const { clock, declarations, changes } = await declared(t);
  const publication = readPublication(web);
  declarations.publish(publication, 'cli', clock.wallTimeMs() + 60_000);
  clock.advance(59_000);
  t.deepEqual([declarations.publications().length, changes()], [1, 1]);
  clock.advance(1_000);
  t.deepEqual([declarations.publications().length, changes()], [0, 2]);
  t.notThrows(() => declarations.publish(publication, 'cli'));
});

test('of two the one in the file counts, and is changed there alone', async t => {
  const [publication, service] = [readPublication(web), readStandingService(voip)];
  const { declarations } = await declared(t, { publish: [publication], services: [service] });
  t.throws(() => declarations.publish(publication, 'cli'), { code: 'wrong-state', message: /server\.toml/ });
  t.throws(() => declarations.applyService(service, 'cli'), { code: 'wrong-state' });
  t.throws(() => declarations.remove('service', 'voip'), { code: 'wrong-state' });
  declarations.setFile({ publish: [], services: [] });
  declarations.applyService(service, 'cli');
  declarations.setFile({ publish: [publication], services: [readStandingService({ ...voip, peers: 3 })] });
  t.like(declarations.services(), { 0: { declaredBy: 'server.toml', value: { peers: 3 } }, length: 1 });
  t.like(declarations.publications(), { 0: { declaredBy: 'server.toml' }, length: 1 });
});

test('a file of services says what it would change, and with --prune what is to go', t => {
  const text = (extra: string) =>
    `[[service]]\nname = "voip"\nat = "lan:5060"\nto = "198.51.100.9:5060"\nlabels = ["voip"]\n${extra}`;
  const now = [{ value: readStandingService(voip), declaredBy: 'cli', expiresAtMs: undefined }];
  t.deepEqual(serviceChanges(parseServiceFile(text(''), 'f'), now, true), []);
  t.like(serviceChanges(parseServiceFile(text('peers = 9'), 'f'), now, true), {
    0: { change: 'changed', before: { peers: 256 }, after: { peers: 9 } },
    length: 1,
  });
  t.like(serviceChanges([], now, true), { 0: { name: 'voip', change: 'removed' }, length: 1 });
  t.deepEqual(serviceChanges([], now, false), []);
  t.throws(() => parseServiceFile(text('') + text(''), 'f'), {
    code: 'bad-config',
    message: /two services voip/,
  });
  t.throws(() => parseServiceFile('[[service]]\n', 'f'), {
    code: 'bad-config',
    message: /service\[0\] has no name: give it one/,
  });
});
