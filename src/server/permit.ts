import type { Clock } from '../base/clock.ts';
import { asEntremiseError } from '../base/errors.ts';
import { keyFromText } from '../base/keys.ts';
import { accessCommand } from '../policy/access-command.ts';
import { type Command as AccessCommand, authorise } from '../policy/authorise.ts';
import { type AcceptedGrant, isKeyRevoked, type MemberStatement } from '../policy/documents.ts';
import type { GatewayFacts } from '../policy/gateway-facts.ts';
import { allowed, type Verdict } from '../policy/verdict.ts';
import type { AttachDecision, AttachQuestion, Permit } from '../switch/permit.ts';
import type { DeniedGrants } from './denied-grants.ts';
import type { Documents } from './documents.ts';

/**
 * The server's door (P5.8): what a COMMAND says itself, held against the grant. The mediator asks the same function again
 * about the real port and every resolved address.
 */

/** What is asked. */
export interface PermitDesks {
  readonly documents: Documents;
  readonly denied: Pick<DeniedGrants, 'has'>;
  readonly clock: Clock;
}

/** Everything that decides about one attachment. */
export interface Parties {
  readonly grant: AcceptedGrant;
  readonly terminal: string;
  readonly mediator: string;
}

function ask(
  { documents, denied, clock }: PermitDesks,
  parties: Parties,
  command: AccessCommand,
  facts?: GatewayFacts,
): Verdict {
  if (denied.has(parties.grant.id)) {
    const message = `The server takes the grant ${parties.grant.id} no more: it was taken back here.`;
    return { allowed: false, code: 'grant-revoked', by: 'grant', field: 'jti', message };
  }
  const mediator = documents.member(parties.mediator);
  if (mediator === undefined) {
    const message = 'The mediator has no member statement any more.';
    return { allowed: false, code: 'not-permitted', by: 'grant', field: 'mediators', message };
  }
  const request = { mediator, trust: documents.trust(), command, ...(facts === undefined ? {} : { facts }) };
  return authorise(parties.grant, undefined, request, clock.now());
}

function attachCommand({ grant, terminal }: Parties): AccessCommand {
  return { verb: 'attach', terminalKey: keyFromText(terminal), purpose: grant.purpose };
}

function permitFor(desks: PermitDesks, parties: Parties): Permit {
  const { grant, terminal, mediator } = parties;
  return {
    grantId: grant.id,
    deadlineMs: grant.deadlineMs,
    authorise: command => ask(desks, parties, accessCommand(command)),
    recheck() {
      const trust = desks.documents.trust();
      if (isKeyRevoked(trust, terminal) || isKeyRevoked(trust, mediator)) return 'key-revoked';
      // All that was asked at ATTACH: the mediator may have lost the name or label that the grant goes by.
      const verdict = ask(desks, parties, attachCommand(parties));
      return verdict.allowed ? undefined : verdict.code;
    },
  };
}

/**
 * May the terminal attach, and do all this? For what is done under another grant on its behalf, so that the mediator never
 * sees this one: `facts` stand for what the mediator would know.
 */
export function decideOnBehalf(
  desks: PermitDesks,
  parties: Parties,
  commands: readonly AccessCommand[],
  facts: GatewayFacts,
): Verdict {
  const verdicts = [attachCommand(parties), ...commands].map(each => ask(desks, parties, each, facts));
  return verdicts.find(verdict => !verdict.allowed) ?? allowed;
}

/** Decides about an ATTACH (P6.4): the mediator is a member, and the grant that `inner` shows allows attaching to it. */
export async function decideAttach(desks: PermitDesks, question: AttachQuestion): Promise<AttachDecision> {
  const { documents } = desks;
  const mediator: MemberStatement | undefined = documents.member(question.mediator);
  if (mediator === undefined || mediator.role !== 'mediator') {
    return { allowed: false, code: 'no-such-mediator', by: 'server', message: 'No mediator has that key.' };
  }
  try {
    const grant = await documents.verifyGrant(question.inner.grant);
    const parties = { grant, terminal: question.terminal, mediator: question.mediator };
    const { purpose } = question.inner;
    const verdict = ask(desks, parties, {
      verb: 'attach',
      terminalKey: keyFromText(question.terminal),
      purpose,
    });
    if (verdict.allowed) return { allowed: true, permit: permitFor(desks, parties) };
    return { allowed: false, code: verdict.code, by: 'grant', message: verdict.message };
  } catch (thrown) {
    const { code, message } = asEntremiseError(thrown);
    return { allowed: false, code, by: 'grant', message };
  }
}
