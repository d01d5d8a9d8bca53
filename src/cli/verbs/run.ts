import process from 'node:process';
import type { Command } from 'commander';
import { requireAddon } from '../../native/addon.ts';
import { type AttachmentKeeper, EnclosureDoor, type Endpoint, reasonOf } from '../../terminal/index.ts';
import { type Context, contextOf } from '../context.ts';
import { enclosureAddresses } from '../enclosure/network-rules.ts';
import { type Enclosure, openEnclosure } from '../enclosure/outside.ts';
import { requireTools } from '../enclosure/tools.ts';
import { endpointText } from '../endpoint-text.ts';
import { CommandEnded } from '../exit-codes.ts';
import { keepAttached } from '../keeper.ts';
import { withTerminal } from '../with-terminal.ts';

const examples = `
Examples:
  entremise run home-4711 -- curl http://192.168.1.10/
  entremise run home-4711 -- ssh root@printer             # names are resolved on the mediator
  entremise run home-4711 -- bash                         # a shell, and whatever is run from it

The command has a network of its own whose every address is one of the mediator's LAN, so that two of them side by
side may both have 192.168.1.0/24. TCP, UDP and names go; ICMP (ping), broadcast and multicast do not, and
nothing can connect to the command. The exit code is the command's: 128 and the signal's number when a signal
ended it, 126 or 127 when it cannot be run; before it runs, one of those of all verbs. What it leaves running ends
with it.`;

interface RunFlags {
  readonly quiet?: boolean;
}

/** Adds `entremise run`. */
export function addRunVerb(program: Command): void {
  program
    .command('run')
    .description('a command in a network of its own, which is the mediator’s LAN')
    .argument('<mediator>')
    .argument('<command...>', 'behind --, with its own words')
    .option('--quiet', 'say nothing of the way and of what is refused')
    .addHelpText('after', examples)
    .action((mediator: string, words: string[], flags: RunFlags, command: Command) =>
      run(contextOf(command), mediator, words, flags),
    );
}

/** As a shell tells it: 128 and the number of SIGINT. */
const interrupted = 130;

async function run(given: Context, mediator: string, words: string[], { quiet }: RunFlags): Promise<void> {
  const context = quiet === true ? { ...given, output: { ...given.output, status() {} } } : given;
  requireAddon();
  requireTools();
  let code = interrupted;
  await withTerminal(context, async (terminal, signal, leaveSignals) => {
    const source = keepAttached(context, terminal, mediator, signal);
    try {
      await Promise.race([source.done, new Promise(resolve => source.once('attached', resolve))]);
      if (signal.aborted) return;
      // From here on the command says what a signal means.
      leaveSignals();
      code = await enclosed(context, source, words);
    } finally {
      source.close();
    }
  });
  throw new CommandEnded(code);
}

async function enclosed(
  context: Context,
  source: AttachmentKeeper,
  words: readonly string[],
): Promise<number> {
  let door: EnclosureDoor | undefined;
  const enclosure = await openEnclosure(({ packet, note }) => door?.onPacket(packet, note));
  door = new EnclosureDoor({
    source,
    nameServer: enclosureAddresses.nameServer,
    inject: enclosure.inject,
    refused: refusalTeller(context),
  });
  const accepting = door;
  enclosure.listener.on('connection', socket => accepting.onAccepted(socket));
  const stopPassing = passSignals(enclosure);
  tell(context, source.mediatorName, words);
  try {
    const code = await enclosure.run(words);
    await turn();
    await door.drained();
    return code;
  } finally {
    stopPassing();
    door.close();
    enclosure.close();
  }
}

/** What lies in the pipe is read before the loop turns. */
const turn = () => new Promise(resolve => setImmediate(resolve));

function tell({ output }: Context, mediator: string, words: readonly string[]): void {
  const ways = 'TCP, UDP and names go to its LAN, ICMP and broadcasts do not';
  output.status(`${words[0]}: in a network namespace of its own, by ${mediator}: ${ways}`, {
    run: words,
    mediator,
    goes: ['tcp', 'udp', 'names'],
  });
}

/** The command sees a refusal of the device itself; the rest is told, each once. */
function refusalTeller({ output }: Context): (target: Endpoint, error: Error) => void {
  const told = new Set<string>();
  return (target, error) => {
    const reason = reasonOf(error);
    const key = `${endpointText(target)} ${reason}`;
    if (reason === 'refused' || told.has(key) || told.size >= 100) return;
    told.add(key);
    output.status(`${endpointText(target)} not served: ${error.message}`, { target, refused: error.message });
  };
}

/** Ctrl-C at a terminal reaches the command by itself; whatever another process sends is handed on. */
function passSignals(enclosure: Enclosure): () => void {
  const atTerminal = [process.stdin, process.stdout, process.stderr].some(({ isTTY }) => isTTY);
  const signals = ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'] as const;
  const pass = (signal: NodeJS.Signals) => {
    const reachesAll = signal === 'SIGINT' || signal === 'SIGQUIT' || signal === 'SIGWINCH';
    if (!atTerminal || !reachesAll) enclosure.signal(signal);
  };
  for (const signal of signals) process.on(signal, pass);
  return () => {
    for (const signal of signals) process.off(signal, pass);
  };
}
