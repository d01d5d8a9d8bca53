import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { calculateJwkThumbprint } from 'jose';
import { EntremiseError } from './errors.ts';
import {
  generateSigningKey,
  isKeyText,
  keyFromText,
  keyThumbprint,
  keyToText,
  loadOrCreateSigningKey,
  loadSigningKey,
  saveSigningKey,
  signBytes,
  signingKeyFromSeed,
  verifyBytes,
} from './keys.ts';
import { lengthPrefixed } from './length-prefixed.ts';

function scratch(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'entremise-keys-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

test('a seed gives the key and signature of RFC 8032 §7.1 test 2', t => {
  const seed = Buffer.from('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb', 'hex');
  const key = signingKeyFromSeed(seed);
  t.is(key.publicKey.toString('hex'), '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c');
  t.is(
    signBytes(key, Buffer.from([0x72])).toString('hex'),
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  );
});

test('the thumbprint is that of RFC 8037 appendix A.3, and what jose computes', async t => {
  const publicKey = keyFromText('11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo');
  t.is(keyThumbprint(publicKey), 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k');
  const key = generateSigningKey();
  t.is(
    keyThumbprint(key.publicKey),
    await calculateJwkThumbprint({ kty: 'OKP', crv: 'Ed25519', x: key.text }),
  );
});

test('a signature verifies with its own key and text only', t => {
  const key = generateSigningKey();
  const text = Buffer.from('text');
  const signature = signBytes(key, text);
  t.true(verifyBytes(key.publicKey, text, signature));
  t.false(verifyBytes(generateSigningKey().publicKey, text, signature));
  t.false(verifyBytes(key.publicKey, Buffer.from('Text'), signature));
});

test('verification of hostile bytes is false and never throws', t => {
  const hostile = fc.uint8Array({ maxLength: 80 });
  fc.assert(
    fc.property(hostile, hostile, hostile, (key, bytes, signature) => !verifyBytes(key, bytes, signature)),
  );
  const key = generateSigningKey();
  const signature = fc.uint8Array({ minLength: 64, maxLength: 64 });
  fc.assert(fc.property(signature, forged => !verifyBytes(key.publicKey, Buffer.from('x'), forged)));
  t.pass();
});

test('of hundreds of keys, seen again and again, each verifies its own signatures and no other', t => {
  const members = Array.from({ length: 300 }, () => {
    const key = generateSigningKey();
    return { key, signature: signBytes(key, Buffer.from(key.text)) };
  });
  for (let round = 0; round < 2; round++) {
    for (const [index, { key, signature }] of members.entries()) {
      const other = members[(index + 1) % members.length];
      t.true(verifyBytes(key.publicKey, Buffer.from(key.text), signature));
      t.false(verifyBytes(other?.key.publicKey ?? Buffer.alloc(0), Buffer.from(key.text), signature));
    }
  }
});

test('every key has exactly one text', t => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), bytes => {
      const text = keyToText(bytes);
      return isKeyText(text) && keyFromText(text).equals(bytes);
    }),
  );
  const text = generateSigningKey().text;
  for (const bad of ['', text.slice(1), `${text}A`, `${text.slice(0, 42)}B`, `${text}=`, ` ${text}`]) {
    t.false(isKeyText(bad), bad);
    t.throws(() => keyFromText(bad), { instanceOf: EntremiseError });
  }
});

test('a key comes back from disk as it went, in a file of mode 0600', t => {
  const path = join(scratch(t), 'member.key');
  const key = generateSigningKey();
  saveSigningKey(path, key);
  t.is(statSync(path).mode & 0o777, 0o600);
  t.is(loadSigningKey(path).text, key.text);
  t.throws(() => saveSigningKey(path, key), { message: /is not overwritten/ });
});

test('a key is made once where none is, and kept', t => {
  const path = join(scratch(t), 'new', 'member.key');
  const first = loadOrCreateSigningKey(path);
  t.is(loadOrCreateSigningKey(path).text, first.text);
});

test('what is no Ed25519 key is refused by name', t => {
  const path = join(scratch(t), 'member.key');
  const rsa = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  for (const content of ['not a key', '', rsa.export({ type: 'pkcs8', format: 'pem' })]) {
    writeFileSync(path, content, { mode: 0o600 });
    t.throws(() => loadSigningKey(path), { message: /member\.key is not an Ed25519 private key/ });
  }
});

test('length-prefixed fields cannot be confused with other fields', t => {
  t.is(lengthPrefixed('ab', Buffer.from([1])).toString('hex'), '0000000261620000000101');
  t.notDeepEqual(lengthPrefixed('ab', 'c'), lengthPrefixed('a', 'bc'));
  t.is(lengthPrefixed(Buffer.alloc(65_536)).length, 65_540);
});
