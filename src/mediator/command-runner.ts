import {
  asEntremiseError,
  EntremiseError,
  type ErrorCode,
  errorNumber,
  unreachable,
} from '../base/errors.ts';
import { canonicalAddress, parseTargetHost, type TargetHost } from '../policy/target.ts';
import type { NewStream } from '../session/attachment.ts';
import type { Command, CommandOf, Result } from '../wire/messages/command.ts';
import type { PortTable } from './ports/port-table.ts';
import type { ResultFields } from './ports/surroundings.ts';

/**
 * From COMMAND to RESULT (P5). Commands begin in the order in which they come, so that a CONNECT may name the OPEN before
 * it; those that have to wait (CONNECT, LISTEN, QUERY resolve) are answered when they are done.
 */

/** Commands that may be under way at once. */
const maxUnderWay = 256;

/** What running commands needs. */
export interface CommandSurroundings {
  readonly table: PortTable;
  /** @throws EntremiseError `protocol-error` when the id is not a new one of the terminal's */
  acceptStream(id: number, peerLimit: number): NewStream | undefined;
  refuseStream(id: number, code: ErrorCode): void;
  query(command: CommandOf<'query'>): ResultFields | Promise<ResultFields>;
  /** @throws EntremiseError the refusal, or `audit-unavailable` */
  permitClose(command: CommandOf<'close'>, port: number): void;
  /** Leaves a line of what the server refused. Why it did, if this mediator sees that too: a sentence (P6.8). */
  auditDenied(command: Command, reason: ErrorCode): string | undefined;
  sendResult(result: Result): void;
}

function targetOf({ address, zone, name, number }: CommandOf<'connect'>): TargetHost {
  if (number === 0)
    throw new EntremiseError('bad-request', { message: 'Nothing can be connected to at number 0.' });
  if ((address === undefined) === (name === undefined)) {
    throw new EntremiseError('bad-request', {
      message: 'CONNECT names its target by `address` or by `name`, one of the two.',
    });
  }
  if (name !== undefined) return parseTargetHost(name);
  const text = zone === undefined ? (address ?? '') : `${address}%${zone}`;
  return { kind: 'address', address: canonicalAddress(text) };
}

/** See the head of this file. */
export class CommandRunner {
  private readonly surroundings: CommandSurroundings;
  private underWay = 0;

  constructor(surroundings: CommandSurroundings) {
    this.surroundings = surroundings;
  }

  /**
   * Runs a command and sends its RESULT, now or later. `denied`: the server's reason to refuse it.
   * @throws EntremiseError `protocol-error` when its stream id is impossible: the label must end
   */
  run(command: Command, seq: number, denied: ErrorCode | undefined): void {
    // Whatever becomes of the command, its stream has begun: the terminal's early DATA is on its way (P3.4).
    const made = command.verb === 'connect' ? this.acceptStream(command) : undefined;
    const fail = (thrown: unknown) => this.failed(command, made, thrown);
    const succeed = (fields: ResultFields) =>
      this.surroundings.sendResult({ id: command.id, code: 0, ...fields });
    try {
      if (denied !== undefined) throw this.refusedByServer(command, denied);
      const answer = this.begin(command, seq, made);
      if (!(answer instanceof Promise)) return succeed(answer);
      this.underWay++;
      void answer.then(succeed, fail).finally(() => {
        this.underWay--;
      });
    } catch (thrown) {
      fail(thrown);
    }
  }

  private acceptStream({ stream, limit }: CommandOf<'connect'>): NewStream | undefined {
    return this.surroundings.acceptStream(stream, limit);
  }

  private refusedByServer(command: Command, reason: ErrorCode): EntremiseError {
    const why = this.surroundings.auditDenied(command, reason);
    const message = why ?? `The server does not let this through (${reason}).`;
    return new EntremiseError('not-permitted', { by: 'server', message });
  }

  private failed(command: Command, made: NewStream | undefined, thrown: unknown): void {
    const { code, message, by = 'mediator' } = asEntremiseError(thrown);
    this.surroundings.sendResult({ id: command.id, code: errorNumber(code), by, message });
    if (command.verb !== 'connect') return;
    if (made === undefined) this.surroundings.refuseStream(command.stream, code);
    else made.stream.abort(code);
  }

  private begin(
    command: Command,
    seq: number,
    made: NewStream | undefined,
  ): ResultFields | Promise<ResultFields> {
    const { table, query } = this.surroundings;
    if (this.underWay >= maxUnderWay) {
      throw new EntremiseError('limit', { message: 'Too many commands are under way; wait for RESULTs.' });
    }
    switch (command.verb) {
      case 'open':
        return table.open(command, seq);
      case 'connect':
        return this.connect(command, made);
      case 'listen':
        return this.listen(command);
      case 'close':
        return this.close(command);
      case 'redirect':
        return table.redirect(command, seq);
      case 'query':
        return query(command);
      default:
        return unreachable(command);
    }
  }

  private async connect(command: CommandOf<'connect'>, made: NewStream | undefined): Promise<ResultFields> {
    const port = this.surroundings.table.tcpForVerb('connect', command);
    const target = targetOf(command);
    if (made === undefined) {
      throw new EntremiseError('limit', {
        message: 'The mediator has no memory left for another stream; end one first.',
      });
    }
    const { text } = await port.connect(target, command.number, made.stream);
    return { address: text.split('%')[0] ?? text, number: command.number, limit: made.limit };
  }

  private async listen(command: CommandOf<'listen'>): Promise<ResultFields> {
    await this.surroundings.table.tcpForVerb('listen', command).listen(command);
    return {};
  }

  private close(command: CommandOf<'close'>): ResultFields {
    const port = this.surroundings.table.forVerb('close', command);
    this.surroundings.permitClose(command, port.id);
    port.close(command.streams);
    return {};
  }
}
