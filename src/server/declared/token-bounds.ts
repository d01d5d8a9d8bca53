import type { Clock } from '../../base/clock.ts';
import { asEntremiseError, EntremiseError } from '../../base/errors.ts';
import type { Command } from '../../policy/access-request.ts';
import type { AcceptedGrant, MemberStatement } from '../../policy/documents.ts';
import { type GatewayFacts, gatewayFacts } from '../../policy/gateway-facts.ts';
import { canonicalAddress, parseAddress, quoted } from '../../policy/target.ts';
import type { Verdict } from '../../policy/verdict.ts';
import { lanAddress, TunnelError } from '../../terminal/index.ts';
import type { Report } from '../../wire/messages/report.ts';
import type { ApiToken, TokenStore } from '../api/token-store.ts';
import type { Declared } from './declarations.ts';
import type { Publication } from './publication.ts';
import { isDeclaredFor, type StandingService } from './standing-service.ts';

/**
 * What a token of the API declares is done under the grants of the features, which the mediator verifies; so it is held
 * against the token's own grant here, by the same door, for as long as it is declared. A token that is good no more, and a
 * grant that has ended, end it. What the server's machine declares is the operator's own word.
 */

/** What is asked of the server. */
export interface TokenBoundsOptions {
  readonly tokens: Pick<TokenStore, 'live'>;
  /** The grant of the API's terminal with that id, while it is in force. */
  readonly grant: (id: string) => AcceptedGrant | undefined;
  /** All mediators. */
  readonly mediators: () => readonly MemberStatement[];
  /** What a mediator has reported last. */
  readonly report: (key: string) => Report | undefined;
  /** Rises with every change of what the operator has said of keys, members and grants. */
  readonly revision: () => number;
  /** May the API's terminal do all this at that mediator? */
  readonly ask: (
    grant: AcceptedGrant,
    mediator: MemberStatement,
    commands: readonly Command[],
    facts: GatewayFacts,
  ) => Verdict;
  readonly clock: Clock;
}

/** Says of a declaration that a token has made it. */
export function byToken(id: string): string {
  return `token ${id}`;
}

function tokenIdOf(declaredBy: string): string | undefined {
  return /^token (.+)$/.exec(declaredBy)?.[1];
}

/** What the publication's terminal is going to do for each client. @throws EntremiseError `not-permitted` for a name */
function commandsOfPublication({ protocol, to }: Publication): Command[] {
  const target = parseAddress(to.host);
  if (target === undefined)
    throw new EntremiseError('not-permitted', {
      message: `A token publishes addresses alone: where ${quoted(to.host)} leads cannot be held against its grant.`,
      by: 'grant',
    });
  if (protocol === 'udp')
    return [
      { verb: 'redirect', port: undefined },
      { verb: 'datagram', target, number: to.number },
    ];
  return [
    { verb: 'open', protocol, address: 'wildcard', number: { choice: 'any' } },
    { verb: 'connect', target, number: to.number },
  ];
}

/** @throws TunnelError `address-not-available` where `lan` is no address yet */
function commandsOfService({ protocol, at }: StandingService, report: Report | undefined, name: string) {
  const address = canonicalAddress(at.address === 'lan' ? lanAddress(report, name) : at.address);
  const number = { choice: 'mandatory', number: at.number } as const;
  if (protocol === 'udp') return [{ verb: 'redirect', port: { address, number } }] as const;
  return [
    { verb: 'open', protocol, address, number },
    { verb: 'listen', port: { address, number: at.number } },
  ] as const;
}

/** What a mediator says of itself: which addresses are its own, and which networks its LAN. */
function factsOf(report: Report | undefined): GatewayFacts {
  const up = (report?.interfaces ?? []).filter(each => each.up);
  return gatewayFacts(
    up,
    [],
    up.filter(({ lan }) => lan).map(({ name }) => name),
  );
}

/** See the head of this file. */
export class TokenBounds {
  private readonly options: TokenBoundsOptions;

  constructor(options: TokenBoundsOptions) {
    this.options = options;
  }

  /** True while what was declared by it is not up to somebody else: its token is good. */
  isHeld(declaredBy: string): boolean {
    const id = tokenIdOf(declaredBy);
    return id === undefined || this.options.tokens.live(id, this.options.clock.wallTimeMs()) !== undefined;
  }

