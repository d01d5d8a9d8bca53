import { createHmac } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { EntremiseError } from '../base/errors.ts';
import { signBytes } from '../base/keys.ts';
import { testKeys } from './fixtures.ts';
import { type JwsRules, peekPayload, signJws, verifyJws } from './jws.ts';

const rules: JwsRules = {
  typ: 'entremise-test+jwt',
  maxBytes: 1000,
  what: 'test document',
  code: 'document-invalid',
};
const { authority, stranger } = testKeys;
const onlyAuthority = (key: string) => key === authority.text;
const encode = (text: string | Uint8Array) => Buffer.from(text).toString('base64url');

/** Signs whatever header and payload text it is given, as an attacker with a key could. */
function forge(
  header: string | Uint8Array,
  payload: string | Uint8Array = '{"a":1}',
  key = authority,
): string {
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${encode(signBytes(key, Buffer.from(input)))}`;
}

function headerText(changes: Record<string, unknown> = {}): string {
  return JSON.stringify({ alg: 'EdDSA', typ: rules.typ, kid: authority.text, ...changes });
}

async function refused(t: ExecutionContext, text: string, message: RegExp): Promise<void> {
  const error = await t.throwsAsync(verifyJws(text, rules, onlyAuthority), {
    instanceOf: EntremiseError,
    message,
  });
  t.is((error as EntremiseError | undefined)?.code, 'document-invalid');
}

test('what was signed verifies, and says who signed', async t => {
  const text = await signJws(rules.typ, { a: 1, b: ['ü'] }, authority);
  t.deepEqual(await verifyJws(text, rules, onlyAuthority), {
    payload: { a: 1, b: ['ü'] },
    signer: authority.text,
  });
  t.deepEqual(peekPayload(text, rules), { a: 1, b: ['ü'] });
});

test('the same payload by the same key is the same document, byte for byte', async t => {
  t.is(await signJws(rules.typ, { a: 1 }, authority), forge(headerText()));
});

const hostile: Readonly<Record<string, readonly [() => string, RegExp]>> = {
  'alg none': [() => forge(headerText({ alg: 'none' })), /not signed with EdDSA/],
  'alg none without signature': [
    () => `${encode(headerText({ alg: 'none' }))}.${encode('{}')}.`,
    /not a JWS in compact form/,
  ],
  'HS256 keyed with the public key': [
    () => {
      const input = `${encode(headerText({ alg: 'HS256' }))}.${encode('{"a":1}')}`;
      return `${input}.${createHmac('sha256', authority.publicKey).update(input).digest('base64url')}`;
    },
    /not a JWS in compact form/,
  ],
  'HS512 keyed with the public key': [
    () => {
      const input = `${encode(headerText({ alg: 'HS512' }))}.${encode('{"a":1}')}`;
      return `${input}.${createHmac('sha512', authority.publicKey).update(input).digest('base64url')}`;
    },
    /not signed with EdDSA/,
  ],
  'alg Ed25519 in another case': [() => forge(headerText({ alg: 'eddsa' })), /not signed with EdDSA/],
  'alg as a list': [() => forge(headerText({ alg: ['EdDSA'] })), /not signed with EdDSA/],
  'another typ': [
    () => forge(headerText({ typ: 'entremise-grant+jwt' })),
    /does not have the type entremise-test/,
  ],
  'typ in another case': [
    () => forge(headerText({ typ: rules.typ.toUpperCase() })),
    /does not have the type/,
  ],
  'no typ': [() => forge(headerText({ typ: undefined })), /does not have the type/],
  'no kid': [() => forge(headerText({ kid: undefined })), /other fields|by which key/],
  'a kid that is no key': [() => forge(headerText({ kid: '../key' })), /by which key/],
  'a key in the header': [
    () => forge(headerText({ jwk: { kty: 'OKP', crv: 'Ed25519', x: stranger.text } }), '{}', stranger),
    /other fields than alg, kid and typ/,
  ],
  'a critical extension': [() => forge(headerText({ crit: ['b64'], b64: false })), /other fields than/],
  'signed by a stranger who says so': [
    () => forge(headerText({ kid: stranger.text }), '{}', stranger),
    /is signed by ".{43}", which is no key of this operator/,
  ],
  'signed by a stranger who says otherwise': [() => forge(headerText(), '{}', stranger), /does not verify/],
  'header with a field twice': [
    () => forge(`{"alg":"none","alg":"EdDSA","typ":"${rules.typ}","kid":"${authority.text}"}`),
    /header says the same name twice/,
  ],
  'header that is no object': [() => forge('"EdDSA"'), /not signed with EdDSA/],
  'header that is null': [() => forge('null'), /not signed with EdDSA/],
  'header that is no JSON': [() => forge('EdDSA'), /its header is not JSON/],
  'payload with a field twice': [
    () => forge(headerText(), '{"a":1,"a":2}'),
    /payload says the same name twice/,
  ],
  'payload with a field twice, once escaped': [
    () => forge(headerText(), '{"a":1,"\\u0061":2}'),
    /payload says the same name twice/,
  ],
  'payload with a field twice, deep inside': [
    () => forge(headerText(), '{"x":[{"a":":","b":{"c":1,"c":1}}]}'),
    /payload says the same name twice/,
  ],
  'payload that is no JSON': [() => forge(headerText(), '{a:1}'), /its payload is not JSON/],
  'payload with a byte order mark': [() => forge(headerText(), '\ufeff{}'), /its payload is not JSON/],
  'payload in bad UTF-8': [
    () => forge(headerText(), Buffer.from([0x22, 0xff, 0x22])),
    /its payload is not JSON/,
  ],
  'payload nested too deeply': [
    () => forge(headerText(), '['.repeat(200) + ']'.repeat(200)),
    /nested too deeply/,
  ],
  'four parts': [() => `${forge(headerText())}.x`, /not a JWS in compact form/],
  'two parts': [() => forge(headerText()).replace(/\.[^.]*$/, ''), /not a JWS in compact form/],
  'an empty payload': [() => forge(headerText(), ''), /not a JWS in compact form/],
  'a line break at the end': [() => `${forge(headerText())}\n`, /not a JWS in compact form/],
  padding: [() => `${forge(headerText())}==`, /not a JWS in compact form/],
  'the JSON serialisation': [() => '{"payload":"e30","signatures":[]}', /not a JWS in compact form/],
  nothing: [() => '', /not a JWS in compact form/],
  'more than the limit': [() => forge(headerText(), `"${'x'.repeat(1000)}"`), /longer than 1000 characters/],
};

for (const [name, [make, message]] of Object.entries(hostile)) {
  test(`refused: ${name}`, async t => refused(t, make(), message));
}

test('a colon, bracket or quote inside text is not counted as structure', async t => {
  const payload = { 'a:b"c\\': '{"a":1,"a":2}[[[[[[[[[[[[[[[[[[[[', d: ':' };
  const text = await signJws(rules.typ, payload, authority);
  t.deepEqual((await verifyJws(text, rules, onlyAuthority)).payload, payload);
});

test('a document with any one character changed is refused', async t => {
  const text = await signJws(rules.typ, { a: 1, name: 'gw-1' }, authority);
  // The last character of a signature carries 4 bits that are not used.
  const at = fc.nat(text.length - 2);
  await fc.assert(
    fc.asyncProperty(at, fc.constantFrom('A', 'b', '0', '-', '_', '.', '=', ' '), async (index, sign) => {
      fc.pre(text[index] !== sign);
      const changed = text.slice(0, index) + sign + text.slice(index + 1);
      return verifyJws(changed, rules, onlyAuthority).then(
        () => false,
        thrown => thrown instanceof EntremiseError,
      );
    }),
    { numRuns: 400 },
  );
  t.pass();
});

test('any JSON survives signing, and any signed text either parses as JSON.parse does or is refused', async t => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue({ maxDepth: 4 }), async value => {
      const text = await signJws(rules.typ, { value }, authority);
      fc.pre(text.length <= rules.maxBytes);
      const { payload } = await verifyJws(text, rules, onlyAuthority);
      t.deepEqual(payload, JSON.parse(JSON.stringify({ value })));
    }),
  );
});
