import type { Command } from 'commander';
import { joinStdio } from '../../terminal/index.ts';
import { type Context, contextOf } from '../context.ts';
import { parseEndpoint } from '../forward-spec.ts';
import { withAttachment } from '../with-terminal.ts';

const examples = `
Examples:
  entremise connect home-4711 192.168.1.10:80
  ssh -o ProxyCommand='entremise connect home-4711 %h:%p' root@192.168.1.20
  rsync -e "ssh -o ProxyCommand='entremise connect home-4711 %h:%p'" file root@192.168.1.20:/tmp/`;

/** Adds `entremise connect`. */
export function addConnectVerb(program: Command): void {
  program
    .command('connect')
    .description('one connection from the mediator, on stdin and stdout')
    .argument('<mediator>')
    .argument('<host:port>')
    .addHelpText('after', examples)
    .action((mediator: string, target: string, _options, command) =>
      connect(contextOf(command), mediator, parseEndpoint(target)),
    );
}

function connect(context: Context, mediator: string, target: { host: string; port: number }): Promise<void> {
  return withAttachment(context, mediator, async (attachment, signal) => {
    const socket = attachment.connect({ ...target, allowHalfOpen: true });
    signal.addEventListener('abort', () => socket.destroy(), { once: true });
    await joinStdio(socket);
  });
}