  /** Why the token that has declared it may not have it; undefined: it may, or no token has. */
  ofPublication({ value, declaredBy }: Declared<Publication>): EntremiseError | undefined {
    return this.refusal(declaredBy, grant => {
      const mediator = this.mediator(value.mediator);
      return this.ask(grant, mediator, this.options.report(mediator.key), () => commandsOfPublication(value));
    });
  }

  /** As {@link ofPublication}, of a service on that mediator. */
  ofService(
    { value, declaredBy }: Declared<StandingService>,
    name: string,
    report: Report | undefined,
  ): EntremiseError | undefined {
    return this.refusal(declaredBy, grant =>
      this.ask(grant, this.mediator(name), report, () => commandsOfService(value, report, name)),
    );
  }

  /** What answers rest on beside what mediators report: otherwise than before, they are asked for again. */
  basisOf(declaredBy: string): string {
    const id = tokenIdOf(declaredBy);
    if (id === undefined) return '';
    const { tokens, grant, clock, revision } = this.options;
    const grantId = tokens.live(id, clock.wallTimeMs())?.grantId;
    const isInForce = grantId !== undefined && grant(grantId) !== undefined;
    return `${grantId} ${isInForce} ${revision()}`;
  }

  /** Why a service may stand on none of the mediators that it is declared for; undefined: on some, or on some to come. */
  ofServiceAnywhere(declared: Declared<StandingService>): EntremiseError | undefined {
    const { value, declaredBy } = declared;
    const all = this.options.mediators();
    const named = all.filter(each => isDeclaredFor(value, each)).map(({ name }) => name);
    const wanting = named.length === 0 && value.wanted ? all.map(({ name }) => name) : named;
    const asked = value.mediator === undefined ? wanting : [...new Set([value.mediator, ...wanting])];
    const reportOf = (name: string) => {
      const key = all.find(each => each.name === name)?.key;
      return key === undefined ? undefined : this.options.report(key);
    };
    const refusals = asked.map(name => this.ofService(declared, name, reportOf(name)));
    const isOpen = (refusal: EntremiseError | undefined) =>
      refusal === undefined || refusal.code === 'address-not-available';
    return refusals.some(isOpen)
      ? undefined
      : (refusals[0] ?? this.refusal(declaredBy, () => ({ allowed: true })));
  }

  private refusal(declaredBy: string, check: (grant: AcceptedGrant) => Verdict): EntremiseError | undefined {
    const id = tokenIdOf(declaredBy);
    if (id === undefined) return undefined;
    try {
      const verdict = check(this.grantOf(id));
      if (verdict.allowed) return undefined;
      const { code, message, by } = verdict;
      return new EntremiseError(code, { message, by });
    } catch (thrown) {
      const isTunnels = thrown instanceof TunnelError;
      return isTunnels
        ? new EntremiseError(thrown.reason, { message: thrown.message })
        : asEntremiseError(thrown);
    }
  }

  /** @throws EntremiseError `not-permitted`, `grant-missing` */
  private grantOf(id: string): AcceptedGrant {
    const token: ApiToken | undefined = this.options.tokens.live(id, this.options.clock.wallTimeMs());
    if (token === undefined)
      throw new EntremiseError('not-permitted', {
        message: `The token ${id}, which has declared this, was revoked or has expired.`,
        by: 'server',
      });
    const { grantId = '' } = token;
    const grant = this.options.grant(grantId);
    if (grant !== undefined) return grant;
    const what = grantId === '' ? 'names no grant' : `has no grant ${grantId} in force`;
    throw new EntremiseError('grant-missing', {
      message: `The token ${id} ${what}, and declares nothing without: entremise server token grant ${id} GRANT.`,
      by: 'grant',
    });
  }

  private ask(
    grant: AcceptedGrant,
    mediator: MemberStatement,
    report: Report | undefined,
    commands: () => readonly Command[],
  ): Verdict {
    const facts = factsOf(report);
    // Which mediator it is comes first: what is wanted of it may not be known yet.
    const attach = this.options.ask(grant, mediator, [], facts);
    return attach.allowed ? this.options.ask(grant, mediator, commands(), facts) : attach;
  }

  /** @throws EntremiseError `no-such-mediator` */
  private mediator(name: string): MemberStatement {
    const found = this.options.mediators().find(each => each.name === name);
    if (found !== undefined) return found;
    throw new EntremiseError('no-such-mediator', {
      message: `No mediator is called ${quoted(name)}.`,
      by: 'server',
    });
  }
}
