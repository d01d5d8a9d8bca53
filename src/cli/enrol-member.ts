import process from 'node:process';
import { createInterface } from 'node:readline/promises';
import type { Log } from '../base/log.ts';
import { software } from '../base/version.ts';
import type { MemberDirectory } from '../member/directory.ts';
import { enrolMember } from '../member/enrol.ts';
import { parseEnrolmentCode } from '../policy/enrolment-code.ts';
import { serverAddressOf } from './as-usage.ts';
import { badUsage, type Output } from './output.ts';

/** The code never stands on a command line, which everybody on the machine can read. */
async function readCode(): Promise<string> {
  const given = process.env.ENTREMISE_CODE;
  if (given !== undefined && given !== '') return given;
  const interactive = process.stdin.isTTY === true;
  const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: interactive });
  try {
    return interactive ? await lines.question('Enrolment code: ') : await firstLine(lines);
  } finally {
    lines.close();
  }
}

async function firstLine(lines: AsyncIterable<string>): Promise<string> {
  for await (const line of lines) return line;
  throw badUsage('No enrolment code came: set ENTREMISE_CODE or write it to standard input.');
}

/** What an enrolment by hand needs. */
export interface EnrolByHand {
  readonly output: Output;
  readonly log: Log;
  readonly directory: MemberDirectory;
  readonly role: 'mediator' | 'terminal';
  /** `host:number`. */
  readonly server: string;
}

/**
 * Enrols the member whose directory this is; the code is asked for.
 * @throws EntremiseError `bad-usage` when it is enrolled already, and what the enrolment fails with
 */
export async function enrol({ output, log, directory, role, server }: EnrolByHand): Promise<void> {
  const existing = directory.membership();
  if (existing !== undefined) {
    throw badUsage(
      `${directory.path} is already enrolled as ${existing.name}; use another ${role === 'terminal' ? '--profile' : '--state'}, or move it away first.`,
    );
  }
  const address = serverAddressOf(server);
  const code = parseEnrolmentCode(await readCode());
  const membership = await enrolMember({ directory, role, code, server: address, software, log });
  const key = directory.key().text;
  output.result({ name: membership.name, role, key, directory: directory.path }, [
    `enrolled as ${role} ${membership.name}`,
    `  key        ${key}`,
    `  directory  ${directory.path}`,
  ]);
}
