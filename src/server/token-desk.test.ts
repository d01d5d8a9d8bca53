import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { generateSigningKey, saveSigningKey } from '../base/keys.ts';
import { silentLog } from '../base/log.ts';
import { ensurePrivateDirectory } from '../base/state-file.ts';
import type { GrantClaims } from '../policy/grant.ts';
import type { Report } from '../wire/messages/report.ts';
import { TokenStore } from './api/token-store.ts';
import type { Declared } from './declared/declarations.ts';
import { readPublication } from './declared/publication.ts';
import { readStandingService } from './declared/standing-service.ts';
import { byToken } from './declared/token-bounds.ts';
import { DeniedGrants } from './denied-grants.ts';
import { featureDirectory } from './features/feature-terminal.ts';
import { Reports } from './reports.ts';
import { DocumentsLab } from './testing/documents-lab.ts';
import { boundsOfTokens } from './token-desk.ts';

const reported: Report = {
  software: 'entremise 0.1.0',
  hostname: 'gw',
  bootId: new Uint8Array(16),
  uptimeS: 1,
  interfaces: [
    { name: 'br-lan', up: true, lan: true, addresses: [{ address: '192.168.1.1', prefixLength: 24 }] },
    { name: 'wan', up: true, wan: true, addresses: [{ address: '100.64.0.2', prefixLength: 24 }] },
  ],
  routes: [],
  services: [],
};

/** Grants the one device's page, and UDP 5060 of the gateway. */
const narrow: Partial<GrantClaims> = {
  purpose: 'service',
  targets: { networks: ['192.168.1.10'], tcp: ['80'], udp: ['53'] },
  ports: { addresses: ['lan'], tcp: ['8000'], udp: ['5060'] },
};

/** A token of an API whose terminal has a grant, at a server that knows two mediators. */
async function desk(t: ExecutionContext, claims: Partial<GrantClaims> = narrow) {
  const lab = await DocumentsLab.make(t);
  const { stateDir, clock, documents, store } = lab;
  const [api, mediator, elsewhere] = [generateSigningKey(), generateSigningKey(), generateSigningKey()];
  const directory = featureDirectory(stateDir, 'api');
  ensurePrivateDirectory(directory);
  saveSigningKey(join(directory, 'member.key'), api);
  await lab.push(await lab.member(api, { name: 'api' }));
  await lab.push(await lab.member(mediator, { role: 'mediator', name: 'gw-1', labels: ['lab', 'voip'] }));
  await lab.push(await lab.member(elsewhere, { role: 'mediator', name: 'gw-2', labels: ['voip'] }));
  await lab.push(await lab.grant(api, { jti: 'grant-0001', ...claims }));
  const options = { store, clock, log: silentLog() };
  const [reports, tokens] = [new Reports(options), await TokenStore.open(stateDir)];
  t.teardown(() => tokens.close());
  reports.keep(mediator.text, reported);
  const denied = new DeniedGrants({ ...options, audit: () => {}, onChange: () => {} });
  const bounds = boundsOfTokens({ documents, denied, reports, tokens, stateDir, clock });
  const make = (grantId: string | undefined, lifeMs = 3_600_000) =>
    tokens.create({ name: 'isp', grantId, lifeMs }, clock.wallTimeMs()).token.id;
  return { lab, api, bounds, tokens, denied, make };
}

type Desk = Awaited<ReturnType<typeof desk>>;

function declared<T>(value: T, token: string): Declared<T> {
  return { value, declaredBy: byToken(token), expiresAtMs: undefined };
}

const web = {
  mediator: 'gw-1',
  protocol: 'tcp',
  on: '203.0.113.5:8080',
  to: '192.168.1.10:80',
  from: ['::/0'],
};

function published({ bounds }: Desk, token: string, wish: object = {}) {
  return bounds.ofPublication(declared(readPublication({ ...web, ...wish }), token));
}

const voip = { name: 'voip', at: 'lan:5060', to: '198.51.100.9:5060', labels: ['voip'] };

function served({ bounds }: Desk, token: string, mediator: string, wish: object = {}) {
  return bounds.ofService(declared(readStandingService({ ...voip, ...wish }), token), mediator, reported);
}

