import process from 'node:process';
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { systemClock } from '../../base/clock.ts';
import { software } from '../../base/version.ts';
import type { MemberDirectory } from '../../member/directory.ts';
import { enrolMember } from '../../member/enrol.ts';
import { parseEnrolmentCode } from '../../policy/enrolment-code.ts';
import { parseServerAddress } from '../../policy/server-address.ts';
import { type Context, contextOf } from '../context.ts';
import { badUsage } from '../output.ts';

/** Adds `entremise enroll`. */
export function addEnrollVerb(program: Command): void {
  program
    .command('enroll')
    .description('make this profile a terminal of an operator, with the code that the operator gave')
    .requiredOption('--server <host:port>', 'where the server is')
    .addHelpText('after', codeHelp)
    .action((options: { server: string }, command) => {
      const context = contextOf(command);
      return enrol(context, context.profile, 'terminal', options.server);
    });
}

/** Where the code comes from: never the command line, which everybody on the machine can read. */
export const codeHelp = `
The code is read from ENTREMISE_CODE, else from standard input.

Example:
  entremise enroll --server server.example:443`;

async function readCode(): Promise<string> {
  const given = process.env.ENTREMISE_CODE;
  if (given !== undefined && given !== '') return given;
  const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: process.stdin.isTTY === true });
  try {
    return process.stdin.isTTY === true ? await lines.question('Enrolment code: ') : await firstLine(lines);
  } finally {
    lines.close();
  }
}

async function firstLine(lines: AsyncIterable<string>): Promise<string> {
  for await (const line of lines) return line;
  throw badUsage('No enrolment code came: set ENTREMISE_CODE or write it to standard input.');
}

/** Enrols the member whose directory this is; the code is asked for. */
export async function enrol(
  context: Context,
  directory: MemberDirectory,
  role: 'mediator' | 'terminal',
  server: string,
): Promise<void> {
  const existing = directory.membership();
  if (existing !== undefined) {
    throw badUsage(`${directory.path} is already enrolled as ${existing.name}; use another profile, or move it away first.`);
  }
  const address = parseServerAddress(server);
  const code = parseEnrolmentCode(await readCode());
  const membership = await enrolMember({ directory, role, code, server: address, software, log: context.log });
  const key = directory.key().text;
  context.output.result({ name: membership.name, role, key, directory: directory.path, enrolledAt: systemClock.wallTimeMs() }, [
    `enrolled as ${role} ${membership.name}`,
    `  key        ${key}`,
    `  directory  ${directory.path}`,
  ]);
}
