import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { readMediatorConfig } from '../config-file.ts';
import { uciTable } from './uci-table.ts';
import { parseUci } from './uci-text.ts';

const valuesOf = (text: string) => [...(parseUci(text, 'x')[0]?.values ?? [])];

test('the text of a configuration is read as libuci reads it', t => {
  const text = `package entremise
# a comment
config mediator 'main'   # another
	option plain word
	option quoted 'a b # c'
	option apostrophe 'it'\\''s'
	option double "say \\"yes\\" \\\\ now"
	option escaped a\\ b
	option twice 'one'
	option twice 'two'
	list many 'a'
	list many "b"
	option hash a#b

config 'owner'
`;
  t.deepEqual(valuesOf(text), [
    ['plain', 'word'],
    ['quoted', 'a b # c'],
    ['apostrophe', "it's"],
    ['double', 'say "yes" \\ now'],
    ['escaped', 'a b'],
    ['twice', 'two'],
    ['many', ['a', 'b']],
    ['hash', 'a#b'],
  ]);
  t.deepEqual(
    parseUci(text, 'x').map(({ type, name }) => [type, name]),
    [
      ['mediator', 'main'],
      ['owner', undefined],
    ],
  );
});

test('statements on one line, values of two lines, and the last line without an end', t => {
  t.deepEqual(valuesOf("config a 'b'; option c 'd'\noption e 'f\ng'\noption h i"), [
    ['c', 'd'],
    ['e', 'f\ng'],
    ['h', 'i'],
  ]);
});

const wrongTexts = {
  "config a 'b'\n\n  option c 'd": /^x: line 3: a quotation mark has no partner\.$/,
  "option a 'b'": /^x: line 1: option a stands before any section\.$/,
  "config a 'b\nc'\nset d": /^x: line 3: is neither config TYPE/,
  config: /^x: line 1: is neither/,
  'config a b c': /^x: line 1: is neither/,
  'config a\noption b': /^x: line 2: is neither/,
};

for (const [text, message] of Object.entries(wrongTexts)) {
  test(`a text that is none: ${JSON.stringify(text)}`, t => {
    t.throws(() => parseUci(text, 'x'), { code: 'bad-config', message });
  });
}

const table = (text: string) => uciTable(parseUci(text, 'x'), 'x');

test('every option goes where mediator.toml has its key', t => {
  const text = `
config mediator 'main'
	option enabled '1'
	list server 'server.example:8443'
	option audit_file '/tmp/a'
	option log_level 'warn'
	option proxy 'http://proxy.example'
	option max_hold_ms '0'
	option keepalive_ms '20000'
	option receive_bytes '4194304'
	option replay_bytes '2097152'
config service
	option name 'voip'
	list parameter 'account=a=b'
config owner 'all'
	list hours 'mon-fri 08:00-18:00'
	option purpose 'assistance'
	list lan 'br-lan'
	list deny '192.168.1.2'
	list hide 'hostname'
	option consent 'window'
config owner 'assistance'
	list command 'open'
	list network 'lan'
	list tcp '80'
	list udp '53'
	list port_address 'lan'
	list port_tcp '1024-2000'
	list port_udp '1024-2000'
`;
  t.deepEqual(table(text), {
    servers: ['server.example:8443'],
    auditFile: '/tmp/a',
    logLevel: 'warn',
    proxy: 'http://proxy.example',
    maxHoldMs: 0,
    keepaliveMs: 20000,
    memory: { receiveBytes: 4194304, replayBytes: 2097152 },
    services: [{ name: 'voip', parameters: { account: 'a=b' } }],
    owner: {
      purposes: ['assistance'],
      lan: ['br-lan'],
      deny: ['192.168.1.2'],
      hide: ['hostname'],
      consent: 'window',
      hours: ['mon-fri 08:00-18:00'],
      assistance: {
        commands: ['open'],
        targets: { networks: ['lan'], tcp: ['80'], udp: ['53'] },
        ports: { addresses: ['lan'], tcp: ['1024-2000'], udp: ['1024-2000'] },
      },
    },
  });
});

function fileWith(t: ExecutionContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-uci-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'a.uci'), text);
  return join(folder, 'a.uci');
}

test('what was written on a router is a whole configuration, with audit lines that are not on flash', t => {
  const path = fileWith(t, "config mediator 'main'\n\toption enabled '1'\n");
  t.like(readMediatorConfig(path), {
    stateDir: '/etc/entremise/mediator',
    auditFile: '/var/run/entremise/audit.jsonl',
    auditMaxBytes: 1024 * 1024,
    controlSocket: '/var/run/entremise/control.sock',
    servers: [],
    owner: { lan: undefined },
  });
});

const wrongOptions = {
  "config mediator 'main'\noption colour 'red'": /config mediator 'main': colour is not known here/,
  "config mediator 'main'\noption max_hold_ms 'long'": /maxHoldMs must be a whole number/,
  "config mediator 'main'\noption state_dir '/x'": /state_dir is not known here/,
  "config owner 'assistance'\nlist deny '10.0.0.1'": /config owner 'assistance': deny is not known here/,
  "config owner 'everybody'": /config owner 'everybody': no such section is known/,
  "config owner 'all'\nlist network 'everywhere'": /owner\.targets\.networks/,
  "config service\noption name 'a'\nlist parameter 'b'": /parameter "b" is not NAME=VALUE/,
  "config service\noption __proto__ 'a'": /__proto__ is not known here/,
};

for (const [text, message] of Object.entries(wrongOptions)) {
  test(`refused: ${text.replaceAll('\n', '; ')}`, t => {
    t.throws(() => readMediatorConfig(fileWith(t, text)), { code: 'bad-config', message });
  });
}
