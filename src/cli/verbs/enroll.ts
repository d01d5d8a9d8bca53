import type { Command } from 'commander';
import { contextOf } from '../context.ts';
import { enrol } from '../enrol-member.ts';

/** Adds `entremise enroll`. */
export function addEnrollVerb(program: Command): void {
  program
    .command('enroll')
    .description('make this profile a terminal of an operator, with the code that the operator gave')
    .requiredOption('--server <host:port>', 'where the server is')
    .addHelpText(
      'after',
      '\nThe code is read from ENTREMISE_CODE, else from standard input.\n\nExample:\n  entremise enroll --server server.example:8443',
    )
    .action((options: { server: string }, command) => {
      const { output, log, profile } = contextOf(command);
      return enrol({ output, log, directory: profile, role: 'terminal', server: options.server });
    });
}
