import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { fakeClock } from '../base/clock.ts';
import { generateSigningKey } from '../base/keys.ts';
import { silentLog } from '../base/log.ts';
import { Documents } from './documents.ts';
import { initServer } from './init.ts';
import { rotateServerKey } from './rotate-key.ts';
import { Store } from './store.ts';
import { TestAuthority } from './testing/test-authority.ts';
import { ensureSpareKey, pinText, readKeyAndCertificate, serverPins } from './tls-keys.ts';

const address = { host: 'server.example', number: 8443 };
const dayMs = 24 * 3_600_000;

/** A server's state directory, and what comes to it while a server would run on it. */
async function made(t: ExecutionContext) {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-rotate-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const stateDir = join(folder, 'server');
  const authority = new TestAuthority();
  const clock = fakeClock(Date.now());
  const { pin, sparePin } = await initServer({
    stateDir,
    authorityKey: authority.key.text,
    listen: address,
    addresses: [address],
  });
  /** The server takes a document, as of now by the clock. */
  const take = async (document: string, then?: (store: Store) => void) => {
    const store = await Store.open(stateDir);
    const authorityKey = authority.key.text;
    const quiet = { onChange: () => {}, audit: () => {}, log: silentLog() };
    const documents = await Documents.load({ ...quiet, store, clock, authorityKey });
    t.is(await documents.accept(document), undefined);
    then?.(store);
    store.close();
  };
  const trust = async (...serverPins: string[]) =>
    take(await authority.trust({ serverPins }, clock.wallTimeMs()));
  const gateway = generateSigningKey().text;
  const identity = { role: 'mediator', name: 'home-1', labels: [] } as const;
  const mediatorSeen = async () =>
    take(await authority.member(gateway, identity, clock.wallTimeMs()), store =>
      store.saveAllSeen([gateway], clock.wallTimeMs()),
    );
  return { stateDir, clock, pin, sparePin, trust, mediatorSeen };
}

test('the spare key takes the place of the one in use, of which nothing is left, and there is a new spare', async t => {
  const { stateDir, pin, sparePin, trust, mediatorSeen } = await made(t);
  await trust(pin, sparePin);
  await mediatorSeen();
  const old = readFileSync(join(stateDir, 'server.key'), 'utf8');
  const { before, pins } = await rotateServerKey(stateDir, false);
  t.is(before, pin);
  t.is(pins.inUse, sparePin);
  t.is(pinText(readKeyAndCertificate(stateDir)), sparePin);
  t.truthy(pins.spare);
  t.false([pin, sparePin].includes(pins.spare ?? ''));
  for (const name of ['server.key', 'next.key']) t.not(readFileSync(join(stateDir, name), 'utf8'), old);
  t.regex(readFileSync(join(stateDir, 'server.crt'), 'utf8'), /BEGIN CERTIFICATE/);
});

test('a rotation that members were not told of is refused with what to do, and changes nothing', async t => {
  const { stateDir, pin, sparePin, trust } = await made(t);
  await t.throwsAsync(rotateServerKey(stateDir, false), { code: 'not-enrolled' });
  await trust(pin);
  const first = {
    code: 'bad-usage',
    message: new RegExp(`not been told.*trust --pin ${pin} --pin ${sparePin}`),
  };
  await t.throwsAsync(rotateServerKey(stateDir, true), first);
  rmSync(join(stateDir, 'next.key'));
  await t.throwsAsync(rotateServerKey(stateDir, true), {
    code: 'bad-usage',
    message: /no spare key.*next-key/,
  });
  t.is(pinText(readKeyAndCertificate(stateDir)), pin);
});

test('mediators that were away since the spare key was named are told by name, and left behind only on demand', async t => {
  const { stateDir, clock, pin, sparePin, trust, mediatorSeen } = await made(t);
  await trust(pin);
  await mediatorSeen();
  clock.advance(dayMs);
  await trust(pin, sparePin);
  const refusal = { code: 'bad-usage', message: /1 mediators.*home-1.*--leave-behind/ };
  await t.throwsAsync(rotateServerKey(stateDir, false), refusal);
  // Other statements do not make it more recent.
  await trust(pin, sparePin);
  clock.advance(dayMs);
  await mediatorSeen();
  await trust(pin, sparePin);
  t.is((await rotateServerKey(stateDir, false)).pins.inUse, sparePin);
  const { spare } = serverPins(stateDir);
  clock.advance(dayMs);
  await trust(sparePin, spare ?? '');
  await t.throwsAsync(rotateServerKey(stateDir, false), refusal, 'again it has not heard');
  t.is((await rotateServerKey(stateDir, true)).pins.inUse, spare);
});

test('a rotation that was cut off is told as such, and finished by the same verb', async t => {
  const { stateDir, pin, sparePin, trust } = await made(t);
  await trust(pin, sparePin);
  copyFileSync(join(stateDir, 'next.crt'), join(stateDir, 'server.crt'));
  const refusal = { code: 'state-unreadable', message: /cut off: run "entremise server rotate-key" again/ };
  t.throws(() => readKeyAndCertificate(stateDir), refusal);
  t.is((await rotateServerKey(stateDir, false)).pins.inUse, sparePin);
  t.is(pinText(readKeyAndCertificate(stateDir)), sparePin);
});

test('a lost key in use is replaced by the spare; a spare that is there stays', async t => {
  const { stateDir, pin, sparePin, trust } = await made(t);
  t.is((await ensureSpareKey(stateDir)).spare, sparePin);
  await trust(pin, sparePin);
  rmSync(join(stateDir, 'server.key'));
  const { before, pins } = await rotateServerKey(stateDir, false);
  t.is(before, undefined);
  t.is(pins.inUse, sparePin);
  t.true(existsSync(join(stateDir, 'next.crt')));
});
