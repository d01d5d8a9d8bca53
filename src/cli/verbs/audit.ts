import type { Command } from 'commander';
import { EntremiseError } from '../../base/errors.ts';
import { searchAudit, verifyAudit } from '../../server/audit-reader.ts';
import { readServerConfig } from '../../server/config.ts';
import { type Context, contextOf } from '../context.ts';
import { defaultServerState, requireServer } from '../delivery.ts';
import { examples } from '../examples.ts';
import { badUsage, jsonLine, print } from '../output.ts';

interface Where {
  readonly state: string;
}

/** Adds `entremise audit search|verify`. */
export function addAuditVerb(program: Command): void {
  const audit = program.command('audit').description('what was done on a server, by whom, under which grant');
  const verb = (name: string, description: string) =>
    audit
      .command(name)
      .description(description)
      .argument('[file...]', 'audit files, the oldest first; by default that of --state')
      .option('--state <directory>', "the server's state", defaultServerState);
  verb('verify', 'is every line what it was, and none missing?')
    .option('--head <hash>', 'a head that was published: all before it must be there')
    .addHelpText('after', examples('audit verify', 'audit verify audit.jsonl.1 audit.jsonl --head u0b3...'))
    .action((files: string[], options: Where & { head?: string }, command) =>
      verify(contextOf(command), filesOf(files, options), options.head),
    );
  verb('search', 'the lines that fit, one JSON object each')
    .option('--text <text>', 'somewhere in the line: a key, an address, a grant')
    .option('--action <action>', 'attach, or the verb of a command: open, connect, ...')
    .option('--since <time>', 'not before this, like 2026-11-29T10:00:00Z')
    .option('--until <time>', 'before this')
    .addHelpText(
      'after',
      examples('audit search --action connect --since 2026-11-29', 'audit search --text 192.168.1.10'),
    )
    .action((files: string[], options: Where & SearchOptions) => search(filesOf(files, options), options));
}

interface SearchOptions {
  readonly text?: string;
  readonly action?: string;
  readonly since?: string;
  readonly until?: string;
}

function filesOf(files: readonly string[], { state }: Where): readonly string[] {
  if (files.length > 0) return files;
  requireServer(state);
  return [readServerConfig(state).auditFile];
}

async function verify(
  { output }: Context,
  files: readonly string[],
  head: string | undefined,
): Promise<void> {
  const verdict = await verifyAudit(files, head);
  const { lines, others, broken, headFound } = verdict;
  const also = others === 0 ? '' : `, ${others} lines that are not of the chain`;
  output.result(verdict, [
    `${lines} lines are what they were${also}`,
    `head ${verdict.head.hash} (${verdict.head.seq})`,
  ]);
  if (broken !== undefined)
    throw new EntremiseError('document-invalid', {
      message: `The chain breaks at line ${broken.line} of ${broken.file}: that line was changed, or lines before it were taken out.`,
    });
  if (!headFound)
    throw new EntremiseError('document-invalid', {
      message: `The head ${head} is not there: lines were cut off, or these are not all the files.`,
    });
}

function momentOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw badUsage(`"${text}" is no time; write it like 2026-11-29T10:00:00Z.`);
  return ms;
}

async function search(files: readonly string[], options: SearchOptions): Promise<void> {
  const { text, action, since, until } = options;
  const wanted = { text, action, sinceMs: momentOf(since), untilMs: momentOf(until) };
  for await (const line of searchAudit(files, wanted)) print(jsonLine(line));
}
