import { EntremiseError, type ErrorCode } from '../base/errors.ts';
import { accessCommand } from '../policy/access-command.ts';
import {
  type Command as AccessCommand,
  type AccessRequest,
  authorise,
  type OwnerSide,
} from '../policy/authorise.ts';
import { commonPortNumbers } from '../policy/check-port.ts';
import type { AcceptedGrant } from '../policy/grant.ts';
import type { NumberRange } from '../policy/number-range.ts';
import type { Denial } from '../policy/verdict.ts';
import type { Command } from '../wire/messages/command.ts';
import type { Audit, AuditDetails, AuditWho } from './audit.ts';
import type { Door } from './ports/surroundings.ts';

/**
 * The mediator's one door (P5.8): the only place in it that calls authorise(), with what is believed and what the owner
 * says at that moment. Everything that acts has gone through {@link AccessDoor.permit}, which leaves the audit line.
 */

/** What a mediator believes and its owner allows, at this moment. */
export interface AccessBasis {
  owner(): OwnerSide;
  /** The mediator's own statement and the trust statement in force. */
  request(): Omit<AccessRequest, 'command'>;
  /** Monotonic milliseconds. */
  now(): number;
}

/** The error that a refusal becomes in a RESULT or ATTACHED. */
export function denialError({ code, by, message }: Denial): EntremiseError {
  return new EntremiseError(code, { by, message });
}

/** Targets that a door remembers. */
const maxTargets = 16;

/** What a command reaches, when it is not a name that has yet to be looked up. */
function targetText(command: AccessCommand): string | undefined {
  if (command.verb !== 'connect' && command.verb !== 'datagram') return undefined;
  if ('name' in command.target) return undefined;
  const { text } = command.target;
  const protocol = command.verb === 'connect' ? 'tcp' : 'udp';
  return `${protocol} ${text.includes(':') ? `[${text}]` : text}:${command.number}`;
}

/** See the head of this file. One for each attachment, under the grant of its newest attempt. */
export class AccessDoor implements Door {
  private current: AcceptedGrant;
  private readonly attachment: Omit<AuditWho, 'grant'>;
  private readonly basis: AccessBasis;
  private readonly audit: Audit;
  /** What was reached last, the newest last: for the owner's eyes. */
  private readonly reached = new Set<string>();

  constructor(grant: AcceptedGrant, attachment: Omit<AuditWho, 'grant'>, basis: AccessBasis, audit: Audit) {
    this.current = grant;
    this.attachment = attachment;
    this.basis = basis;
    this.audit = audit;
  }

  /** The grant that everything is asked under. */
  get grant(): AcceptedGrant {
    return this.current;
  }

  /** From now on everything is asked under that grant, whoever holds this door (P4.2). */
  goUnder(grant: AcceptedGrant): void {
    this.current = grant;
  }

  private get who(): AuditWho {
    return { ...this.attachment, grant: this.current.id };
  }

  ask(command: AccessCommand): Denial | undefined {
    const { owner, request, now } = this.basis;
    const verdict = authorise(this.grant, owner(), { ...request(), command }, now());
    return verdict.allowed ? undefined : verdict;
  }

  permit(command: AccessCommand, details: AuditDetails): void {
    const denial = this.ask(command);
    if (denial === undefined) {
      this.audit.write({ ...this.who, ...details, decision: 'allowed' });
      return this.remember(command);
    }
    const { by, code, field } = denial;
    this.leaveLine({ ...details, decision: 'denied', by, code, field });
    throw denialError(denial);
  }

  /** What was reached last, e.g. `tcp 192.168.1.10:80`, the newest last. */
  get targets(): readonly string[] {
    return [...this.reached];
  }

  private remember(command: AccessCommand): void {
    const target = targetText(command);
    if (target === undefined) return;
    this.reached.delete(target);
    this.reached.add(target);
    const [oldest = ''] = this.reached;
    if (this.reached.size > maxTargets) this.reached.delete(oldest);
  }

  /**
   * The line of a command that the server refused and that is therefore not run. The server's one byte says little, so
   * this side is asked what it would have said: a sentence, or undefined when it would have allowed it.
   */
  refusedByServer(command: Command, code: ErrorCode): string | undefined {
    const denial = this.explanation(command);
    const field = denial === undefined ? {} : { field: denial.field };
    this.leaveLine({ verb: command.verb, decision: 'denied', by: 'server', code, ...field });
    return denial?.message;
  }

  private explanation(command: Command): Denial | undefined {
    try {
      return this.ask(accessCommand(command));
    } catch {
      // Not even well-formed: the server has said so.
      return undefined;
    }
  }

  /** A refusal stands whether or not its line can be written: nothing is done. */
  private leaveLine(line: Omit<Parameters<Audit['write']>[0], keyof AuditWho>): void {
    try {
      this.audit.write({ ...this.who, ...line });
    } catch (thrown) {
      if (!(thrown instanceof EntremiseError)) throw thrown;
    }
  }

  portNumbers(protocol: 'tcp' | 'udp'): readonly NumberRange[] {
    const { policy } = this.basis.owner();
    return commonPortNumbers(this.grant.ports, policy[this.grant.purpose].ports, protocol);
  }
}
