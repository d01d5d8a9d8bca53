import { type Deferred, deferred } from '../base/deferred.ts';
import { createLog, type Log } from '../base/log.ts';
import type { MediatorConfig } from './config.ts';
import type { ConfigFile } from './config-file.ts';
import { type MediatorOptions, type RunningMediator, startMediator } from './main.ts';

/** The mediator as a program: what signals do to it. */

/** What ends a round: another configuration, or undefined for good. */
type Round = Deferred<MediatorConfig | undefined>;

function reread(file: ConfigFile, mediator: RunningMediator, round: Round, log: Log): void {
  const next = file.reread();
  if (file.problem !== undefined)
    log.error({ reason: file.problem }, 'configuration not taken; what was good before stays in force');
  else if (!mediator.adopt(next)) round.resolve(next);
}

/**
 * Runs a mediator until SIGTERM or SIGINT. SIGHUP reads the file again: what the owner allows is in force at once; where
 * anything else has changed, the mediator starts anew.
 * @throws EntremiseError as {@link startMediator}
 */
export async function runMediator(file: ConfigFile, options: MediatorOptions): Promise<void> {
  const { log = createLog(file.current.logLevel) } = options;
  if (file.problem !== undefined)
    log.error({ reason: file.problem }, 'configuration not taken; what was good before is in force');
  // Nothing else need keep the process alive while the server is away.
  const alive = setInterval(() => {}, 2 ** 30);
  try {
    let config: MediatorConfig | undefined = file.current;
    while (config !== undefined) config = await oneRound(config, file, { ...options, log });
  } finally {
    clearInterval(alive);
  }
}

async function oneRound(
  config: MediatorConfig,
  file: ConfigFile,
  options: MediatorOptions & { readonly log: Log },
): Promise<MediatorConfig | undefined> {
  const mediator = await startMediator(config, options);
  const round: Round = deferred();
  const end = () => round.resolve(undefined);
  const reload = () => reread(file, mediator, round, options.log);
  process.once('SIGTERM', end).once('SIGINT', end).on('SIGHUP', reload);
  try {
    return await round.promise;
  } finally {
    process.off('SIGTERM', end).off('SIGINT', end).off('SIGHUP', reload);
    await mediator.stop();
  }
}
