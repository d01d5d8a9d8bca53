import { asEntremiseError, type ErrorCode, errorNumber } from '../base/errors.ts';
import {
  type Command,
  command,
  commandIdOf,
  connectStreamOf,
  type Result,
} from '../wire/messages/command.ts';

/** A COMMAND of a newer version, or a malformed one: it is answered and not run (P1.5). */
export interface UnreadableCommand {
  readonly answer: Result;
  readonly code: ErrorCode;
  /** The stream that it would have made; early DATA of it may be on its way (P3.4). */
  readonly stream: number | undefined;
}

/**
 * The command that the body of a COMMAND says, or how the mediator answers it.
 * @throws EntremiseError `bad-request` when it cannot be answered, for lack of an `id`: the label must end
 */
export function readCommand(body: Uint8Array): { readonly command: Command } | UnreadableCommand {
  try {
    return { command: command.fromBytes(body) };
  } catch (thrown) {
    const id = commandIdOf(body);
    if (id === undefined) throw thrown;
    const { code, message } = asEntremiseError(thrown);
    return {
      answer: { id, code: errorNumber(code), by: 'mediator', message },
      code,
      stream: connectStreamOf(body),
    };
  }
}
