import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { EntremiseError } from '../../base/errors.ts';
import { door, statuses } from '../testing/http-lab.ts';
import { problemOf } from './problem.ts';

/** HTTP from strangers, over real TLS, byte for byte: nothing gets in, nothing is taken for two requests, the door lives on. */

const execFileAsync = promisify(execFile);

/** A request with a good token and a body that would make something. */
const post = (token: string, more: string, body = '{"a":1}') =>
  `POST /v1/things HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n${more}\r\n${body}`;

const smuggled = 'GET /v1/things/smuggled HTTP/1.1\r\nHost: x\r\n\r\n';

const ambiguous: Readonly<Record<string, (token: string) => string>> = {
  'Content-Length and Transfer-Encoding': token =>
    post(token, 'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${smuggled}`),
  'two lengths': token => post(token, 'Content-Length: 7\r\nContent-Length: 8\r\n'),
  'a length with a sign': token => post(token, 'Content-Length: +7\r\n'),
  'an encoding that is not chunked': token =>
    post(token, 'Transfer-Encoding: xchunked\r\n', `0\r\n\r\n${smuggled}`),
  'a chunk of odd length': token =>
    post(token, 'Transfer-Encoding: chunked\r\n', '0x7\r\n{"a":1}\r\n0\r\n\r\n'),
  'Host twice': token => post(token, 'Host: y\r\nContent-Length: 7\r\n'),
  'a bare CR in a header': token => post(token, 'X-A: b\rX-B: c\r\nContent-Length: 7\r\n'),
  'a line folded': token => post(token, 'X-A: b\r\n folded\r\nContent-Length: 7\r\n'),
  'a blank before the colon': token => post(token, 'Content-Length : 7\r\n'),
  'NUL in a header': token => post(token, 'X-A: b\0c\r\nContent-Length: 7\r\n'),
  'a header of 17,000 bytes': token => post(token, `X-A: ${'a'.repeat(17_000)}\r\nContent-Length: 7\r\n`),
  'another version': token => post(token, 'Content-Length: 7\r\n').replace('HTTP/1.1', 'HTTP/3.7'),
  'no HTTP': () => `${'\x16\x03\x01'.repeat(300)}\r\n\r\n`,
};

test('what could be read in two ways is refused, closes the connection, and makes nothing', async t => {
  const { ask, good, reached } = await door(t);
  for (const [name, request] of Object.entries(ambiguous)) {
    const answer = await ask(request(good) + smuggled);
    t.regex(statuses(answer).join(), /^4\d\d$/, `${name}: ${answer.slice(0, 60)}`);
  }
  t.deepEqual(reached, []);
  t.deepEqual(statuses(await ask(post(good, 'Content-Length: 7\r\n'))), ['200']);
  t.deepEqual(reached, ['{"a":1}']);
});

/** The status that the real curl reads, or how it ended without one. */
async function curl(port: number, ...words: string[]): Promise<string> {
  const url = `https://127.0.0.1:${port}/v1/things`;
  const curled = execFileAsync('curl', ['-sk', '-o', '/dev/null', '-w', '%{http_code}', ...words, url]);
  return curled.then(
    ({ stdout }) => stdout,
    ({ code }) => `curl ended with ${code}`,
  );
}

test('curl reads why it was refused although most of what it says is still on its way', async t => {
  const { good, port, reached } = await door(t);
  const folder = mkdtempSync(join(tmpdir(), 'entremise-curl-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const [header, body] = [join(folder, 'header'), join(folder, 'body')];
  writeFileSync(header, `X-A: ${'a'.repeat(300_000)}\n`);
  writeFileSync(body, 'a'.repeat(8_000_000));
  const upload = ['--data-binary', `@${body}`, '-H', 'Expect:', '-H', 'Content-Type: application/json'];
  const refused = {
    '401': [...upload, '-H', 'Authorization: Bearer wrong'],
    '413': [...upload, '-H', `Authorization: Bearer ${good}`],
    '431': ['-H', `@${header}`],
  };
  for (const [status, words] of Object.entries(refused))
    for (let time = 0; time < 20; time++) t.is(await curl(port, ...words), status);
  t.deepEqual(reached, []);
});

test('2,001 headers do no harm, and those that are not read open nothing', async t => {
  const { ask, good, reached } = await door(t);
  const many = 'a:b\r\n'.repeat(2_001);
  const answer = await ask(
    `GET /v1/things/x HTTP/1.1\r\nHost: x\r\n${many}Authorization: Bearer ${good}\r\n\r\n`,
  );
  t.regex(statuses(answer).join(), /^4\d\d$/);
  t.deepEqual(reached, []);
});

const paths = [
  '/v1/..;/v1/things/x',
  '/%2e%2e/v1/things/x',
  '/healthz/../v1/things/x',
  '/healthz/..%2fv1/things/x',
  '/%252e%252e/v1/things/x',
  '//v1/things/x',
  '/v1//things/x',
  '/V1/things/x',
  '/v1/things/x/',
  '/v1/things/%2e%2e%2fhealthz',
  '/healthz%00/v1/things/x',
  'http://elsewhere/v1/things/x',
  '*',
];

test('no spelling of a path gets past the token, and none fails inside', async t => {
  const { ask, reached } = await door(t);
  for (const path of paths) {
    const answer = await ask(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    t.regex(statuses(answer).join(), /^4\d\d$/, `${path}: ${answer.slice(0, 60)}`);
  }
  t.deepEqual(reached, []);
});

test('a token that is missing, malformed, of another scheme, expired or revoked is 401; each request needs its own', async t => {
  const { ask, good, tokens, reached } = await door(t);
  const old = tokens.create({ name: 'old', grantId: undefined, lifeMs: -1 }, Date.now());
  const revoked = tokens.create({ name: 'revoked', grantId: undefined, lifeMs: 3_600_000 }, Date.now());
  tokens.revoke(revoked.token.id, Date.now());
  const other = tokens.create({ name: 'other', grantId: undefined, lifeMs: 3_600_000 }, Date.now()).text;
  const wrong = [
    '',
    'Authorization: Bearer\r\n',
    `Authorization: Basic ${good}\r\n`,
    `Authorization: Bearer ${old.text}\r\n`,
    `Authorization: Bearer ${revoked.text}\r\n`,
    `Authorization: Bearer ${good.slice(0, 23)}${other.slice(23)}\r\n`,
    `Authorization: Bearer ${'a'.repeat(8_000)}\r\n`,
    `Authorization: Bearer ${good} ${good}\r\n`,
    `Cookie: token=${good}\r\n`,
  ];
  for (const header of wrong) {
    const answer = await ask(
      `GET /v1/things/x?token=${good} HTTP/1.1\r\nHost: x\r\n${header}Connection: close\r\n\r\n`,
    );
    t.deepEqual(statuses(answer), ['401'], header.slice(0, 60));
    t.regex(answer, /www-authenticate: Bearer/i);
  }
  t.deepEqual(reached, []);
  const get = (header: string) => `GET /v1/things/x HTTP/1.1\r\nHost: x\r\n${header}\r\n`;
  const both = get(`Authorization: Bearer ${good}\r\n`) + get('Connection: close\r\n');
  t.deepEqual(statuses(await ask(both, 'goes on')), ['200', '401']);
});

test('a page of another origin is given nothing, and there are no WebSockets', async t => {
  const { ask, good } = await door(t);
  const origin = 'Host: evil.example\r\nOrigin: https://evil.example\r\n';
  const preflight = await ask(
    `OPTIONS /v1/things HTTP/1.1\r\n${origin}Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\nConnection: close\r\n\r\n`,
  );
  t.regex(statuses(preflight).join(), /^4\d\d$/);
  const open = await ask(`GET /healthz HTTP/1.1\r\n${origin}Connection: close\r\n\r\n`);
  for (const answer of [preflight, open]) t.notRegex(answer, /access-control-allow/i);
  const upgrade = await ask(
    `GET /v1/things/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${good}\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
  );
  t.false(statuses(upgrade).includes('101'), upgrade.slice(0, 80));
});

test('a path that is none is a problem like every other failure', async t => {
  const { ask } = await door(t);
  for (const path of ['/v1/things/%E0%A4%A', `/v1/things/${'a'.repeat(200)}`]) {
    const answer = await ask(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    t.regex(answer, /^HTTP\/1\.1 4\d\d .*application\/problem\+json.*"detail":"The path is malformed\."/s);
  }
});

test('what has failed on this machine is for its log: a problem names no file', t => {
  const message = '/var/lib/entremise/issued.sqlite cannot be used (disk full)';
  const problem = problemOf(new EntremiseError('state-unreadable', { message }));
  t.like(problem, { type: 'about:blank', status: 500, detail: 'The log of the server has the cause.' });
});
