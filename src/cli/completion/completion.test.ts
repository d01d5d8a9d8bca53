import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import test, { type ExecutionContext } from 'ava';
import type { Command } from 'commander';
import { mediatorWords } from '../mediator-program.ts';
import { createProgram } from '../program.ts';
import { bashScript } from './bash.ts';
import { placesOf } from './command-table.ts';
import { fishScript } from './fish.ts';
import { namesFile } from './shell-words.ts';
import { zshScript } from './zsh.ts';

const program = createProgram();
const places = placesOf(program, mediatorWords);

interface Shell {
  readonly path: string;
  readonly script: string;
  /** Reads lines of words, with a tab between; prints what each comes to, with a blank between. */
  readonly driver: string;
}

const bash: Shell = {
  path: '/bin/bash',
  script: bashScript(places),
  driver: `while IFS=$'\\t' read -r -a COMP_WORDS; do
    [[ \${COMP_WORDS[-1]} == '' ]] || :
    COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
    [[ \${COMP_WORDS[COMP_CWORD]} == - ]] && COMP_WORDS[COMP_CWORD]=''
    __entremise; echo "\${COMPREPLY[*]}"
  done`,
};

const fish: Shell = {
  path: '/usr/bin/fish',
  script: fishScript(places),
  driver: `while read -l line
    set -l words (string split \\t $line)
    test $words[-1] = -; and set words[-1] ''
    echo (complete -C (string join -- ' ' $words) | string replace -r '\\t.*' '')
  end`,
};

/** What a shell offers for each of these command lines, of which the last word is the one that is typed; '-' is none yet. */
function offers(
  t: ExecutionContext,
  shell: Shell,
  lines: readonly (readonly string[])[],
  env = {},
): string[][] {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-completion-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const script = join(folder, 'script');
  writeFileSync(script, `${shell.script}\n${shell.driver}\n`);
  const input = `${lines.map(words => ['entremise', ...words].join('\t')).join('\n')}\n`;
  const base = { PATH: process.env.PATH, HOME: folder, LC_ALL: 'C.UTF-8' };
  const printed = execFileSync(shell.path, [script], { input, env: { ...base, ...env }, encoding: 'utf8' });
  return printed
    .split('\n')
    .slice(0, lines.length)
    .map(line => line.split(' ').filter(word => word !== ''));
}

/** Every verb with the words that lead to it, but the mediator's own. */
function everyCommand(
  command: Command,
  words: readonly string[] = [],
): { words: readonly string[]; command: Command }[] {
  const below = command.commands.filter(child => child.name() !== 'help' && child.name() !== 'mediator');
  return [{ words, command }, ...below.flatMap(child => everyCommand(child, [...words, child.name()]))];
}

const commands = everyCommand(program);

/** Options of all verbs: each is tried behind another verb. */
const shared = program.options.filter(({ long }) => long !== '--version');

/** Each verb and each option of each verb, as typed but for the last character. */
const rows = commands.flatMap(({ words, command }) => [
  ...command.commands
    .filter(child => child.name() !== 'help')
    .map(child => ({ typed: [...words, child.name().slice(0, -1)], wanted: child.name() })),
  ...[...command.options, ...(words.length === 2 ? shared.splice(0, 1) : [])].map(({ long }) => ({
    typed: [...words, String(long).slice(0, -1)],
    wanted: String(long),
  })),
]);

for (const [name, shell] of [
  ['bash', bash],
  ['fish', fish],
] as const)
  (existsSync(shell.path) ? test : test.skip)(
    `${name} completes every verb and every option of the program`,
    t => {
      t.deepEqual(shared, [], 'those of all verbs were among them');
      t.true(rows.length > 150, String(rows.length));
      const found = offers(
        t,
        shell,
        rows.map(({ typed }) => typed),
      );
      for (const [index, { typed, wanted }] of rows.entries())
        t.true(found[index]?.includes(wanted), `${typed.join(' ')}: ${found[index]?.join(' ')}`);
    },
  );

/** A profile whose terminal has seen two mediators, and another. */
function withNames(t: ExecutionContext): { XDG_CONFIG_HOME: string } {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-names-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  for (const [profile, names] of [
    ['default', 'home-1\nhome-2\n'],
    ['work', 'office\n'],
  ] as const) {
    const path = join(folder, 'entremise', profile, namesFile);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, names);
  }
  return { XDG_CONFIG_HOME: folder };
}

for (const [name, shell] of [
  ['bash', bash],
  ['fish', fish],
] as const)
  (existsSync(shell.path) ? test : test.skip)(
    `${name} completes mediators by name, and values that are one of few`,
    t => {
      const lines: readonly (readonly [readonly string[], readonly string[]])[] = [
        [
          ['forward', 'ho'],
          ['home-1', 'home-2'],
        ],
        [['--profile', 'work', 'forward', 'o'], ['office']],
        [['mediators', '--wait', 'home-2'], ['home-2']],
        [['grant', 'create', '--mediator', 'home-1'], ['home-1']],
        [['grant', 'create', '--purpose', 's'], ['service']],
        [['authority', 'invite', 'med'], ['mediator']],
        [['--json', 'completion', 'z'], ['zsh']],
        [['mediator', 'check'], ['check-config']],
        // What is expected is a value that nobody can guess.
        [['grant', 'create', '--tcp', 'gr'], []],
      ];
      const found = offers(
        t,
        shell,
        lines.map(([typed]) => typed),
        withNames(t),
      );
      for (const [index, [typed, wanted]] of lines.entries())
        t.deepEqual(found[index], [...wanted], typed.join(' '));
    },
  );

test('in bash a mediator completes behind words that it takes apart at their colons', t => {
  const [found] = offers(t, bash, [['connect', 'home-1', '192.168.1.10', ':', '80', '--js']], withNames(t));
  t.deepEqual(found, ['--json']);
});

const zsh = '/usr/bin/zsh';

(existsSync(zsh) ? test : test.skip)(
  'zsh takes the script, and its walk over the words comes to the same',
  t => {
    const folder = mkdtempSync(join(tmpdir(), 'entremise-zsh-'));
    t.teardown(() => rmSync(folder, { recursive: true }));
    const path = join(folder, '_entremise');
    // What the completion system of zsh does is recorded: it wants a terminal.
    const recorded = `compdef() { :; }; _files() { echo files "$@"; }
    compadd() { shift; echo "$@"; }; _describe() { echo "\${(@P)2}"; }
    source ${path}
    t() { words=("$@"); CURRENT=$#words; _entremise; }
    t entremise grant create --purpose ''
    t entremise forward ''
    t entremise up ''
    t entremise server rotate-key ''`;
    writeFileSync(path, zshScript(places));
    const env = { PATH: process.env.PATH, HOME: folder, ...withNames(t) };
    const lines = execFileSync(zsh, ['-f', '-c', recorded], { env, encoding: 'utf8' }).split('\n');
    t.is(lines[0], 'assistance service');
    t.is(lines[1], 'home-1 home-2');
    t.is(lines[2], 'files');
    t.regex(lines[3] ?? '', /--leave-behind:although/);
  },
);

test('what the mediator reads itself completes too, all of it', t => {
  const verbs = places.find(({ path }) => path === 'mediator')?.verbs.map(({ word }) => word);
  t.deepEqual(verbs, ['run', 'enroll', 'check-config', 'status', 'allow', 'stop']);
});
