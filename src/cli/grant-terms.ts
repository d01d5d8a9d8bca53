import type { Command } from 'commander';
import type { GrantTerms } from '../policy/grant-wish.ts';
import { type PermissionVerb, permissionVerbs } from '../policy/schema.ts';
import { quoted } from '../policy/target.ts';
import { collect } from './context.ts';
import { parseDuration } from './duration.ts';
import { parseLimits } from './grant-limits.ts';
import { badUsage } from './output.ts';

/** The options that say what a grant allows, wherever that is said: of a grant, a role, a delegate. */

/** What they are given as. */
export interface TermOptions {
  readonly purpose?: string;
  readonly allow?: string;
  readonly target?: string[];
  readonly tcp?: string;
  readonly udp?: string;
  readonly listenOn?: string[];
  readonly listenTcp?: string;
  readonly listenUdp?: string;
  readonly limit?: string[];
  readonly for?: string;
}

/** Adds them to a verb. */
export function addTermOptions(verb: Command, purpose: string, lives: string): Command {
  return verb
    .option('--purpose <purpose>', purpose)
    .option('--allow <commands>', `of ${permissionVerbs.join(',')}; all by default`)
    .option(
      '--target <network>',
      'reachable: a network, an address, "lan" or a class; "lan" by default',
      collect,
    )
    .option('--tcp <ranges>', 'reachable TCP numbers, like 80,443,8000-8999; all by default')
    .option('--udp <ranges>', 'reachable UDP numbers; all by default')
    .option('--listen-on <address>', 'gateway addresses that may be bound; "lan" by default', collect)
    .option('--listen-tcp <ranges>', 'TCP numbers that may be bound; 1024-65535 by default')
    .option('--listen-udp <ranges>', 'UDP numbers that may be bound; 1024-65535 by default')
    .option(
      '--limit <name=number>',
      'ports=64, streams=1024 at once, newStreamsPerSecond=100, bytesPerSecond; may be repeated',
      collect,
    )
    .option('--for <duration>', lives);
}

/** The parts of a list between commas. */
export function listed(text: string | undefined): string[] | undefined {
  return text
    ?.split(',')
    .map(part => part.trim())
    .filter(part => part !== '');
}

function isVerb(text: string): text is PermissionVerb {
  return permissionVerbs.some(verb => verb === text);
}

/** @throws EntremiseError `bad-usage` */
function commandsOf(text: string | undefined): PermissionVerb[] | undefined {
  const words = listed(text);
  const wrong = words?.find(word => !isVerb(word));
  if (wrong !== undefined) throw badUsage(`--allow: commands must be one of: ${permissionVerbs.join(', ')}.`);
  return words?.filter(isVerb);
}

/** @throws EntremiseError `bad-usage` */
export function purposeOf(text: string): 'assistance' | 'service' {
  if (text === 'assistance' || text === 'service') return text;
  throw badUsage(`--purpose is assistance or service, not ${quoted(text)}.`);
}

/** Only what was said, so that it can be laid over something else. */
function said<T extends object>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } | undefined {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return entries.length === 0
    ? undefined
    : (Object.fromEntries(entries) as { [K in keyof T]?: NonNullable<T[K]> });
}

/**
 * What the options say, and nothing else.
 * @throws EntremiseError `bad-usage`
 */
export function termsOf(options: TermOptions): GrantTerms {
  const { purpose, allow, target, tcp, udp, listenOn, listenTcp, listenUdp, limit } = options;
  const terms = said({
    purpose: purpose === undefined ? undefined : purposeOf(purpose),
    commands: commandsOf(allow),
    targets: said({ networks: target, tcp: listed(tcp), udp: listed(udp) }),
    ports: said({ addresses: listenOn, tcp: listed(listenTcp), udp: listed(listenUdp) }),
    limits: parseLimits(limit),
    lifeMs: options.for === undefined ? undefined : parseDuration(options.for),
  });
  return terms ?? {};
}
