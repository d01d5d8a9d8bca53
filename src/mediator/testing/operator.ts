import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { deferred } from '../../base/deferred.ts';
import { generateSigningKey, keyThumbprint, type SigningKey } from '../../base/keys.ts';
import { MemberDirectory } from '../../member/directory.ts';
import type { GrantClaims } from '../../policy/grant.ts';
import { signJws } from '../../policy/jws.ts';
import { createKeyAndCertificate } from '../../transport/certificate.ts';
import { pinOf } from '../../transport/pin.ts';
import { listenTls } from '../../transport/tls.ts';
import { alpnProtocol } from '../../wire/spec.ts';
import { ServerDouble } from './server-double.ts';

/** An operator with a server double behind real TLS, and a mediator that is enrolled there but does not run yet. */
export interface Operator {
  /** State directory of the mediator. */
  readonly stateDir: string;
  readonly mediatorKey: SigningKey;
  /** The newest link to the server double, once its member is welcome. */
  online(): Promise<ServerDouble>;
  /** A trust statement with these changes, signed. */
  trust(seq: number, changes?: object): Promise<string>;
  /** A grant, signed. */
  grant(key: SigningKey, claims: Omit<GrantClaims, 'iat' | 'exp' | 'cnf' | 'mediators'>): Promise<string>;
}

/** Makes one; gone after the test. */
export async function makeOperator(t: ExecutionContext): Promise<Operator> {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-mediator-'));
  const authority = generateSigningKey();
  const pair = await createKeyAndCertificate([]);
  const serverPin = pinOf(pair.cert).toString('base64url');
  let link = deferred<ServerDouble>();
  const listener = await listenTls({
    host: '127.0.0.1',
    port: 0,
    ...pair,
    alpn: alpnProtocol,
    onTransport(transport, authenticated) {
      authenticated();
      const server = new ServerDouble(transport);
      void server.online.then(() => {
        link.resolve(server);
      });
      t.teardown(() => transport.destroy());
    },
  });
  t.teardown(() => {
    listener.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const address = `127.0.0.1:${listener.address.port}`;
  const nowS = () => Math.floor(Date.now() / 1000);
  const trust = (seq: number, changes: object = {}) =>
    signJws(
      'entremise-trust+jwt',
      {
        operator: 'Test Operator',
        seq,
        iat: nowS(),
        authorityKeys: [authority.text],
        serverPins: [serverPin],
        serverAddresses: [address],
        ...changes,
      },
      authority,
    );
  const stateDir = join(folder, 'state');
  const directory = new MemberDirectory(stateDir);
  const mediatorKey = directory.key();
  const identity = { key: mediatorKey.text, role: 'mediator', name: 'gateway', labels: [], seq: 1 };
  directory.saveMembership({
    role: 'mediator',
    name: 'gateway',
    servers: [address],
    serverPins: [serverPin],
    statement: await signJws('entremise-member+jwt', { ...identity, iat: nowS() }, authority),
    trust: await trust(1),
  });
  return {
    stateDir,
    mediatorKey,
    trust,
    async online() {
      const server = await link.promise;
      link = deferred();
      return server;
    },
    grant: (key, claims) =>
      signJws(
        'entremise-grant+jwt',
        {
          ...claims,
          iat: nowS(),
          exp: nowS() + 3600,
          cnf: { jkt: keyThumbprint(key.publicKey) },
          mediators: [{ name: 'gateway' }],
        },
        authority,
      ),
  };
}
