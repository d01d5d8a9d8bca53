import { systemClock } from '../base/clock.ts';
import { type Deferred, deferred } from '../base/deferred.ts';
import { EntremiseError } from '../base/errors.ts';
import { createLog, type Log } from '../base/log.ts';
import { StatusFile } from '../base/status-file.ts';
import type { MediatorConfig } from './config.ts';
import type { ConfigFile } from './config-file.ts';
import { Consent } from './control/consent.ts';
import { ControlSocket, type Controls } from './control/control-socket.ts';
import { RecentEvents } from './control/recent-events.ts';
import { isoTime } from './control/status.ts';
import { type MediatorOptions, type RunningMediator, startMediator } from './main.ts';

/** The mediator as a program: what signals and the gateway's owner do to it. */

/** What ends a round: another configuration, or undefined for good. */
type Round = Deferred<MediatorConfig | undefined>;

function reread(file: ConfigFile, mediator: RunningMediator, round: Round, log: Log): void {
  const next = file.reread();
  if (file.problem !== undefined)
    log.error({ reason: file.problem }, 'configuration not taken; what was good before stays in force');
  else if (!mediator.adopt(next)) round.resolve(next);
}

/** What there is of the program between its rounds too. */
interface Program {
  readonly file: ConfigFile;
  readonly options: MediatorOptions & { readonly log: Log; readonly consent: Consent };
  readonly recent: RecentEvents;
  running: RunningMediator | undefined;
  statusFile: StatusFile | undefined;
}

function controlsOf(program: Program): Controls {
  const { file, options, recent } = program;
  const { consent, log } = options;
  return {
    status() {
      if (program.running === undefined)
        throw new EntremiseError('wrong-state', { message: 'The mediator is just starting; ask again.' });
      const { path, problem } = file;
      const configuration = problem === undefined ? { path } : { path, problem };
      return { ...program.running.status(), configuration, recent: recent.all };
    },
    allow(minutes, purpose) {
      consent.allow(minutes, purpose === undefined ? undefined : [purpose]);
      log.info({ minutes, purpose }, 'the owner has opened the consent window');
      program.statusFile?.look();
    },
    stop() {
      log.info({}, 'the owner has stopped all access');
      consent.stop();
      program.statusFile?.look();
    },
  };
}

function statusFileOf(program: Program, controls: Controls): StatusFile | undefined {
  const { file, options } = program;
  const { statusFile } = file.current;
  const read = () => (program.running === undefined ? undefined : controls.status());
  return statusFile === undefined ? undefined : new StatusFile(statusFile, read, systemClock, options.log);
}

/**
 * Runs a mediator until SIGTERM or SIGINT. SIGHUP reads the file again: what the owner allows is in force at once; where
 * anything else has changed, the mediator starts anew. SIGUSR2 is the owner's stop, for who has no time to start a client.
 * @throws EntremiseError as {@link startMediator}
 */
export async function runMediator(file: ConfigFile, options: MediatorOptions): Promise<void> {
  const { current } = file;
  const recent = new RecentEvents(() => isoTime(systemClock.wallTimeMs()));
  const {
    log = createLog(current.logLevel, 2, (fields, message) => recent.note(fields, message)),
    consent = new Consent(current.stateDir, systemClock),
  } = options;
  const program: Program = {
    file,
    options: { ...options, log, consent },
    recent,
    running: undefined,
    statusFile: undefined,
  };
  if (file.problem !== undefined)
    log.error({ reason: file.problem }, 'configuration not taken; what was good before is in force');
  // Nothing else need keep the process alive while the server is away.
  const alive = setInterval(() => {}, 2 ** 30);
  const controls = controlsOf(program);
  const socket = new ControlSocket(current.controlSocket, controls, log);
  const statusFile = statusFileOf(program, controls);
  program.statusFile = statusFile;
  statusFile?.start();
  const stop = () => controls.stop();
  process.on('SIGUSR2', stop);
  try {
    let config: MediatorConfig | undefined = current;
    while (config !== undefined) config = await oneRound(config, program);
  } finally {
    process.off('SIGUSR2', stop);
    socket.close();
    statusFile?.close();
    clearInterval(alive);
  }
}

async function oneRound(config: MediatorConfig, program: Program): Promise<MediatorConfig | undefined> {
  const { file, options } = program;
  const mediator = await startMediator(config, options);
  const round: Round = deferred();
  const end = () => round.resolve(undefined);
  const reload = () => reread(file, mediator, round, options.log);
  process.once('SIGTERM', end).once('SIGINT', end).on('SIGHUP', reload);
  program.running = mediator;
  try {
    return await round.promise;
  } finally {
    process.off('SIGTERM', end).off('SIGINT', end).off('SIGHUP', reload);
    program.running = undefined;
    await mediator.stop();
  }
}
