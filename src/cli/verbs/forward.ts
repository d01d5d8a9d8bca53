import type { Command } from 'commander';
import {
  type AttachmentKeeper,
  type Carrier,
  exposeTcp,
  exposeUdp,
  forwardTcp,
  forwardUdp,
  UdpForward,
} from '../../terminal/index.ts';
import { type Context, contextOf } from '../context.ts';
import { endpointText, localFailure } from '../endpoint-text.ts';
import { type ForwardSpec, parseEndpoint, parseForward, parseLanPort } from '../forward-spec.ts';
import { keepAttached } from '../keeper.ts';
import { carrierWords } from '../path-words.ts';
import { untilAborted } from '../until-aborted.ts';
import { withTerminal } from '../with-terminal.ts';

const forwardExamples = `
Examples:
  entremise forward home-4711 8080:192.168.1.10:80            # http://127.0.0.1:8080 is the device's page
  entremise forward home-4711 8080:192.168.1.10:80 5353:192.168.1.1:53/udp
  entremise forward home-4711 0.0.0.0:8080:[fd00::10]:80      # for everybody who reaches this computer`;

const exposeExamples = `
Examples:
  entremise expose home-4711 8000 127.0.0.1:8000              # devices reach it at the gateway's LAN address, 8000
  entremise expose home-4711 5060/udp 127.0.0.1:5060`;

/** Adds `entremise forward` and `entremise expose`. */
export function addForwardVerbs(program: Command): void {
  program
    .command('forward')
    .description('local ports whose connections are made by a mediator (ssh -L); /udp for datagrams')
    .argument('<mediator>')
    .argument('<[bind:]port:host:port[/udp]...>')
    .addHelpText('after', forwardExamples)
    .action((mediator: string, specs: string[], _options, command) => {
      const parsed = specs.map(parseForward);
      return forward(contextOf(command), mediator, parsed);
    });
  program
    .command('expose')
    .description('a port of the mediator on which devices reach a service of yours (ssh -R)')
    .argument('<mediator>')
    .argument('<[address:]lan-port[/udp]>')
    .argument('<host:port>')
    .addHelpText('after', exposeExamples)
    .action((mediator: string, lanPort: string, target: string, _options, command) => {
      const spec = { ...parseLanPort(lanPort), target: parseEndpoint(target) };
      return expose(contextOf(command), mediator, spec);
    });
}

/** Says what carries the datagrams of `what`, now and whenever it changes. */
function tellChannel(context: Context, what: string, fields: Readonly<Record<string, unknown>>) {
  return (channel: Carrier) =>
    context.output.status(`datagrams of ${what} go ${carrierWords[channel]}`, { ...fields, channel });
}

interface Closable {
  close(): unknown;
}

async function startForward(
  context: Context,
  source: AttachmentKeeper,
  spec: ForwardSpec,
): Promise<Closable> {
  const { protocol, listen, target } = spec;
  const opening = (protocol === 'tcp' ? forwardTcp : forwardUdp)({ source, listen, target });
  const opened = await opening.catch(thrown => {
    throw localFailure(thrown, spec.listen);
  });
  opened.on('refused', ({ client, error }) => {
    const refused = error.message;
    context.output.status(`${endpointText(client)} -> ${endpointText(target)} not served: ${refused}`, {
      client,
      target,
      refused,
    });
  });
  const at = opened.address();
  if (opened instanceof UdpForward)
    opened.on('channel', tellChannel(context, endpointText(at), { listen: at }));
  context.output.result({ forward: protocol, listen: at, target }, [
    `${protocol} ${endpointText(at)} -> ${source.mediatorName} -> ${endpointText(target)}`,
  ]);
  return opened;
}

function forward(context: Context, mediator: string, specs: readonly ForwardSpec[]): Promise<void> {
  return withTerminal(context, async (terminal, signal) => {
    const keeper = keepAttached(context, terminal, mediator, signal);
    const open: Closable[] = [];
    try {
      await Promise.race([keeper.done, firstAttachment(keeper)]);
      for (const spec of specs) open.push(await startForward(context, keeper, spec));
      await Promise.race([keeper.done, untilAborted(signal)]);
    } finally {
      for (const each of open) each.close();
      await keeper.close();
    }
  });
}

/** So that a refusal is told before a local port is opened that could serve nobody. */
function firstAttachment(keeper: AttachmentKeeper): Promise<void> {
  return new Promise(resolve => keeper.once('attached', () => resolve()));
}

function expose(context: Context, mediator: string, spec: ForwardSpec): Promise<void> {
  return withTerminal(context, async (terminal, signal) => {
    const keeper = keepAttached(context, terminal, mediator, signal);
    const { protocol, target } = spec;
    const { host, port } = spec.listen;
    const listen = host === undefined ? { port } : { address: host, port };
    const exposed = (protocol === 'tcp' ? exposeTcp : exposeUdp)({ source: keeper, listen, target });
    exposed.on('listening', at => {
      context.output.result({ expose: protocol, listen: at, target }, [
        `${protocol} ${endpointText(at)} on ${mediator} -> ${endpointText(target)}`,
      ]);
    });
    exposed.on('channel', channel => {
      const at = exposed.address();
      if (at !== undefined) tellChannel(context, endpointText(at), { listen: at })(channel);
    });
    exposed.on('refused', ({ device, error }) => {
      context.output.status(`${endpointText(device)} not served: ${error.message}`, {
        device,
        refused: error.message,
      });
    });
    exposed.on('retrying', error =>
      context.output.status(`trying again: ${error.message}`, { retrying: error.message }),
    );
    const failed = new Promise<never>((_resolve, reject) => exposed.once('failed', reject));
    try {
      await Promise.race([keeper.done, failed, untilAborted(signal)]);
    } finally {
      exposed.close();
      await keeper.close();
    }
  });
}
