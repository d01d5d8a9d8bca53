import { join } from 'node:path';
import { asEntremiseError } from '../base/errors.ts';
import { readStateFile, readStateFileIfPresent, writePrivateFile } from '../base/state-file.ts';
import { type MediatorConfig, mediatorConfigOf, parseMediatorConfig } from './config.ts';
import { uciTable } from './uci/uci-table.ts';
import { parseUci } from './uci/uci-text.ts';

/**
 * The file that a mediator is configured by, TOML or a router's UCI, and what is in force of it. A bad file never takes
 * the tunnel down: what was good before stays in force, and `problem` says what is wrong. On a router that outlives a
 * reboot, in a copy of the last good file beside the key.
 */

/** Where a router's mediator keeps its key and membership unless told otherwise. */
export const routerStateDir = '/etc/entremise/mediator';

/** Gone at a reboot: what is written all the time does not belong on flash. */
const routerRunDir = '/var/run/entremise';

/** Where a router's owner is answered. */
export const routerControlSocket = join(routerRunDir, 'control.sock');

const routerDefaults = {
  auditFile: join(routerRunDir, 'audit.jsonl'),
  // Twice that is of the router's memory.
  auditMaxBytes: 1024 * 1024,
  controlSocket: routerControlSocket,
  statusFile: join(routerRunDir, 'status.json'),
  // The init script keeps it.
  networkFile: join(routerRunDir, 'network.json'),
};

/** OpenWRT's own folder, or a copy that the service may read. */
export function isUci(path: string): boolean {
  return path.includes('/etc/config/') || path.endsWith('.uci');
}

function parseUciConfig(text: string, where: string, stateDir: string): MediatorConfig {
  const table = uciTable(parseUci(text, where), where);
  return mediatorConfigOf({ stateDir, ...routerDefaults, ...table }, where);
}

/**
 * Reads a mediator's configuration. `stateDir` is for a UCI file, which does not say it.
 * @throws EntremiseError `bad-config`, or `state-unreadable` when the file cannot be read
 */
export function readMediatorConfig(path: string, stateDir = routerStateDir): MediatorConfig {
  const text = readStateFile(path).toString('utf8');
  return isUci(path) ? parseUciConfig(text, path, stateDir) : parseMediatorConfig(text, path);
}

/** See the head of this file. */
export class ConfigFile {
  readonly path: string;
  private readonly stateDir: string;
  private readonly lastGoodPath: string;
  private inForce: MediatorConfig;
  private whatIsWrong: string | undefined;

  /** @throws EntremiseError as {@link readMediatorConfig}, when nothing good is known either */
  constructor(path: string, stateDir = routerStateDir) {
    this.path = path;
    this.stateDir = stateDir;
    this.lastGoodPath = join(stateDir, 'last-good.uci');
    this.inForce = this.readOr(thrown => this.lastGood() ?? fail(thrown));
  }

  /** What is in force. */
  get current(): MediatorConfig {
    return this.inForce;
  }

  /** Why the file is not what is in force, in one sentence. */
  get problem(): string | undefined {
    return this.whatIsWrong;
  }

  /** Reads the file again; gives what is in force now. */
  reread(): MediatorConfig {
    const before = this.inForce;
    this.inForce = this.readOr(() => before);
    return this.inForce;
  }

  private readOr(instead: (thrown: unknown) => MediatorConfig): MediatorConfig {
    try {
      const config = readMediatorConfig(this.path, this.stateDir);
      this.keep();
      this.whatIsWrong = undefined;
      return config;
    } catch (thrown) {
      this.whatIsWrong = asEntremiseError(thrown).message;
      return instead(thrown);
    }
  }

  private keep(): void {
    if (!isUci(this.path)) return;
    const text = readStateFile(this.path);
    // Flash wears out: only what is new is written.
    if (readStateFileIfPresent(this.lastGoodPath)?.equals(text) !== true)
      writePrivateFile(this.lastGoodPath, text);
  }

  private lastGood(): MediatorConfig | undefined {
    const bytes = isUci(this.path) ? readStateFileIfPresent(this.lastGoodPath) : undefined;
    if (bytes === undefined) return undefined;
    return parseUciConfig(bytes.toString('utf8'), this.lastGoodPath, this.stateDir);
  }
}

function fail(thrown: unknown): never {
  throw thrown;
}
