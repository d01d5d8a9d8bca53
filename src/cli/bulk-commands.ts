import { once } from 'node:events';
import type { MediatorAttachment } from '../terminal/index.ts';
import { endpointText } from './endpoint-text.ts';
import { parseEndpoint, parseLanPort } from './forward-spec.ts';
import { badUsage } from './output.ts';

/** Something that is done at each mediator: what came of it, as fields and as a sentence. */
export interface BulkCommand {
  /** As it was typed. */
  readonly text: string;
  run(
    attachment: MediatorAttachment,
    signal: AbortSignal,
  ): Promise<{ readonly fields: Readonly<Record<string, unknown>>; readonly sentence: string }>;
}

type Run = BulkCommand['run'];

/** OPEN and CONNECT: is there somebody? */
function connect(target: string): Run {
  const { host, port } = parseEndpoint(target);
  return async (attachment, signal) => {
    const began = performance.now();
    const socket = attachment.connect({ host, port, signal });
    await once(socket, 'connect');
    const afterMs = Math.round(performance.now() - began);
    const at = { host: socket.remoteAddress ?? host, port };
    socket.resetAndDestroy();
    return {
      fields: { connected: at, afterMs },
      sentence: `${endpointText(at)} answers after ${afterMs} ms`,
    };
  };
}

/** OPEN of that very number, and CLOSE: could it be had? */
function open(lanPort: string): Run {
  const { protocol, listen } = parseLanPort(lanPort);
  const { host: address, port: number } = listen;
  return async (attachment, signal) => {
    const where = address === undefined ? {} : { address };
    const port = await attachment.open({ protocol, number, choice: 'mandatory', signal, ...where });
    await port.close();
    return { fields: { free: { protocol, number } }, sentence: `${protocol} ${number} can be had` };
  };
}

function resolve(name: string): Run {
  return async (attachment, signal) => {
    const addresses = await attachment.resolve(name, { signal });
    return { fields: { addresses }, sentence: addresses.join(', ') };
  };
}

/** QUERY key-ports: what all attachments of this terminal's key have open. */
const ports: Run = async attachment => {
  const open = await attachment.keyPorts();
  const texts = open.map(
    ({ protocol, address, number, state }) =>
      `${protocol} ${endpointText({ host: address, port: number })} ${state}`,
  );
  return { fields: { ports: texts }, sentence: texts.join('; ') || 'no ports' };
};

const limits: Run = async attachment => {
  const all = await attachment.limits();
  const sentence = all.map(({ name, used, allowed }) => `${name} ${used}/${allowed}`).join(', ');
  return { fields: { limits: all }, sentence };
};

/** The commands there are, with what they want. */
export const bulkCommandsHelp = `
Commands:
  connect <host:port>             does a target answer? (it is connected to, and reset)
  open <[address:]port[/udp]>     can that number be had? (it is opened, and closed)
  resolve <name>                  what a name means there
  ports                           what this terminal's key has open
  limits                          limits, and how much of them is used`;

/**
 * Reads the words of a command.
 * @throws EntremiseError `bad-usage`
 */
export function parseBulkCommand(words: readonly string[]): BulkCommand {
  const [verb = '', argument, ...more] = words;
  const text = words.join(' ');
  const wants = { connect, open, resolve } as const;
  const alone = { ports, limits } as const;
  if (verb in wants && argument !== undefined && more.length === 0)
    return { text, run: wants[verb as keyof typeof wants](argument) };
  if (verb in alone && argument === undefined) return { text, run: alone[verb as keyof typeof alone] };
  throw badUsage(`"${text}" is no command for many mediators: --help shows those there are.`);
}
