import type { Command } from 'commander';
import type { PortEvent } from '../../terminal/index.ts';
import { type Context, contextOf } from '../context.ts';
import { examples } from '../examples.ts';
import { table } from '../output.ts';
import { withAttachment } from '../with-terminal.ts';

/** Adds `entremise events` and `entremise ports`. */
export function addEventsVerb(program: Command): void {
  program
    .command('events')
    .description('what happens on your ports of a mediator: connected, fin, rst, as long as you look')
    .argument('<mediator>')
    .addHelpText('after', examples('events home-4711', 'events home-4711 --json | jq .kind'))
    .action((name: string, _options, command) => follow(contextOf(command), name));
  program
    .command('ports')
    .description('the ports that your terminal has open on a mediator')
    .argument('<mediator>')
    .addHelpText('after', examples('ports home-4711'))
    .action((name: string, _options, command) => ports(contextOf(command), name));
}

function follow(context: Context, name: string): Promise<void> {
  return withAttachment(context, name, async (attachment, signal) => {
    const ended = new Promise<void>((resolve, reject) => {
      attachment.on('event', event => context.output.result(described(event), [sentence(event)]));
      attachment.on('closed', ({ error }) => reject(error));
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await attachment.watchEvents();
    context.output.status(`following ${name}`);
    await ended;
  });
}

/** An event as --json gives it: byte strings as hex. */
function described(event: PortEvent): Record<string, unknown> {
  const { attachment, ...rest } = event;
  return attachment === undefined ? rest : { ...rest, attachment: Buffer.from(attachment).toString('hex') };
}

function sentence(event: PortEvent): string {
  const { kind, port, timeMs, attachment: _attachment, ...rest } = event;
  const details = Object.entries(rest).map(([key, value]) => `${key} ${String(value)}`);
  return `${new Date(timeMs).toISOString()}  port ${port}  ${kind}  ${details.join('  ')}`;
}

function ports(context: Context, name: string): Promise<void> {
  return withAttachment(context, name, async attachment => {
    const list = await attachment.keyPorts();
    const rows = list.map(({ port, protocol, address, number, state, streams }) => [
      `${port}`,
      protocol,
      address.includes(':') ? `[${address}]:${number}` : `${address}:${number}`,
      state,
      `${streams}`,
    ]);
    context.output.result(
      list.map(({ attachment: _attachment, ...each }) => each),
      list.length === 0
        ? ['no port is open']
        : table([['PORT', 'PROTOCOL', 'ADDRESS', 'STATE', 'STREAMS'], ...rows]),
    );
  });
}
