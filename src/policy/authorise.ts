import { keyThumbprint } from '../base/keys.ts';
import { type AccessRequest, addressOf, type Command, type OwnerSide } from './access-request.ts';
import { boundPermissions, type Permissions } from './bounds.ts';
import { checkPortAddress, checkPortNumber, type NumberWish, type PortAddress } from './check-port.ts';
import { checkDenyList, checkTarget, checkTargetAddress, checkTargetNumber } from './check-target.ts';
import type { GatewayFacts } from './gateway-facts.ts';
import type { AcceptedGrant } from './grant.ts';
import { delegateBehind, grantNamesMediator, revocationOf } from './grant-verify.ts';
import { type Hours, hoursContain } from './hours.ts';
import type { PurposePolicy } from './owner-policy.ts';
import type { Ports } from './permissions.ts';
import { isKeyRevoked } from './trust-statement.ts';
import { allowed, type Denial, denied, type Side, type Verdict } from './verdict.ts';

export type { AccessRequest, Command, OwnerSide } from './access-request.ts';

/**
 * The one door (P5.8, P6.2). The server asks it about every ATTACH and COMMAND with what the message says; the mediator
 * asks it again with its owner's policy and the real port, and about every new datagram destination. Two sides must
 * allow, the grant and the owner, by the same rules over fields of the same names; what neither names is denied, and so
 * nothing special can be opened by one of them alone.
 *
 * Order: revocation, expiry, mediator, owner's purpose, hours and consent, command, then the command's own particulars, at each
 * step the grant, within what its signer may allow, before the owner. The first refusal is the answer.
 */

function checkRevocation(grant: AcceptedGrant, { mediator, trust }: AccessRequest): Denial | undefined {
  const ofMediator = isKeyRevoked(trust, mediator.key)
    ? `The key of ${mediator.name} has been revoked by ${trust.operator}.`
    : undefined;
  const message = revocationOf(grant, trust) ?? ofMediator;
  if (message === undefined) return undefined;
  return { allowed: false, code: 'grant-revoked', by: 'grant', field: 'jti', message };
}

function checkExpiry(grant: AcceptedGrant, nowMs: number): Denial | undefined {
  if (nowMs < grant.deadlineMs) return undefined;
  const message =
    'The grant has expired; its field exp would have to be later: ask the operator for a new one.';
  return { allowed: false, code: 'grant-expired', by: 'grant', field: 'exp', message };
}

function checkMediator(grant: AcceptedGrant, { mediator, trust }: AccessRequest): Denial | undefined {
  if (mediator.role === 'mediator' && grantNamesMediator(grant, trust, mediator)) return undefined;
  return denied('grant', 'mediators', `name the mediator ${mediator.name}`);
}

function outsideHours(hours: readonly Hours[]): Denial {
  const allowed = hours.map(({ text }) => text).join(', ') || 'none at all';
  const message = `The gateway's owner lets nobody in at this hour; the option owner.hours says when, by the gateway's clock: ${allowed}.`;
  return { allowed: false, code: 'outside-hours', by: 'owner', field: 'owner.hours', message };
}

function checkConsent(
  grant: AcceptedGrant,
  policy: PurposePolicy,
  owner: OwnerSide,
  nowMs: number,
): Denial | undefined {
  if (!policy.allowed) return denied('owner', 'purposes', `contain "${grant.purpose}"`);
  if (policy.hours !== undefined && !hoursContain(policy.hours, owner.weekMinute))
    return outsideHours(policy.hours);
  const untilMs = owner.consentUntilMs[grant.purpose] ?? Number.NEGATIVE_INFINITY;
  if (policy.consent === 'always' || nowMs < untilMs) return undefined;
  const message = `The gateway's owner has to open the consent window for ${grant.purpose} first, unless the option owner.consent is set to "always".`;
  return { allowed: false, code: 'consent-required', by: 'owner', field: 'owner.consent', message };
}

function checkAttach(grant: AcceptedGrant, { command }: AccessRequest): Denial | undefined {
  if (command.verb !== 'attach') return undefined;
  if (command.purpose !== grant.purpose) return denied('grant', 'purpose', `be "${command.purpose}"`);
  const thumbprint = keyThumbprint(command.terminalKey);
  if (thumbprint === grant.terminalThumbprint) return undefined;
  return denied('grant', 'cnf.jkt', `be ${thumbprint}, the thumbprint of this terminal's key`);
}

