import type { Command } from 'commander';
import { quoted } from '../../policy/target.ts';
import { bashScript } from '../completion/bash.ts';
import { type OtherProgram, type Place, placesOf } from '../completion/command-table.ts';
import { fishScript } from '../completion/fish.ts';
import { zshScript } from '../completion/zsh.ts';
import { examples } from '../examples.ts';
import { badUsage, print } from '../output.ts';

const scripts: Readonly<Record<string, (places: readonly Place[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** Adds `entremise completion`. `mediator` is what the program behind `entremise mediator` reads itself. */
export function addCompletionVerb(program: Command, mediator: OtherProgram): void {
  program
    .command('completion')
    .description('print a script that completes verbs, options and names of mediators in a shell')
    .argument('<shell>', 'bash, zsh or fish')
    .addHelpText(
      'after',
      examples(
        'completion bash > /etc/bash_completion.d/entremise',
        'completion zsh > /usr/local/share/zsh/site-functions/_entremise',
        'completion fish > ~/.config/fish/completions/entremise.fish',
      ),
    )
    .action((shell: string) => {
      const script = scripts[shell];
      if (script === undefined)
        throw badUsage(`There is no completion for ${quoted(shell)}; there is for bash, zsh and fish.`);
      print(script(placesOf(program, mediator)));
    });
}
