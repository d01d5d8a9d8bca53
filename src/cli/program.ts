import { Command, CommanderError } from 'commander';
import { version } from '../base/version.ts';
import { addSharedOptions } from './context.ts';
import { insideWord } from './enclosure/enclosure-messages.ts';
import { runInside } from './enclosure/inside.ts';
import { CommandEnded, exitCode } from './exit-codes.ts';
import { mediatorProgram, mediatorWords } from './mediator-program.ts';
import { badUsage, print, reportFailure } from './output.ts';
import { addAuditVerb } from './verbs/audit.ts';
import { addAuthorityVerb } from './verbs/authority.ts';
import { addBulkVerb } from './verbs/bulk.ts';
import { addCompletionVerb } from './verbs/completion.ts';
import { addConnectVerb } from './verbs/connect.ts';
import { addDevicesVerb } from './verbs/devices.ts';
import { addDoctorVerb } from './verbs/doctor.ts';
import { addEnrollVerb } from './verbs/enroll.ts';
import { addEventsVerb } from './verbs/events.ts';
import { addForwardVerbs } from './verbs/forward.ts';
import { addGrantVerb } from './verbs/grant.ts';
import { addMediatorsVerb } from './verbs/mediators.ts';
import { addPublishVerb } from './verbs/publish.ts';
import { addRunVerb } from './verbs/run.ts';
import { addServerVerb } from './verbs/server.ts';
import { addServiceVerb } from './verbs/service.ts';
import { addSocksVerb } from './verbs/socks.ts';
import { addUpVerb } from './verbs/up.ts';

const exitCodes = `
Exit codes: 0 done; 1 unexpected; 2 wrong command line or configuration; 3 not permitted; 4 offline;
            5 the device refused or cannot be reached; 6 not enrolled, wrong code, wrong server`;

/** The words that follow `mediator`, which is a program of its own: see {@link main}. */
class MediatorWords {
  readonly words: readonly string[];

  constructor(words: readonly string[]) {
    this.words = words;
  }
}

/** Every verb of the CLI, with its help. */
export function createProgram(): Command {
  const program = new Command('entremise')
    .description("a gateway's own TCP and UDP interface, for whoever the operator and the owner allow")
    // No short word for it: keys and pins may begin with -V.
    .version(version, '--version')
    .addHelpText('after', exitCodes)
    .helpCommand('help [verb]', 'the same as --help behind the verb');
  addSharedOptions(program);
  for (const add of [
    addForwardVerbs,
    addUpVerb,
    addSocksVerb,
    addRunVerb,
    addConnectVerb,
    addBulkVerb,
    addMediatorsVerb,
    addDevicesVerb,
    addEventsVerb,
    addDoctorVerb,
    addEnrollVerb,
    addGrantVerb,
    addAuthorityVerb,
    addPublishVerb,
    addServiceVerb,
    addServerVerb,
    addAuditVerb,
  ]) {
    add(program);
  }
  addCompletionVerb(program, mediatorWords);
  program
    .command('mediator')
    .description('the program on the gateway: run, enroll, check-config (its own --help says more)')
    .helpOption(false)
    .allowUnknownOption()
    .argument('[words...]')
    .action((words: string[], _options, command: Command) => {
      throw new MediatorWords([...words, ...(command.optsWithGlobals().json === true ? ['--json'] : [])]);
    });
  return program;
}

/** Sub-commands do not inherit what the program was told about output: failures are told by {@link main} alone. */
function settle(command: Command): Command {
  command.exitOverride().configureOutput({ writeOut: print, outputError: () => {} });
  for (const child of command.commands) settle(child);
  return command;
}

/** What commander says is wrong, as one sentence that says what to do. */
function sentenceOf({ message }: CommanderError): string {
  const what = message
    .replace(/^error: /, '')
    .replace(/\s+/g, ' ')
    .replace(/\.$/, '');
  return `${what}; --help shows what there is.`;
}

/** Those before `--`: what follows is a command's own. */
function ownWords(words: readonly string[]): readonly string[] {
  const end = words.indexOf('--');
  return end < 0 ? words : words.slice(0, end);
}

/** Runs the CLI on these words; gives the exit code. */
export async function main(words: readonly string[]): Promise<number> {
  if (words[0] === 'mediator') return mediatorProgram(words.slice(1));
  const isJson = ownWords(words).includes('--json');
  try {
    if (words[0] === insideWord) return await runInside();
    await settle(createProgram()).parseAsync([...words], { from: 'user' });
    return 0;
  } catch (thrown) {
    // `entremise --json mediator run`: an option of all verbs stood in front.
    if (thrown instanceof MediatorWords) return mediatorProgram(thrown.words);
    if (thrown instanceof CommandEnded) return thrown.code;
    if (!(thrown instanceof CommanderError)) return reportFailure(thrown, isJson);
    if (thrown.exitCode === 0) return 0;
    // A verb is missing, and the help has been shown for it.
    if (thrown.code === 'commander.help') return exitCode.usage;
    return reportFailure(badUsage(sentenceOf(thrown)), isJson);
  }
}
