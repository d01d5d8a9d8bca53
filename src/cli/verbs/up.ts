import { resolve } from 'node:path';
import process from 'node:process';
import type { Command } from 'commander';
import { AttachmentKeeper, type Endpoint, type Terminal } from '../../terminal/index.ts';
import { type Context, contextOf } from '../context.ts';
import { endpointText } from '../endpoint-text.ts';
import { cliHoldMs } from '../keeper.ts';
import { type EntryStatus, KeptEntry } from '../kept-entry.ts';
import { print } from '../output.ts';
import { StatusBoard } from '../status-board.ts';
import { untilAborted } from '../until-aborted.ts';
import { readUpFile, type UpEntry } from '../up-file.ts';
import { userUnit } from '../user-unit.ts';
import { withTerminal } from '../with-terminal.ts';

const examples = `
The file:
  [[mediator]]
  name = "home-4711"
  forward = ["8080:192.168.1.10:80", "5353:192.168.1.1:53/udp"]
  expose = [{ port = "8000", target = "127.0.0.1:8000" }]

Examples:
  entremise up office.toml
  entremise up office.toml --check
  entremise up office.toml --systemd > ~/.config/systemd/user/entremise-office.service
  systemctl --user enable --now entremise-office        # and: loginctl enable-linger, to begin at boot`;

/** Adds `entremise up`. */
export function addUpVerb(program: Command): void {
  program
    .command('up')
    .description('keeps the forwards and exposes of a file for ever, one status line each')
    .argument('<file>')
    .option('--check', 'only says whether the file is right')
    .option('--systemd', 'prints a systemd user unit that keeps it')
    .addHelpText('after', examples)
    .action((file: string, options: { check?: boolean; systemd?: boolean }, command) => {
      const context = contextOf(command);
      const entries = readUpFile(file);
      if (options.check === true) return check(context, file, entries);
      if (options.systemd === true) return print(unitOf(context, file));
      return up(context, entries);
    });
}

function check({ output }: Context, file: string, entries: readonly UpEntry[]): void {
  output.result({ file, entries: entries.length }, [`${file} is right: ${entries.length} to keep.`]);
}

function unitOf({ profileName }: Context, file: string): string {
  const { XDG_CONFIG_HOME } = process.env;
  const profile = profileName === 'default' ? [] : ['--profile', profileName];
  return userUnit({
    file: resolve(file),
    program: [process.execPath, resolve(process.argv[1] ?? ''), ...profile],
    environment: XDG_CONFIG_HOME === undefined ? {} : { XDG_CONFIG_HOME },
  });
}

/** What all entries tell, as lines for people or as JSON. */
class Teller {
  private readonly output: Context['output'];
  private readonly board: StatusBoard;
  private readonly width: number;
  private readonly entries: readonly UpEntry[];

  constructor({ output }: Context, entries: readonly UpEntry[]) {
    this.output = output;
    this.entries = entries;
    this.width = Math.max(...entries.map(entry => nameOf(entry).length));
    const columns = process.stdout.isTTY ? process.stdout.columns : undefined;
    this.board = new StatusBoard(entries.length, { columns, write: print });
  }

  tell(index: number, { state, at, channel, text }: EntryStatus): void {
    const entry = this.entries[index];
    if (entry === undefined) return;
    const { kind, mediator } = entry;
    if (this.output.json) this.output.result({ [kind]: entry.text, mediator, state, at, channel, text }, []);
    else this.board.set(index, `${nameOf(entry).padEnd(this.width)}  ${text}`);
  }

  refused(index: number, from: Endpoint, error: Error): void {
    const entry = this.entries[index];
    if (entry === undefined) return;
    const text = `${nameOf(entry)}: ${endpointText(from)} not served: ${error.message}`;
    const fields = { [entry.kind]: entry.text, mediator: entry.mediator, from, refused: error.message };
    if (this.output.json) this.output.status(text, fields);
    else this.board.say(text);
  }
}

function nameOf({ kind, mediator, text }: UpEntry): string {
  return `${mediator} ${kind} ${text}`;
}

function keepers(
  terminal: Terminal,
  entries: readonly UpEntry[],
  signal: AbortSignal,
): Map<string, AttachmentKeeper> {
  const names = new Set(entries.map(({ mediator }) => mediator));
  const keep = (name: string) =>
    new AttachmentKeeper(terminal, name, { signal, holdMs: cliHoldMs, forever: true });
  return new Map([...names].map(name => [name, keep(name)]));
}

function up(context: Context, entries: readonly UpEntry[]): Promise<void> {
  const work = async (terminal: Terminal, signal: AbortSignal) => {
    const teller = new Teller(context, entries);
    const sources = keepers(terminal, entries, signal);
    const kept = entries.flatMap((entry, index) => {
      const source = sources.get(entry.mediator);
      if (source === undefined) return [];
      return new KeptEntry(entry, source, {
        onStatus: status => teller.tell(index, status),
        onRefused: (from, error) => teller.refused(index, from, error),
      });
    });
    await untilAborted(signal);
    for (const each of kept) each.close();
    for (const source of sources.values()) source.close();
  };
  return withTerminal(context, work, { patient: true });
}
