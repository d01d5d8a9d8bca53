import test from 'ava';
import { errorCodes } from '../base/errors.ts';
import { exitCode, exitCodeFor } from './exit-codes.ts';
import { jsonLine, table, visible } from './output.ts';

/** Everything that a terminal, or a reader's eye, could be driven by. */
const hostile: Readonly<Record<string, string>> = {
  NUL: '\u0000',
  bell: '\u0007',
  'line feed': '\n',
  'carriage return': '\r',
  escape: '\u001b[2J',
  delete: '\u007f',
  'CSI of C1': '\u009b2J',
  'next line': '\u0085',
  'soft hyphen': '\u00ad',
  'Arabic letter mark': '\u061c',
  'zero-width space': '\u200b',
  'zero-width joiner': '\u200d',
  'right-to-left mark': '\u200f',
  'line separator': '\u2028',
  'paragraph separator': '\u2029',
  'right-to-left override': '\u202e',
  'word joiner': '\u2060',
  'first strong isolate': '\u2068',
  'byte order mark': '\ufeff',
  'interlinear annotation': '\ufff9',
  'a tag': '\u{e0041}',
  'half a pair': '\ud800',
};

test('hostile text: whatever acts without being seen is shown as an escape', t => {
  for (const [name, text] of Object.entries(hostile)) {
    const shown = visible(`a${text}b`);
    t.regex(shown, /^a(\\u[0-9a-f]{4})+[\x20-\x7e]*b$/, name);
    t.is(visible(shown), shown, 'it is shown the same a second time');
  }
});

test('text that people write stays as it is', t => {
  const plain = 'Küche 2 · 客厅 · кухня · עברית · (a/b) \\u0041 "x" 😀 e\u0301';
  t.is(visible(plain), plain);
});

test('JSON means the same to a program and does nothing to a terminal', t => {
  const value = { ...hostile, nested: [hostile, 'plain 😀'] };
  const line = jsonLine(value);
  t.deepEqual(JSON.parse(line), value);
  t.regex(line, /^[\x20-\x7e😀]*\n$/u);
});

test('columns are as wide as what is shown in them', t => {
  t.deepEqual(
    table([
      ['NAME', 'STATE'],
      ['gw\u001b[0m', 'online'],
      ['home-4711', ''],
    ]),
    ['NAME         STATE', 'gw\\u001b[0m  online', 'home-4711'],
  );
  t.deepEqual(table([]), []);
});

test('every code of the catalogue has an exit code; offline, denied and wrong usage are told apart', t => {
  const codes = Object.values(exitCode) as number[];
  for (const code of errorCodes) t.true(codes.includes(exitCodeFor(code)) && exitCodeFor(code) !== 0, code);
  const rows = {
    'bad-usage': 2,
    'bad-config': 2,
    'no-such-mediator': 2,
    'not-permitted': 3,
    'consent-required': 3,
    'outside-hours': 3,
    'grant-missing': 3,
    'grant-expired': 3,
    'grant-revoked': 3,
    'mediator-offline': 4,
    'server-unreachable': 4,
    'link-lost': 4,
    refused: 5,
    unreachable: 5,
    'no-such-name': 5,
    'not-enrolled': 6,
    'key-revoked': 6,
    'pin-mismatch': 6,
    'code-used': 6,
    'code-expired': 6,
    internal: 1,
    'state-unreadable': 1,
  } as const;
  for (const [code, expected] of Object.entries(rows))
    t.is(exitCodeFor(code as keyof typeof rows), expected, code);
});
