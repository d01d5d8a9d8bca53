import type { NumberWish, PortAddress } from './check-port.ts';
import type { GatewayFacts } from './gateway-facts.ts';
import type { MemberStatement } from './member-statement.ts';
import type { OwnerPolicy } from './owner-policy.ts';
import type { CanonicalAddress } from './target.ts';
import type { TrustStatement } from './trust-statement.ts';

/** What a terminal asks to do (P5), as far as rights are concerned. `datagram` is the first one to a new destination (P5.9). */
export type Command =
  | { readonly verb: 'attach'; readonly terminalKey: Uint8Array; readonly purpose: 'assistance' | 'service' }
  | {
      readonly verb: 'open';
      readonly protocol: 'tcp' | 'udp';
      readonly address: PortAddress;
      readonly number: NumberWish;
    }
  | {
      readonly verb: 'redirect';
      readonly port: { readonly address: PortAddress; readonly number: NumberWish } | undefined;
    }
  | {
      readonly verb: 'connect';
      readonly target: CanonicalAddress | { readonly name: string };
      readonly number: number;
    }
  | {
      readonly verb: 'listen';
      readonly port: { readonly address: PortAddress; readonly number: number } | undefined;
    }
  | { readonly verb: 'close' }
  /** `device`: QUERY devices as such, and of each device found every address that is to be told. */
  | { readonly verb: 'query'; readonly device?: CanonicalAddress | 'any' }
  | { readonly verb: 'resolve'; readonly name: string }
  | { readonly verb: 'datagram'; readonly target: CanonicalAddress; readonly number: number };

/** A command and where it is asked for. `port` of REDIRECT and LISTEN is absent on the server, which sees only an id. */
export interface AccessRequest {
  readonly mediator: MemberStatement;
  readonly trust: TrustStatement;
  readonly command: Command;
  /** On the server: what it knows of the gateway, where the gateway is not asked about this grant itself. */
  readonly facts?: GatewayFacts;
}

/** The owner's side, as it stands on the mediator; the server has none. */
export interface OwnerSide {
  readonly policy: OwnerPolicy;
  readonly facts: GatewayFacts;
  /** The gateway's local time: minutes since Monday, midnight. */
  readonly weekMinute: number;
  /** Until when the consent window is open, on the monotonic clock, per purpose. */
  readonly consentUntilMs: { readonly assistance?: number; readonly service?: number };
}

/** The address of the gateway's surroundings that the command is about, if it says one. */
export function addressOf(command: Command): CanonicalAddress | undefined {
  switch (command.verb) {
    case 'open':
      return command.address === 'wildcard' ? undefined : command.address;
    case 'redirect':
    case 'listen':
      return command.port === undefined || command.port.address === 'wildcard'
        ? undefined
        : command.port.address;
    case 'connect':
      return 'name' in command.target ? undefined : command.target;
    case 'datagram':
      return command.target;
    case 'query':
      return command.device === 'any' ? undefined : command.device;
    case 'attach':
    case 'close':
    case 'resolve':
      return undefined;
  }
}
