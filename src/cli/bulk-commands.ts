import { type BulkWork, bulkWork, type MediatorAttachment } from '../terminal/index.ts';
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
  ): Promise<{ readonly fields: object; readonly sentence: string }>;
}

type Run = BulkCommand['run'];

function told<T extends object>(work: BulkWork<T>, sentence: (result: T) => string): Run {
  return async (attachment, signal) => {
    const fields = await work(attachment, signal);
    return { fields, sentence: sentence(fields) };
  };
}

function connect(target: string): Run {
  const sentence = ({ connected, afterMs }: { connected: { host: string; port: number }; afterMs: number }) =>
    `${endpointText(connected)} answers after ${afterMs} ms`;
  return told(bulkWork.connect(parseEndpoint(target)), sentence);
}

function open(lanPort: string): Run {
  const { protocol, listen } = parseLanPort(lanPort);
  const { host: address, port: number } = listen;
  return told(bulkWork.open({ protocol, address, number }), () => `${protocol} ${number} can be had`);
}

function resolve(name: string): Run {
  return told(bulkWork.resolve(name), ({ addresses }) => addresses.join(', '));
}

const ports = told(bulkWork.ports, ({ ports: open }) => {
  const texts = open.map(
    ({ protocol, address, number, state }) =>
      `${protocol} ${endpointText({ host: address, port: number })} ${state}`,
  );
  return texts.join('; ') || 'no ports';
});

const limits = told(bulkWork.limits, ({ limits: all }) =>
  all.map(({ name, used, allowed }) => `${name} ${used}/${allowed}`).join(', '),
);

const devices = told(bulkWork.devices, ({ devices: all }) => {
  const names = all.map(({ name, addresses }) => `${name ?? '-'} ${addresses.join(' ')}`);
  return `${all.length} devices${names.length === 0 ? '' : `: ${names.join('; ')}`}`;
});

/** The commands there are, with what they want. */
export const bulkCommandsHelp = `
Commands:
  connect <host:port>             does a target answer? (it is connected to, and reset)
  open <[address:]port[/udp]>     can that number be had? (it is opened, and closed)
  resolve <name>                  what a name means there
  ports                           what this terminal's key has open
  limits                          limits, and how much of them is used
  devices                         who is in the LAN`;

/**
 * Reads the words of a command.
 * @throws EntremiseError `bad-usage`
 */
export function parseBulkCommand(words: readonly string[]): BulkCommand {
  const [verb = '', argument, ...more] = words;
  const text = words.join(' ');
  const wants = { connect, open, resolve } as const;
  const alone = { ports, limits, devices } as const;
  if (verb in wants && argument !== undefined && more.length === 0)
    return { text, run: wants[verb as keyof typeof wants](argument) };
  if (verb in alone && argument === undefined) return { text, run: alone[verb as keyof typeof alone] };
  throw badUsage(`"${text}" is no command for many mediators: --help shows those there are.`);
}
