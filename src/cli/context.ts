import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { Command } from 'commander';
import { createLog, type Log } from '../base/log.ts';
import { MemberDirectory } from '../member/directory.ts';
import { quoted } from '../policy/target.ts';
import { badUsage, createOutput, type Output } from './output.ts';

/** What every verb has: where things are, where output goes, the log. */
export interface Context {
  readonly output: Output;
  readonly log: Log;
  /** The terminal's own directory (`--profile`). */
  readonly profile: MemberDirectory;
  readonly profileName: string;
  /** The authority's directory (`--authority`). */
  readonly authorityPath: string;
  /** The state directory of a server on this machine, when one was named (`--server-state`). */
  readonly serverState: string | undefined;
}

/** Flag, else environment, else undefined (architecture: flag > environment > file). */
function chosen(flag: unknown, variable: string): string | undefined {
  if (typeof flag === 'string') return flag;
  const value = process.env[variable];
  return value === undefined || value === '' ? undefined : value;
}

/** Where a user's configuration lies (XDG base directories). */
function configHome(): string {
  const base = process.env.XDG_CONFIG_HOME;
  return join(base !== undefined && base !== '' ? base : join(homedir(), '.config'), 'entremise');
}

/** Adds the options that all verbs share. */
export function addSharedOptions(program: Command): void {
  program
    .option('--profile <name>', 'the terminal identity to use (ENTREMISE_PROFILE; default "default")')
    .option('--authority <directory>', 'the authority to sign with (ENTREMISE_AUTHORITY)')
    .option('--server-state <directory>', 'state of a server on this machine (ENTREMISE_SERVER_STATE)')
    .option(
      '--log-level <level>',
      'fatal, error, warn, info, debug or trace (ENTREMISE_LOG_LEVEL; default "warn")',
    )
    .option('--json', 'print one JSON value per result, for programs');
}

const levels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

/**
 * The log level that a flag or the environment names, or undefined.
 * @throws EntremiseError `bad-usage`
 */
export function logLevelOf(command: Command): string | undefined {
  const level = chosen(command.optsWithGlobals().logLevel, 'ENTREMISE_LOG_LEVEL');
  if (level === undefined || levels.includes(level)) return level;
  throw badUsage(`${quoted(level)} is no log level; choose one of: ${levels.join(', ')}.`);
}

/**
 * The context that a verb's options, the environment and the defaults make together.
 * @throws EntremiseError `bad-usage`
 */
export function contextOf(command: Command): Context {
  const options: Record<string, unknown> = command.optsWithGlobals();
  const profileName = chosen(options.profile, 'ENTREMISE_PROFILE') ?? 'default';
  if (!/^\w[\w.-]{0,63}$/.test(profileName) || profileName === 'authority') {
    throw badUsage(
      'A profile name has 1 to 64 letters, digits, ".", "_" or "-", begins with none of ".-", and is not "authority".',
    );
  }
  return {
    output: createOutput(options.json === true),
    log: createLog(logLevelOf(command) ?? 'warn'),
    profile: new MemberDirectory(join(configHome(), profileName)),
    profileName,
    authorityPath: chosen(options.authority, 'ENTREMISE_AUTHORITY') ?? join(configHome(), 'authority'),
    serverState: chosen(options.serverState, 'ENTREMISE_SERVER_STATE'),
  };
}

/** For an option that may be given several times. */
export function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}
