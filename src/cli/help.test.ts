import test from 'ava';
import type { Command } from 'commander';
import { createProgram } from './program.ts';

/** Every verb that does something, with the words that lead to it. */
function verbsOf(command: Command, words: readonly string[] = []): { words: string; verb: Command }[] {
  const children = command.commands.filter(child => child.name() !== 'help');
  if (children.length === 0) return [{ words: words.join(' '), verb: command }];
  return children.flatMap(child => verbsOf(child, [...words, child.name()]));
}

function helpOf(verb: Command): string {
  let text = '';
  verb.configureOutput({ writeOut: piece => (text += piece) });
  verb.outputHelp();
  return text;
}

const verbs = verbsOf(createProgram()).filter(({ words }) => words !== 'mediator');

test('all verbs are there', t => {
  t.deepEqual(verbs.map(({ words }) => words).sort(), [
    'audit search',
    'audit verify',
    'authority delegate add',
    'authority delegate key',
    'authority delegate list',
    'authority delegate remove',
    'authority init',
    'authority invite',
    'authority inviter add',
    'authority inviter list',
    'authority inviter remove',
    'authority label',
    'authority retire-key',
    'authority revoke-key',
    'authority rotate-key',
    'authority show',
    'authority trust',
    'bulk',
    'completion',
    'connect',
    'devices',
    'doctor',
    'enroll',
    'events',
    'expose',
    'forward',
    'grant add',
    'grant create',
    'grant list',
    'grant revoke',
    'grant role list',
    'grant role remove',
    'grant role set',
    'grant role show',
    'grant show',
    'mediators',
    'ports',
    'publish add',
    'publish list',
    'publish remove',
    'run',
    'server backup',
    'server check-config',
    'server delegate-key',
    'server enroll-feature',
    'server import',
    'server init',
    'server members',
    'server next-key',
    'server restore',
    'server rotate-key',
    'server run',
    'server token create',
    'server token grant',
    'server token list',
    'server token revoke',
    'server unit',
    'service apply',
    'service diff',
    'service list',
    'service remove',
    'socks',
    'up',
  ]);
});

for (const { words, verb } of verbs) {
  test(`--help of ${words} says what it is for and shows how it is called`, t => {
    const help = helpOf(verb);
    t.true(verb.description().length > 0);
    t.regex(help, /\nExamples?:\n/);
    t.regex(help, new RegExp(`\\n  (.*\\| )?entremise (--profile work )?${words}\\b`));
  });
}

test('the exit codes are in the help', t => {
  const help = helpOf(createProgram());
  for (const each of [
    '0 done',
    '1 unexpected',
    '2 wrong',
    '3 not permitted',
    '4 offline',
    '5 the device',
    '6 not enrolled',
  ])
    t.true(help.includes(each), each);
});

test('no verb takes a secret from the command line, which everybody on the machine can read', t => {
  for (const { words, verb } of verbs) {
    // The name of a file is no secret.
    for (const option of verb.options.filter(each => !/-file$/.test(each.long ?? '')))
      t.notRegex(option.long ?? '', /code|secret|password|token|private/, `${words} ${option.flags}`);
    for (const argument of verb.registeredArguments)
      t.notRegex(argument.name(), /code|secret|password|token/, `${words} <${argument.name()}>`);
  }
});

test('no option of all verbs has a short word: a key or a pin may begin with it', t => {
  t.deepEqual(
    createProgram()
      .options.filter(({ short }) => short !== undefined)
      .map(({ flags }) => flags),
    [],
  );
});