test('what a token publishes is what its grant lets it reach, whatever the feature may', async t => {
  const made = await desk(t);
  const token = made.make('grant-0001');
  t.is(published(made, token), undefined);
  t.is(published(made, token, { protocol: 'udp', to: '192.168.1.10:53' }), undefined);
  const beyond: [object, 'not-permitted' | 'no-such-mediator', RegExp][] = [
    [{ to: '192.168.1.10:443' }, 'not-permitted', /targets\.tcp would have to contain 443/],
    [{ to: '192.168.1.11:80' }, 'not-permitted', /targets\.networks would have to name 192\.168\.1\.11/],
    [{ protocol: 'udp', to: '192.168.1.10:80' }, 'not-permitted', /targets\.udp/],
    [{ mediator: 'gw-2' }, 'not-permitted', /name the mediator gw-2/],
    [{ mediator: 'gw-3' }, 'no-such-mediator', /gw-3/],
    [{ to: 'nas.lan:80' }, 'not-permitted', /"nas\.lan" leads cannot be held against its grant/],
  ];
  for (const [wish, code, message] of beyond) {
    const refusal = published(made, token, wish);
    t.is(refusal?.code, code);
    t.regex(refusal?.message ?? '', message);
  }
});

test('`lan` in a token’s grant is the LAN that the mediator reports, and no network beyond it', async t => {
  const made = await desk(t, { ...narrow, targets: { networks: ['lan'], tcp: ['1-65535'], udp: [] } });
  const token = made.make('grant-0001');
  t.is(published(made, token), undefined);
  t.is(published(made, token, { to: '10.0.0.1:80' })?.code, 'not-permitted');
  t.is(published(made, token, { to: '192.168.1.1:80' })?.code, 'not-permitted', 'the gateway itself');
});

test('a token’s service stands where its grant names the mediator and the port', async t => {
  const made = await desk(t);
  const token = made.make('grant-0001');
  t.is(served(made, token, 'gw-1'), undefined);
  t.is(served(made, token, 'gw-1', { protocol: 'tcp', at: '192.168.1.1:8000' }), undefined);
  t.is(served(made, token, 'gw-2')?.code, 'not-permitted');
  t.is(served(made, token, 'gw-1', { at: 'lan:5061' })?.code, 'not-permitted');
  t.is(served(made, token, 'gw-1', { at: '100.64.0.2:5060' })?.code, 'not-permitted');
  const anywhere = (wish: object) =>
    made.bounds.ofServiceAnywhere(declared(readStandingService({ ...voip, ...wish }), token));
  t.is(anywhere({}), undefined, 'one of those with the label');
  t.is(anywhere({ labels: undefined, mediator: 'gw-2' })?.code, 'not-permitted');
  t.is(anywhere({ at: 'lan:5061' })?.code, 'not-permitted');
  t.is(anywhere({ labels: ['of-mediators-to-come'] }), undefined);
});

test('nothing is declared by a token without a grant, with another terminal’s, or with one that lets it do nothing', async t => {
  const made = await desk(t, { ...narrow, commands: ['query'] });
  const other = generateSigningKey();
  await made.lab.push(await made.lab.member(other, { name: 'anna' }));
  await made.lab.push(await made.lab.grant(other, { ...narrow, jti: 'grant-0002' }));
  t.is(published(made, made.make(undefined))?.code, 'grant-missing');
  t.is(published(made, made.make('grant-0002'))?.code, 'grant-missing');
  t.is(published(made, made.make('grant-0001'))?.code, 'not-permitted');
  t.is(served(made, made.make('grant-0001'), 'gw-1')?.code, 'not-permitted');
});

test('it ends with the token, with the grant, and with the server’s own refusal; what no token has declared goes on', async t => {
  const made = await desk(t);
  const { lab, bounds, tokens, denied } = made;
  const [revoked, brief, lasting] = [
    made.make('grant-0001'),
    made.make('grant-0001', 1_000),
    made.make('grant-0001'),
  ];
  const bases = new Set([bounds.basisOf(byToken(lasting))]);
  tokens.revoke(revoked, lab.clock.wallTimeMs());
  lab.clock.advance(1_000);
  for (const token of [revoked, brief]) {
    t.regex(published(made, token)?.message ?? '', /was revoked or has expired/);
    t.false(bounds.isHeld(byToken(token)));
  }
  t.is(published(made, lasting), undefined);
  denied.add('grant-0001', lab.clock.wallTimeMs() + 3_600_000, {});
  t.is(published(made, lasting)?.code, 'grant-revoked');
  bases.add(bounds.basisOf(byToken(lasting)));
  await lab.push(await lab.trust({ revokedGrants: ['grant-0001'] }));
  t.is(published(made, lasting)?.code, 'grant-missing');
  bases.add(bounds.basisOf(byToken(lasting)));
  t.is(bases.size, 3, 'each change is one for who keeps answers');
  const cli = { value: readPublication(web), declaredBy: 'cli', expiresAtMs: undefined };
  t.deepEqual([bounds.ofPublication(cli), bounds.isHeld('cli')], [undefined, true]);
});
