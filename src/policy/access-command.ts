import type { Command, CommandOf } from '../wire/messages/command.ts';
import type { Command as AccessCommand } from './access-request.ts';
import type { PortAddress } from './check-port.ts';
import { canonicalAddress } from './target.ts';

function portAddress(command: { readonly address?: string; readonly zone?: string }): PortAddress {
  if (command.address === undefined) return 'wildcard';
  return canonicalAddress(
    command.zone === undefined ? command.address : `${command.address}%${command.zone}`,
  );
}

function numberWish(choice: 'preferred' | 'mandatory' | 'any', number: number) {
  return choice === 'any' ? ({ choice } as const) : ({ choice, number } as const);
}

function queryCommand({ what, name = '' }: CommandOf<'query'>): AccessCommand {
  if (what === 'resolve') return { verb: 'resolve', name };
  return what === 'devices' ? { verb: 'query', device: 'any' } : { verb: 'query' };
}

/**
 * A COMMAND as authorise() is asked about it, as far as the message itself says (P5.8): what the server knows of it.
 * @throws EntremiseError `bad-request` for a zone or an address that is none
 */
export function accessCommand(command: Command): AccessCommand {
  switch (command.verb) {
    case 'open': {
      const { verb, protocol, choice, number } = command;
      return { verb, protocol, address: portAddress(command), number: numberWish(choice, number) };
    }
    case 'redirect': {
      const { verb, number = 0, choice = 'any' } = command;
      // Of a port that is there already the server sees only the id; any other REDIRECT opens one.
      if (command.port !== undefined || command.portOf !== undefined) return { verb, port: undefined };
      return { verb, port: { address: portAddress(command), number: numberWish(choice, number) } };
    }
    case 'connect': {
      const { verb, name, number } = command;
      if (name !== undefined) return { verb, target: { name }, number };
      const target = portAddress(command);
      return { verb, target: target === 'wildcard' ? { name: '' } : target, number };
    }
    case 'listen':
      return { verb: 'listen', port: undefined };
    case 'close':
      return { verb: 'close' };
    case 'query':
      return queryCommand(command);
  }
}
