import type { Command, Option } from 'commander';

/**
 * What can follow which words, read from the program itself: a verb or an option that is added there completes here.
 */

/** What a value is, as far as a shell can help with it. */
export type ValueKind = 'mediator' | 'file' | 'directory' | 'other' | { readonly oneOf: readonly string[] };

/** An option at some place. */
export interface OptionWord {
  /** With its dashes. */
  readonly word: string;
  readonly description: string;
  /** Undefined when it takes no value. */
  readonly value: ValueKind | undefined;
}

/** A place of the command line: behind these words. */
export interface Place {
  /** `grant create`; empty for the program itself. */
  readonly path: string;
  readonly verbs: readonly { readonly word: string; readonly description: string }[];
  /** Those of all verbs too. */
  readonly options: readonly OptionWord[];
  /** What is expected, in this order; the last one may be repeated when `variadic`. */
  readonly values: readonly ValueKind[];
  readonly variadic: boolean;
}

const choices: Readonly<Record<string, readonly string[]>> = {
  '--log-level': ['fatal', 'error', 'warn', 'info', 'debug', 'trace'],
  '--purpose': ['assistance', 'service'],
  role: ['mediator', 'terminal'],
  shell: ['bash', 'zsh', 'fish'],
};

const mediatorWords = ['--mediator', '--wait', 'mediator'];

/** By the name of the value, `file` of `--out <file>`, and of the word before it. */
function kindOf(word: string, name: string): ValueKind {
  const oneOf = choices[word];
  if (oneOf !== undefined) return { oneOf };
  if (mediatorWords.includes(word)) return 'mediator';
  if (/file|backup/.test(name)) return 'file';
  return /directory|dir$/.test(name) ? 'directory' : 'other';
}

function optionWord({ long, flags, description, required, optional }: Option): OptionWord {
  const word = long ?? flags;
  const [, name = ''] = /[<[](.*)[>\]]$/.exec(flags) ?? [];
  return { word, description, value: required || optional ? kindOf(word, name) : undefined };
}

const isShown = (command: Command) => command.name() !== 'help';

/** Every place below a command, itself first. `shared` are the options of all verbs. */
function placesBelow(command: Command, path: readonly string[], shared: readonly OptionWord[]): Place[] {
  const help: OptionWord = { word: '--help', description: 'says what there is', value: undefined };
  const own = command.options.map(optionWord);
  const children = command.commands.filter(isShown);
  const place: Place = {
    path: path.join(' '),
    verbs: children.map(child => ({ word: child.name(), description: child.description() })),
    options: [...own, ...shared, help],
    values: command.registeredArguments.map(argument => kindOf(argument.name(), argument.name())),
    variadic: command.registeredArguments.at(-1)?.variadic === true,
  };
  const below = path.length === 0 ? own.filter(({ word }) => word !== '--version') : shared;
  return [place, ...children.flatMap(child => placesBelow(child, [...path, child.name()], below))];
}

/** The mediator's program reads its words itself: what its help says. */
export interface OtherProgram {
  readonly verbs: readonly string[];
  /** By their names, without dashes. */
  readonly options: Readonly<Record<string, { readonly type: 'string' | 'boolean' }>>;
}

function placesOfMediator({ verbs, options }: OtherProgram): Place[] {
  const words = Object.entries(options).map(([name, { type }]): OptionWord => {
    const value = type === 'boolean' ? undefined : mediatorValues[name];
    return { word: `--${name}`, description: '', value: type === 'boolean' ? undefined : (value ?? 'other') };
  });
  const place = (path: string, of: readonly string[]): Place => ({
    path,
    verbs: of.map(word => ({ word, description: '' })),
    options: words,
    values: [],
    variadic: false,
  });
  return [place('mediator', verbs), ...verbs.map(verb => place(`mediator ${verb}`, []))];
}

const mediatorValues: Readonly<Record<string, ValueKind>> = {
  config: 'file',
  state: 'directory',
  purpose: { oneOf: ['assistance', 'service'] },
};

/** Every place of the command line. */
export function placesOf(program: Command, mediator: OtherProgram): Place[] {
  const places = placesBelow(program, [], []).filter(({ path }) => path !== 'mediator');
  return [...places, ...placesOfMediator(mediator)];
}
