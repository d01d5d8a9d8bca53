import test from 'ava';
import fc from 'fast-check';
import { EntremiseError } from '../base/errors.ts';
import {
  codeIsFor,
  type EnrolmentCode,
  formatEnrolmentCode,
  invitationKeyOf,
  operatorHash,
  parseEnrolmentCode,
} from './enrolment-code.ts';
import { seededKey, testKeys } from './fixtures.ts';

const pin = seededKey(20).text;
const authority = testKeys.authority.text;
const code: EnrolmentCode = { secret: Buffer.alloc(16, 0xa5), operatorHash: operatorHash(pin, authority) };
const golden = 'MPJTB9-D5MPJT-B9D5MP-JTB9D5-MPYTB5-K4NFY3-1T2CCC-D42KQR-64FDS8';

// Computed apart, by a Python program with openssl.
test('golden: this secret and operator give this code and this invitation key', t => {
  t.is(formatEnrolmentCode(code), golden);
  t.is(invitationKeyOf(code).text, 'h7GYfqXdmxHzZAT-6BNKoq6-kHaqXG1Iby_gPauetls');
  t.is(operatorHash(pin, authority).toString('hex'), 'bda59664abfc30e84c631a414ef8311e');
});

test('a code is 54 characters in nine groups, safe to say, type and paste', t => {
  t.regex(formatEnrolmentCode(code), /^([0-9A-HJKMNP-TV-Z]{6}-){8}[0-9A-HJKMNP-TV-Z]{6}$/);
});

test('every code comes back from its text, however it was typed', t => {
  const half = fc.uint8Array({ minLength: 16, maxLength: 16 });
  const typed = fc.constantFrom<(text: string) => string>(
    text => text,
    text => text.toLowerCase(),
    text => text.replaceAll('-', ''),
    text => text.replaceAll('-', ' '),
    text => ` ${text.replaceAll('-', '\n')}\n`,
    text => text.replaceAll('-', '–'),
    text => text.replaceAll('0', 'O').replaceAll('1', 'l'),
    text => text.replaceAll('0', 'o').replaceAll('1', 'I'),
  );
  fc.assert(
    fc.property(half, half, typed, (secret, hash, change) => {
      const text = formatEnrolmentCode({ secret: Buffer.from(secret), operatorHash: Buffer.from(hash) });
      const read = parseEnrolmentCode(change(text));
      return read.secret.equals(secret) && read.operatorHash.equals(hash);
    }),
  );
  t.pass();
});

test('one wrong character, and two that changed places, are noticed', t => {
  const text = formatEnrolmentCode(code).replaceAll('-', '');
  const at = fc.nat(text.length - 1);
  const digit = fc.constantFrom(...'0123456789ABCDEFGHJKMNPQRSTVWXYZ');
  let unnoticed = 0;
  fc.assert(
    fc.property(at, digit, (index, other) => {
      fc.pre(text[index] !== other);
      if (parses(text.slice(0, index) + other + text.slice(index + 1))) unnoticed++;
    }),
    { numRuns: 1000, seed: 1 },
  );
  for (let index = 0; index + 1 < text.length; index++) {
    if (text[index] === text[index + 1]) continue;
    const swapped = `${text.slice(0, index)}${text[index + 1]}${text[index]}${text.slice(index + 2)}`;
    if (parses(swapped)) unnoticed++;
  }
  t.true(unnoticed <= 1, `${unnoticed} of about 1050 slips unnoticed; 1 in 16384 is expected`);
});

function parses(text: string): boolean {
  try {
    parseEnrolmentCode(text);
    return true;
  } catch {
    return false;
  }
}

const wrong: readonly (readonly [string, string, RegExp])[] = [
  ['nothing', '', /has 0 characters, but it must have 54/],
  ['half', formatEnrolmentCode(code).slice(0, 27), /characters, but it must have 54: nine groups of six/],
  ['twice', formatEnrolmentCode(code).repeat(2), /has 108 characters/],
  ['a U', formatEnrolmentCode(code).replace(/.$/, 'U'), /has a character in group 9 that no code has/],
  ['a sign', `${formatEnrolmentCode(code).slice(0, 8)}$`, /group 2/],
  ['a megabyte', 'A'.repeat(1_000_000), /is far too long/],
];

for (const [name, text, message] of wrong) {
  test(`refused: ${name}`, t => {
    const error = t.throws(() => parseEnrolmentCode(text), { instanceOf: EntremiseError, message });
    t.is(error?.code, 'code-invalid');
    t.false(text.length > 20 && (error?.message ?? '').includes(text.slice(0, 12)), 'never repeats the code');
  });
}

test('a code knows its server and authority from others', t => {
  t.true(codeIsFor(code, pin, authority));
  t.false(codeIsFor(code, seededKey(21).text, authority));
  t.false(codeIsFor(code, pin, testKeys.stranger.text));
  t.false(codeIsFor(code, authority, pin));
});

test('another secret is another invitation key', t => {
  const other = { ...code, secret: Buffer.alloc(16, 0xa4) };
  t.not(invitationKeyOf(other).text, invitationKeyOf(code).text);
});
