import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { fakeClock } from '../base/clock.ts';
import { keyToText } from '../base/keys.ts';
import { until } from '../native/test-sockets.ts';
import { parseOwnerPolicy } from '../policy/owner-policy.ts';
import { dialIn, readToEnd } from './testing/devices.ts';
import { makeRig, ownerTable } from './testing/rig.ts';
import { attached, budgetsAreWhole, playing } from './testing/set-up.ts';
import { TestTerminal } from './testing/test-terminal.ts';

const dayMs = 86_400_000;

test('authorise() is called at one place in the mediator', t => {
  const folder = fileURLToPath(new URL('.', import.meta.url));
  const calls = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(path => path.endsWith('.js') && !path.endsWith('.test.js') && !path.startsWith('testing'))
    .flatMap(path => {
      const text = readFileSync(`${folder}/${path}`, 'utf8');
      const code = text.replaceAll(/\/\*.*?\*\/|\/\/[^\n]*/gs, '');
      return [...code.matchAll(/\bauthorise\(/g)].map(() => path);
    });
  t.deepEqual(calls, ['access-door.js'], 'A second door is one that a change of the rules forgets.');
});

test('P6.3: the moment a grant expires, LAN connections get RST and the label is ended', async t => {
  const clock = fakeClock();
  const rig = await makeRig({ clock });
  t.teardown(() => rig.close());
  const { key } = rig.newKey();
  const terminal = await TestTerminal.attach(rig, { key, grant: rig.grant(key, {}, 3_600_000) });
  const played = await playing(t);
  await terminal.connected(played.number);
  const end = readToEnd(await played.next());
  clock.advance(3_599_999);
  t.is(rig.agent.attachedCount, 1);
  clock.advance(1);
  t.is((await end).end, 'ECONNRESET');
  t.is(await terminal.gone.promise, 'grant-expired');
  t.is(rig.agent.attachedCount, 0);
});

test('a grant of 30 days lives 30 days', async t => {
  const clock = fakeClock();
  const rig = await makeRig({ clock });
  t.teardown(() => rig.close());
  const { key } = rig.newKey();
  const claims = { purpose: 'service' } as const;
  const terminal = await TestTerminal.attach(rig, {
    key,
    grant: rig.grant(key, claims, 30 * dayMs),
    purpose: 'service',
  });
  await terminal.open();
  clock.advance(30 * dayMs - 1);
  t.is((await terminal.open()).code, 'ok');
  clock.advance(1);
  t.is(await terminal.gone.promise, 'grant-expired');
});

test('P6.2: a revoked grant, and a revoked key, end what they allowed at once', async t => {
  const { rig, terminal } = await attached(t);
  const { key, grant } = rig.newKey();
  const second = await TestTerminal.attach(rig, { key, grant });
  const third = await TestTerminal.attach(rig);
  const played = await playing(t);
  await terminal.connected(played.number);
  const end = readToEnd(await played.next());
  rig.basis.trust = { ...rig.basis.trust, revokedGrants: new Set(['grant-1-rig']) };
  rig.agent.reauthorise();
  t.is(await terminal.gone.promise, 'grant-revoked');
  t.is((await end).end, 'ECONNRESET');
  rig.basis.trust = { ...rig.basis.trust, revokedThumbprints: new Set([grant.terminalThumbprint]) };
  rig.agent.reauthorise();
  t.is(await second.gone.promise, 'grant-revoked');
  t.is((await third.open()).code, 'ok');
  const { text } = grant;
  await t.throwsAsync(TestTerminal.attach(rig, { key, grant: { ...grant, text } }), {
    code: 'grant-revoked',
  });
});

test('P6.2: what is taken back while a connection is being made hears nothing, not even what came early', async t => {
  const { rig, terminal } = await attached(t);
  const allowing = rig.basis.owner;
  const denying = parseOwnerPolicy({ ...ownerTable, commands: ['open', 'close'] }, 'test');
  const isAsked = () => rig.lines.some(({ verb }) => verb === 'connect');
  Object.defineProperty(rig.basis, 'owner', { get: () => (isAsked() ? denying : allowing) });
  const played = await playing(t);
  const { stream, result } = terminal.connect({ port: (await terminal.open()).port ?? 0 }, played.number);
  stream.stream.send(Buffer.from('early'));
  t.deepEqual(await readToEnd(await played.next()), { end: 'ECONNRESET', text: '' });
  t.not((await result).code, 'ok');
  await stream.heard('reset not-permitted');
});

test('P6.2: what the owner takes back is closed, and nothing else', async t => {
  const { rig, terminal } = await attached(t);
  const [first, second] = [await playing(t), await playing(t, socket => socket.pipe(socket))];
  const closed = await terminal.connected(first.number);
  const kept = await terminal.connected(second.number);
  const listening = await terminal.open();
  await terminal.listen(listening.port ?? 0);
  const end = readToEnd(await first.next());
  rig.basis.owner = parseOwnerPolicy(
    {
      ...ownerTable,
      targets: { networks: ['loopback'], tcp: [second.number] },
      commands: ['open', 'connect', 'close', 'query'],
    },
    'test',
  );
  rig.agent.reauthorise();
  t.is((await end).end, 'ECONNRESET');
  await closed.stream.heard('reset not-permitted');
  await t.throwsAsync(dialIn(listening.number ?? 0), { code: 'ECONNREFUSED' });
  kept.stream.stream.send(Buffer.from('still'));
  await kept.stream.got(5);
  rig.basis.owner = parseOwnerPolicy({ ...ownerTable, purposes: ['service'] }, 'test');
  rig.agent.reauthorise();
  t.is(await terminal.gone.promise, 'not-permitted');
  await until('budgets are whole', () => budgetsAreWhole(rig));
});

test('P6.2: consent and purpose are asked about before anything else is answered', async t => {
  const rig = await makeRig({ owner: { ...ownerTable, consent: 'window' } });
  t.teardown(() => rig.close());
  const refused = await t.throwsAsync(TestTerminal.attach(rig), { code: 'consent-required' });
  t.regex(refused?.message ?? '', /consent/);
  rig.basis.owner = parseOwnerPolicy({ ...ownerTable, purposes: ['service'] }, 'test');
  await t.throwsAsync(TestTerminal.attach(rig), { code: 'not-permitted', message: /owner\.purposes/ });
  rig.basis.owner = parseOwnerPolicy(ownerTable, 'test');
  await t.throwsAsync(TestTerminal.attach(rig, { purpose: 'service' }), { code: 'not-permitted' });
  t.is(rig.agent.attachedCount, 0);
});

test('P6.9: every command leaves one line that says who, by which grant, and what', async t => {
  const rig = await makeRig();
  t.teardown(() => rig.close());
  const { key, grant } = rig.newKey();
  const attachmentId = randomBytes(16);
  const terminal = await TestTerminal.attach(rig, { key, grant, attachmentId });
  const silent = await playing(t);
  const { port } = await terminal.connected(silent.number);
  const listening = await terminal.open({ number: 20_000, choice: 'preferred' });
  await terminal.listen(listening.port ?? 0);
  await terminal.close(port, 'drain');
  await terminal.command({ verb: 'query', what: 'limits' });
  const who = {
    terminal: keyToText(key.publicKey),
    grant: grant.id,
    attachment: attachmentId.toString('hex'),
    decision: 'allowed',
  } as const;
  t.deepEqual(rig.lines, [
    { ...who, verb: 'attach' },
    { ...who, verb: 'open', protocol: 'tcp', address: '127.0.0.1', number: 0, choice: 'any' },
    { ...who, verb: 'connect', port, number: silent.number, stream: 1, address: '127.0.0.1' },
    { ...who, verb: 'open', protocol: 'tcp', address: '127.0.0.1', number: 20_000, choice: 'preferred' },
    {
      ...who,
      verb: 'listen',
      port: listening.port ?? 0,
      address: '127.0.0.1',
      number: listening.number ?? 0,
    },
    { ...who, verb: 'close', port, streams: 'drain' },
    { ...who, verb: 'query', what: 'limits' },
  ]);
});

test('P6.9: without an audit line nothing is done', async t => {
  const { rig, terminal } = await attached(t);
  const silent = await playing(t);
  const { port = 0, number = 0 } = await terminal.open();
  rig.auditFault.failing = true;
  t.is((await terminal.open()).code, 'audit-unavailable');
  const { stream, result } = terminal.connect({ port }, silent.number);
  t.is((await result).code, 'audit-unavailable');
  await stream.heard('reset audit-unavailable');
  t.is((await terminal.listen(port)).code, 'audit-unavailable');
  t.is((await terminal.close(port)).code, 'audit-unavailable');
  await t.throwsAsync(TestTerminal.attach(rig), { code: 'audit-unavailable' });
  await t.throwsAsync(dialIn(number), { code: 'ECONNREFUSED' });
  t.is(silent.sockets.length, 0);
  rig.auditFault.failing = false;
  t.is((await terminal.listen(port)).code, 'ok');
});

test('a refusal names the field of the grant or the option of the owner that would allow it', async t => {
  const { terminal } = await attached(t, {
    claims: { targets: { networks: ['127.0.0.1'], tcp: ['1024-65535'] }, commands: ['open', 'connect'] },
    owner: { ...ownerTable, targets: { networks: ['lan'], tcp: ['1-65535'] } },
  });
  const { port = 0 } = await terminal.open();
  const byGrant = await terminal.connect({ port }, 9999, { address: '127.0.0.2' }).result;
  t.deepEqual([byGrant.code, byGrant.by], ['not-permitted', 'grant']);
  t.regex(byGrant.message ?? '', /targets\.networks .*127\.0\.0\.2/);
  const byOwner = await terminal.connect({ port }, 9999).result;
  t.deepEqual([byOwner.code, byOwner.by], ['not-permitted', 'owner']);
  t.regex(byOwner.message ?? '', /owner\.targets\.networks/);
  const verb = await terminal.listen(port);
  t.regex(verb.message ?? '', /field commands .*"listen"/);
});

test("P6.8: the gateway's own addresses and loopback are denied unless both name them", async t => {
  const everything = { networks: ['0.0.0.0/0', '::/0', 'lan'], tcp: ['1-65535'], udp: ['1-65535'] };
  const { terminal } = await attached(t, {
    claims: { targets: everything },
    owner: { ...ownerTable, targets: everything },
  });
  const { port = 0 } = await terminal.open();
  for (const address of [
    '127.0.0.1',
    '0.0.0.0',
    '192.168.77.1',
    '169.254.1.1',
    '224.0.0.1',
    '255.255.255.255',
  ]) {
    const answer = await terminal.connect({ port }, 8080, { address }).result;
    t.is(answer.code, 'not-permitted', address);
  }
});

test("a grant's limits on ports, streams and new streams a second are kept", async t => {
  const clock = fakeClock();
  const { terminal } = await attached(t, {
    clock,
    claims: { limits: { ports: 4, streams: 2, newStreamsPerSecond: 3 } },
  });
  const silent = await playing(t);
  const first = await terminal.connected(silent.number);
  const second = await terminal.connected(silent.number);
  const { port = 0 } = await terminal.open();
  const third = await terminal.connect({ port }, silent.number).result;
  t.deepEqual([third.code, third.by], ['limit', 'grant']);
  t.regex(third.message ?? '', /limits\.streams/);
  await terminal.open();
  const fifth = await terminal.open();
  t.deepEqual([fifth.code, fifth.by], ['limit', 'grant']);
  t.regex(fifth.message ?? '', /limits\.ports/);
  first.stream.stream.abort('aborted');
  second.stream.stream.abort('aborted');
  await terminal.event('rst', 1);
  const again = async () => (await terminal.connect({ port }, silent.number).result).code;
  t.is(await again(), 'ok');
  const { port: last = 0 } = await terminal.open();
  const tooFast = await terminal.connect({ port: last }, silent.number).result;
  t.regex(tooFast.message ?? '', /newStreamsPerSecond/);
  clock.advance(334);
  t.is((await terminal.connect({ port: last }, silent.number).result).code, 'ok');
});

test('two attachments with one grant share its limits', async t => {
  const rig = await makeRig();
  t.teardown(() => rig.close());
  const { key } = rig.newKey();
  const grant = rig.grant(key, { limits: { ports: 3 } });
  const both = [
    await TestTerminal.attach(rig, { key, grant }),
    await TestTerminal.attach(rig, { key, grant }),
  ];
  const codes: string[] = [];
  for (let count = 0; count < 2; count++)
    for (const terminal of both) codes.push((await terminal.open()).code);
  t.deepEqual(codes, ['ok', 'ok', 'ok', 'limit']);
});

test("a grant's rate stops the device until its time has come", async t => {
  const clock = fakeClock();
  const { terminal } = await attached(t, { clock, claims: { limits: { bytesPerSecond: 100_000 } } });
  const played = await playing(t, socket => socket.end(Buffer.alloc(100_000)));
  const { stream } = await terminal.connected(played.number);
  await stream.until(() => stream.length > 0);
  for (let steps = 0; !stream.told.includes('fin'); steps++) {
    t.true(stream.length <= 25_000 + 16_384 + steps * 10_000);
    clock.advance(100);
    await terminal.command({ verb: 'query', what: 'limits' });
  }
  t.is(stream.length, 100_000);
});

test('P4.6: at most 16 terminals are attached', async t => {
  const rig = await makeRig();
  t.teardown(() => rig.close());
  for (let count = 0; count < 16; count++) {
    const terminal = await TestTerminal.attach(rig);
    t.is((await terminal.open()).code, 'ok');
  }
  await t.throwsAsync(TestTerminal.attach(rig), { code: 'limit' });
});
