import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { demolish } from './cleanup.ts';
import { commandLine } from './command.ts';
import { LabError } from './errors.ts';
import type { Namespace } from './namespace.ts';
import type { Program } from './process.ts';
import { isLabId, type ProcessIdentity } from './registry.ts';
import { inUserNamespace } from './support.ts';

/** What a detached lab's state file holds: enough to use the lab by hand, and to take it down. */
export interface LabState {
  readonly version: 1;
  readonly labId: string;
  /** Pids of before a reboot mean nothing. */
  readonly bootId: string;
  /** Name in the lab, and name for `ip netns exec`. */
  readonly namespaces: readonly { readonly name: string; readonly netns: string }[];
  readonly programs: readonly (ProcessIdentity & {
    readonly where: string;
    readonly command: string;
    readonly outputFile: string | undefined;
  })[];
}

/** Writes the state of a lab that is about to be detached. @throws LabError `unsupported`, `state-file` */
export function writeStateFile(
  stateFile: string,
  lab: { labId: string; namespaces: readonly Namespace[]; programs: readonly Program[] },
): void {
  if (inUserNamespace()) {
    throw new LabError('unsupported', 'a lab in a user namespace ends with its processes: detach needs root');
  }
  const state: LabState = {
    version: 1,
    labId: lab.labId,
    bootId: bootId(),
    namespaces: lab.namespaces.map(({ name, netns }) => ({ name, netns })),
    programs: lab.programs.map(({ identity, where, argv, outputFile }) => ({
      ...identity,
      where,
      command: commandLine(argv),
      outputFile,
    })),
  };
  try {
    mkdirSync(dirname(stateFile), { recursive: true });
    writeFileSync(stateFile, `${JSON.stringify(state, null, 2)}\n`);
  } catch (cause) {
    throw new LabError('state-file', `cannot write ${stateFile}: ${String(cause)}`, { cause });
  }
}

/**
 * Reads what `Lab.detach` wrote.
 *
 * @throws LabError `state-file` when it cannot be read or is none.
 */
export function readStateFile(stateFile: string): LabState {
  let state: LabState;
  try {
    state = JSON.parse(readFileSync(stateFile, 'utf8')) as LabState;
  } catch (cause) {
    throw new LabError('state-file', `cannot read ${stateFile}: ${String(cause)}`, { cause });
  }
  // A wrong id here would remove somebody else's namespaces, a wrong pid kill somebody else's program.
  const sound =
    state?.version === 1 &&
    isLabId(String(state.labId)) &&
    Array.isArray(state.programs) &&
    state.programs.every(
      ({ pid, startTicks }) => Number.isInteger(pid) && pid > 1 && Number.isInteger(startTicks),
    );
  if (!sound) throw new LabError('state-file', `${stateFile} is not the state file of a detached lab`);
  return state;
}

/**
 * Takes a detached lab down: its programs, its namespaces, its state file. What is gone already is no error.
 *
 * @throws LabError `state-file`, `left-behind`
 */
export function teardown(stateFile: string): LabState {
  const state = readStateFile(stateFile);
  demolish(state.labId, state.bootId === bootId() ? state.programs : []);
  rmSync(stateFile, { force: true });
  return state;
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
