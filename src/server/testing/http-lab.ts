import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import type { ExecutionContext } from 'ava';
import { type Clock, systemClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import type { AcceptLimits } from '../../transport/accept-limiter.ts';
import { listenTls } from '../../transport/tls.ts';
import { alpnProtocol } from '../../wire/spec.ts';
import type { HttpLimits } from '../api/http-deadlines.ts';
import { openHttpDoor } from '../api/http-door.ts';
import { TokenStore } from '../api/token-store.ts';
import { initServer } from '../init.ts';
import { readKeyAndCertificate } from '../tls-keys.ts';

/** A door for HTTP over real TLS, with a good token. */
export interface Door {
  /** Sends bytes, then closes this direction unless it `goes on`; gives all that comes back until the server closes. */
  ask(bytes: string, goesOn?: 'goes on'): Promise<string>;
  readonly port: number;
  readonly good: string;
  readonly tokens: TokenStore;
  /** Requests that reached a route behind the token. */
  readonly reached: string[];
}

/** Opens one, whose routes note what reaches them. */
export async function door(
  t: ExecutionContext,
  { limits, clock = systemClock, accept }: DoorWish = {},
): Promise<Door> {
  const stateDir = join(mkdtempSync(join(tmpdir(), 'entremise-http-')), 'state');
  const listen = { host: '127.0.0.1', number: 8443 };
  const authorityKey = Buffer.alloc(32, 1).toString('base64url');
  await initServer({ stateDir, authorityKey, listen, addresses: [] });
  const tokens = await TokenStore.open(stateDir);
  const reached: string[] = [];
  const http = await openHttpDoor({
    tokens,
    clock,
    log: silentLog(),
    ...(limits === undefined ? {} : { limits }),
    routes(api) {
      api.get('/healthz', { config: { open: true } }, async () => ({ status: 'ok' }));
      api.post('/v1/things', async request => {
        reached.push(JSON.stringify(request.body));
        return { made: true };
      });
      api.get('/v1/things/:name', async ({ params }) => {
        reached.push(JSON.stringify(params));
        return {};
      });
    },
  });
  const listener = await listenTls({
    host: '127.0.0.1',
    port: 0,
    ...readKeyAndCertificate(stateDir),
    alpn: alpnProtocol,
    onTransport: transport => transport.destroy(),
    onRefused: () => {},
    onHttp: http.serve,
    ...(accept === undefined ? {} : { limits: accept }),
    clock: systemClock,
  });
  t.teardown(async () => {
    await http.close();
    await listener.close();
    tokens.close();
    rmSync(join(stateDir, '..'), { recursive: true });
  });
  const { text: good } = tokens.create(
    { name: 'good', grantId: undefined, lifeMs: 3_600_000 },
    clock.wallTimeMs(),
  );
  const { port } = listener.address;
  return { good, tokens, reached, port, ask: (bytes, goesOn) => asked(port, bytes, goesOn) };
}

/** What may be otherwise. */
export interface DoorWish {
  readonly limits?: HttpLimits;
  /** Of the door; the listener's is the system's. */
  readonly clock?: Clock;
  readonly accept?: AcceptLimits;
}

async function asked(port: number, bytes: string, goesOn?: 'goes on'): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, ALPNProtocols: ['http/1.1'], rejectUnauthorized: false });
  const heard: Buffer[] = [];
  socket.on('data', piece => heard.push(piece)).on('error', () => {});
  await once(socket, 'secureConnect');
  const closed = once(socket, 'close');
  socket.write(Buffer.from(bytes, 'latin1'));
  if (goesOn === undefined) socket.end();
  await closed;
  return Buffer.concat(heard).toString('latin1');
}

/** The status of each answer. */
export const statuses = (answer: string) =>
  [...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status);
