import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { errorCodes, errorNumber } from './base/errors.ts';
import { attachmentKeys, attachTranscript, controlMac, proofInput } from './session/transcript.ts';
import { filesUnder, root } from './testing/source-tree.ts';
import * as cbor from './wire/cbor.ts';
import * as fields from './wire/fields.ts';
import * as packet from './wire/packet.ts';
import * as spec from './wire/spec.ts';
import { controlCodecs } from './wire/testing/codecs.ts';
import { mapShapes, shapeText } from './wire/testing/shape-text.ts';
import { binaryVectors, controlVectors, frameVectors, readGroup, withBytes } from './wire/testing/vectors.ts';

/** docs/protocol.md is normative: what it says in tables, numbers and vectors is what the code does. */

const page = readFileSync(join(root, 'docs/protocol.md'), 'utf8');
const lines = page.split('\n');

/** The rows of the first table behind a line, as cells without backticks. */
function tableBehind(line: string): string[][] {
  const start = lines.indexOf(line);
  if (start === -1) throw new Error(`docs/protocol.md has no line "${line}"`);
  const first = lines.findIndex((text, index) => index > start && text.startsWith('|'));
  const after = lines.findIndex((text, index) => index > first && !text.startsWith('|'));
  return lines.slice(first + 2, after).map(text =>
    text
      .slice(1, -1)
      .split('|')
      .map(cell => cell.trim().replaceAll('`', '')),
  );
}

function column(rows: readonly string[][], ...indexes: number[]): string[] {
  return rows.map(row => indexes.map(index => row[index]).join(' '));
}

function hexNumber(number: number): string {
  return `0x${number.toString(16).padStart(2, '0')}`;
}

test('the table of types is that of the code', t => {
  const expected = Object.entries(spec.frameType).map(
    ([name, number]) => `${hexNumber(number)} ${name.toUpperCase()} ${number < 0x20 ? '≠ 0' : '0'}`,
  );
  t.deepEqual(column(tableBehind('### P1.4 Types and flags'), 0, 1, 2), expected);
});

test('the table of flags is that of the code', t => {
  const expected = Object.entries(spec.frameFlag).map(
    ([name, bit]) => `${hexNumber(bit)} ${name.toUpperCase()}`,
  );
  const behindTypes = lines.find(line => line.startsWith('On labels other than 0')) ?? '';
  t.deepEqual(column(tableBehind(behindTypes), 0, 1), expected);
});

test('the table of kinds of packets is that of the code', t => {
  const behind = lines.find(line => line.startsWith('body that is not so is dropped')) ?? '';
  t.deepEqual(
    column(tableBehind(behind), 0, 1),
    Object.entries(packet.packetKind).map(([name, number]) => `${hexNumber(number)} ${name}`),
  );
});

function rowOf({ key, name, optional, shape }: fields.FieldShape): string {
  return `${key} ${name}${optional ? '?' : ''} ${shapeText(shape)}`;
}

const messages = mapShapes(Object.values(controlCodecs).map(({ shape }) => shape));

test('the tables of messages are those of the code', t => {
  for (const { name, fields: rows } of messages.filter(one => !one.name.startsWith('EVENT ')))
    t.deepEqual(column(tableBehind(`#### ${name}`), 0, 1, 2), rows.map(rowOf), name);
});

test('the tables of EVENT are those of the code', t => {
  const kinds = messages.filter(({ name }) => name.startsWith('EVENT '));
  const rows = kinds.flatMap(kind => kind.fields.filter(({ name }) => name !== 'kind'));
  const types = kinds
    .flatMap(kind => kind.fields.filter(({ name }) => name === 'kind'))
    .map(({ shape }) => shapeText(shape));
  const unique = new Map(rows.map(row => [row.name, rowOf({ ...row, optional: false })]));
  t.deepEqual(
    new Set(column(tableBehind('#### EVENT fields'), 0, 1, 2)),
    new Set([`1 kind ${types.join(', ')}`, ...unique.values()]),
  );
  const told = kinds.map(kind => {
    const names = kind.fields
      .filter(({ name }) => name !== 'kind')
      .map(({ name, optional }) => (optional ? `${name}?` : name));
    return `${kind.name.slice('EVENT '.length)} ${names.join(', ')}`;
  });
  t.deepEqual(column(tableBehind('#### EVENT kinds'), 0, 1), told);
});

test('no table describes a message that is not there', t => {
  const known = new Set([...messages.map(({ name }) => name), 'EVENT fields', 'EVENT kinds']);
  const described = lines.filter(line => line.startsWith('#### ')).map(line => line.slice('#### '.length));
  t.deepEqual(
    described.filter(name => !known.has(name)),
    [],
  );
  t.is(new Set(described).size, described.length);
});