function checkPort(
  by: Side,
  ports: Ports,
  port: { protocol: 'tcp' | 'udp'; address: PortAddress; number: NumberWish; serves: boolean },
  facts: GatewayFacts | undefined,
): Denial | undefined {
  return (
    checkPortAddress(by, ports, port.address, port.serves, facts) ??
    checkPortNumber(by, ports, port.protocol, port.number)
  );
}

/** The command itself, by one side: the same rules for grant and owner. */
function checkCommand(
  by: Side,
  { commands, targets, ports }: Permissions,
  command: Command,
  facts: GatewayFacts | undefined,
): Denial | undefined {
  if (command.verb === 'attach') return undefined;
  if (!commands.some(verb => verb === command.verb))
    return denied(by, 'commands', `contain "${command.verb}"`);
  switch (command.verb) {
    case 'open': {
      const { protocol, address, number } = command;
      return checkPort(by, ports, { protocol, address, number, serves: protocol === 'udp' }, facts);
    }
    case 'redirect':
      if (command.port === undefined) return undefined;
      return checkPort(by, ports, { protocol: 'udp', ...command.port, serves: true }, facts);
    case 'listen': {
      if (command.port === undefined) return undefined;
      const number = { choice: 'mandatory', number: command.port.number } as const;
      return checkPort(
        by,
        ports,
        { protocol: 'tcp', address: command.port.address, number, serves: true },
        facts,
      );
    }
    case 'connect':
      if ('name' in command.target) return checkTargetNumber(by, targets, 'tcp', command.number);
      return checkTarget(by, targets, 'tcp', command.target, command.number, facts);
    case 'datagram':
      return checkTarget(by, targets, 'udp', command.target, command.number, facts);
    case 'query':
      return command.device === undefined || command.device === 'any'
        ? undefined
        : checkTargetAddress(by, targets, command.device, facts);
    case 'close':
    case 'resolve':
      return undefined;
  }
}

/** What the delegate who signed the grant may allow bounds it, whatever the grant says (P6.2). */
function checkDelegate(
  grant: AcceptedGrant,
  { trust, command }: AccessRequest,
  facts: GatewayFacts | undefined,
): Denial | undefined {
  const delegate = delegateBehind(grant, trust);
  return delegate && checkCommand('delegate', boundPermissions(delegate, grant), command, facts);
}

function checkOwner(
  grant: AcceptedGrant,
  owner: OwnerSide | undefined,
  { command }: AccessRequest,
): Denial | undefined {
  if (owner === undefined) return undefined;
  const address = addressOf(command);
  if (command.verb === 'query' && command.device !== undefined && owner.policy.hide.includes('devices'))
    return denied('owner', 'hide', 'leave "devices" out');
  return (
    (address === undefined ? undefined : checkDenyList(owner.policy.deny, address, owner.facts)) ??
    checkCommand('owner', owner.policy[grant.purpose], command, owner.facts)
  );
}

/**
 * May the holder of this grant do this, here, now? Pure and synchronous. `owner` is undefined on the server only.
 * `nowMs` is the monotonic clock of the grant's deadline and the consent windows.
 *
 * A name in CONNECT or `resolve` is authorised by command and number; each address it resolves to must be asked about
 * again, and only the address asked about may be connected to (P6.8).
 */
export function authorise(
  grant: AcceptedGrant,
  owner: OwnerSide | undefined,
  request: AccessRequest,
  nowMs: number,
): Verdict {
  const facts = owner?.facts ?? request.facts;
  return (
    checkRevocation(grant, request) ??
    checkExpiry(grant, nowMs) ??
    checkMediator(grant, request) ??
    (owner && checkConsent(grant, owner.policy[grant.purpose], owner, nowMs)) ??
    checkAttach(grant, request) ??
    checkCommand('grant', grant, request.command, facts) ??
    checkDelegate(grant, request, facts) ??
    checkOwner(grant, owner, request) ??
    allowed
  );
}
