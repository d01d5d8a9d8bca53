import type { Clock } from '../base/clock.ts';
import { asEntremiseError } from '../base/errors.ts';
import { keyFromText } from '../base/keys.ts';
import { type Command as AccessCommand, authorise } from '../policy/authorise.ts';
import type { PortAddress } from '../policy/check-port.ts';
import { type AcceptedGrant, isKeyRevoked, type MemberStatement } from '../policy/documents.ts';
import { canonicalAddress } from '../policy/target.ts';
import type { Verdict } from '../policy/verdict.ts';
import type { AttachDecision, AttachQuestion, Permit } from '../switch/permit.ts';
import type { Command } from '../wire/messages/command.ts';
import type { Documents } from './documents.ts';

/**
 * The server's door (P5.8): what a COMMAND says itself, held against the grant. The mediator asks the same function again
 * about the real port and every resolved address.
 */

function portAddress(command: { readonly address?: string; readonly zone?: string }): PortAddress {
  if (command.address === undefined) return 'wildcard';
  return canonicalAddress(
    command.zone === undefined ? command.address : `${command.address}%${command.zone}`,
  );
}

function numberWish(choice: 'preferred' | 'mandatory' | 'any', number: number) {
  return choice === 'any' ? ({ choice } as const) : ({ choice, number } as const);
}

/** A COMMAND as {@link authorise} is asked about it, as far as the message says. */
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
      return command.what === 'resolve' ? { verb: 'resolve', name: command.name ?? '' } : { verb: 'query' };
  }
}

/** Everything that decides about one attachment. */
interface Parties {
  readonly grant: AcceptedGrant;
  readonly terminal: string;
  readonly mediator: string;
}

function ask(documents: Documents, clock: Clock, parties: Parties, command: AccessCommand): Verdict {
  const mediator = documents.member(parties.mediator);
  if (mediator === undefined) {
    const message = 'The mediator has no member statement any more.';
    return { allowed: false, code: 'not-permitted', by: 'grant', field: 'mediators', message };
  }
  return authorise(parties.grant, undefined, { mediator, trust: documents.trust(), command }, clock.now());
}

function attachCommand({ grant, terminal }: Parties): AccessCommand {
  return { verb: 'attach', terminalKey: keyFromText(terminal), purpose: grant.purpose };
}

function permitFor(documents: Documents, clock: Clock, parties: Parties): Permit {
  const { grant, terminal, mediator } = parties;
  return {
    grantId: grant.id,
    deadlineMs: grant.deadlineMs,
    authorise: command => ask(documents, clock, parties, accessCommand(command)),
    recheck() {
      const trust = documents.trust();
      if (isKeyRevoked(trust, terminal) || isKeyRevoked(trust, mediator)) return 'key-revoked';
      // All that was asked at ATTACH: the mediator may have lost the name or label that the grant goes by.
      const verdict = ask(documents, clock, parties, attachCommand(parties));
      return verdict.allowed ? undefined : verdict.code;
    },
  };
}

/** Decides about an ATTACH (P6.4): the mediator is a member, and the grant that `inner` shows allows attaching to it. */
export async function decideAttach(
  documents: Documents,
  clock: Clock,
  question: AttachQuestion,
): Promise<AttachDecision> {
  const mediator: MemberStatement | undefined = documents.member(question.mediator);
  if (mediator === undefined || mediator.role !== 'mediator') {
    return { allowed: false, code: 'no-such-mediator', by: 'server', message: 'No mediator has that key.' };
  }
  try {
    const grant = await documents.verifyGrant(question.inner.grant);
    const parties = { grant, terminal: question.terminal, mediator: question.mediator };
    const { purpose } = question.inner;
    const verdict = ask(documents, clock, parties, {
      verb: 'attach',
      terminalKey: keyFromText(question.terminal),
      purpose,
    });
    if (verdict.allowed) return { allowed: true, permit: permitFor(documents, clock, parties) };
    return { allowed: false, code: verdict.code, by: 'grant', message: verdict.message };
  } catch (thrown) {
    const { code, message } = asEntremiseError(thrown);
    return { allowed: false, code, by: 'grant', message };
  }
}