test('the error catalogue is that of the code', t => {
  t.deepEqual(
    column(tableBehind('## P9 Error catalogue'), 0, 1),
    errorCodes.map(code => `${errorNumber(code)} ${code}`),
  );
});

test('no two errors have one number', t => {
  t.is(new Set(errorCodes.map(errorNumber)).size, errorCodes.length);
});

test('the numbers are those of the code', t => {
  const constants: Readonly<Record<string, unknown>> = { ...spec, ...cbor, ...fields, ...packet };
  for (const [name = '', value = ''] of tableBehind('## P10 Numbers'))
    t.is(value.replaceAll(',', ''), String(constants[name]), name);
});

test('the vectors that are quoted are those of src/wire/vectors', t => {
  const quoted = [...page.matchAll(/^- Vector `([^`]+)`: `([0-9a-f]+)`$/gm)];
  t.true(quoted.length > 5);
  const vectors = [...frameVectors, ...binaryVectors, ...controlVectors];
  for (const [, name, hex] of quoted)
    t.true(
      vectors.some(vector => vector.name === name && vector.hex === hex),
      name,
    );
});

interface Handshake {
  readonly proof: Record<string, unknown>;
  readonly attach: Record<string, unknown>;
  readonly keys: Record<string, unknown>;
  readonly mac: Record<string, unknown>;
}

test('P6.1, P6.4: what is signed, hashed and keyed are the vectors, and the page says so', t => {
  const { proof, attach, keys, mac } = withBytes(readGroup('handshake')) as Handshake;
  const bytes = (value: unknown) => value as Uint8Array;
  const signed = proofInput(proof as unknown as Parameters<typeof proofInput>[0]).toString('hex');
  const transcript = attachTranscript(
    bytes(attach.mediatorKey),
    bytes(attach.attachInner),
    bytes(attach.attachedInner),
  );
  const derived = attachmentKeys(bytes(keys.shared), transcript);
  const made = {
    signed,
    T: transcript.toString('hex'),
    t2m: derived.terminalToMediator.toString('hex'),
    m2t: derived.mediatorToTerminal.toString('hex'),
    mac: controlMac(
      derived.terminalToMediator,
      spec.frameType.command,
      spec.frameFlag.denied,
      0,
      bytes(mac.body),
    ).toString('hex'),
  };
  const expected = {
    signed: proof.signed,
    T: attach.T,
    t2m: keys.terminalToMediator,
    m2t: keys.mediatorToTerminal,
    mac: mac.mac,
  };
  t.deepEqual(made, expected as typeof made);
  const packed = page.replaceAll(/\s/g, '');
  for (const hex of Object.values(made)) t.true(packed.includes(hex), hex);
});

test('P7.3: the keys and the packet that are quoted are the vectors', t => {
  type Keys = { suite: string; cid: number; memberToServer: KeyText; serverToMember: KeyText };
  type KeyText = { key: string; iv: string };
  type Packets = { keys: Keys[]; packets: { name: string; hex: string }[] };
  const { keys, packets } = readGroup('packets') as Packets;
  const rows = tableBehind(
    'In `packets.vectors.json`, with a secret of 32 × `ee`, nonces of 32 × `4d` and 32 × `53`, cid `00c0ffee`, epoch 0:',
  );
  const quoted = rows.map(([, bytes = '']) => bytes);
  const own = keys.filter(({ cid }) => cid === 0x00c0ffee);
  const texts = own
    .flatMap(one => [one.memberToServer, one.serverToMember])
    .map(({ key, iv }) => `${key} ${iv}`);
  t.deepEqual(quoted.slice(0, 3), texts.slice(0, 3));
  t.true(packets.some(({ name, hex }) => name === 'a keepalive' && hex === quoted[3]));
});

test('every rule that code, tests and documents cite is there', t => {
  const rules = new Set(lines.flatMap(line => /^###? (P[0-9]+(?:\.[0-9]+)?) /.exec(line)?.[1] ?? []));
  const files = [
    ...filesUnder('src', /\.(ts|json)$/),
    ...filesUnder('testbed', /\.ts$/),
    ...filesUnder('native', /\.(cc|h)$/),
    ...filesUnder('docs', /\.md$/),
  ];
  const dangling = files.flatMap(path => {
    const text = readFileSync(join(root, path), 'utf8');
    const cited = [...text.matchAll(/\bP([1-9][0-9]?\.[0-9]+)\b|protocol\.md §([0-9.]*[0-9])/g)];
    const missing = cited.map(([, rule, section]) => `P${rule ?? section}`).filter(rule => !rules.has(rule));
    return [...new Set(missing)].map(rule => `${path} cites ${rule}`);
  });
  t.deepEqual(dangling, []);
});
