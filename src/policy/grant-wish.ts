import { randomBytes } from 'node:crypto';
import { keyFromText, keyThumbprint, type SigningKey } from '../base/keys.ts';
import { defaultGrantLifeMs, type Grant, type GrantClaims, grantRules } from './grant.ts';
import { verifyGrant } from './grant-verify.ts';
import { signJws } from './jws.ts';
import { claimedPayload } from './jws-parts.ts';
import { permissionVerbs } from './schema.ts';
import type { TrustStatement } from './trust-statement.ts';

/**
 * What a grant allows and for how long, whoever it is for. What is absent is {@link defaultGrantClaims}'; `targets` and
 * `ports` are said whole.
 */
export interface GrantTerms {
  readonly purpose?: GrantClaims['purpose'] | undefined;
  readonly commands?: GrantClaims['commands'] | undefined;
  readonly targets?: GrantClaims['targets'];
  readonly ports?: GrantClaims['ports'];
  readonly limits?: GrantClaims['limits'];
  readonly lifeMs?: number | undefined;
}

/** What a grant is to say. */
export interface GrantWish extends GrantTerms {
  /** Text of the terminal's key. */
  readonly terminalKey: string;
  readonly mediators: GrantClaims['mediators'];
}

/** All commands; any number of the devices of the LAN; ports on the gateway's LAN addresses, from 1024 up. */
export const defaultGrantClaims = {
  purpose: 'assistance',
  commands: [...permissionVerbs],
  targets: { networks: ['lan'], tcp: ['1-65535'], udp: ['1-65535'] },
  ports: { addresses: ['lan'], tcp: ['1024-65535'], udp: ['1024-65535'] },
} satisfies GrantTerms;

/** `over` where it says something, else `base`: address by address list, range by range list, limit by limit. */
export function overlaidTerms(base: GrantTerms, over: GrantTerms): GrantTerms {
  const both = <K extends 'targets' | 'ports' | 'limits'>(key: K) =>
    base[key] === undefined && over[key] === undefined ? {} : { [key]: { ...base[key], ...over[key] } };
  return { ...base, ...over, ...both('targets'), ...both('ports'), ...both('limits') };
}

const newId = () => randomBytes(8).toString('hex');

function claimsOf(wish: GrantWish, nowMs: number): GrantClaims {
  const iat = Math.floor(nowMs / 1000);
  const { purpose, commands, targets, ports } = defaultGrantClaims;
  return {
    jti: newId(),
    iat,
    exp: iat + Math.floor((wish.lifeMs ?? defaultGrantLifeMs) / 1000),
    cnf: { jkt: keyThumbprint(keyFromText(wish.terminalKey)) },
    mediators: wish.mediators,
    purpose: wish.purpose ?? purpose,
    commands: wish.commands ?? commands,
    targets: wish.targets ?? targets,
    ports: wish.ports ?? ports,
    ...(wish.limits === undefined ? {} : { limits: wish.limits }),
  };
}

/**
 * Signs a grant by an authority's key or a delegate's.
 * @throws EntremiseError `grant-invalid` when it says something that no member would accept under this trust statement,
 * `grant-revoked` when the terminal's key is revoked, `bad-request` when it is none
 */
export async function signGrant(
  key: SigningKey,
  trust: TrustStatement,
  wish: GrantWish,
  nowMs: number,
): Promise<Grant> {
  return verifyGrant(await signJws(grantRules.typ, claimsOf(wish, nowMs), key), trust, nowMs);
}

/**
 * Signs a grant of before anew, by another key: the same but for its id, and until the same moment.
 * @throws EntremiseError as {@link signGrant}
 */
export async function resignGrant(
  key: SigningKey,
  trust: TrustStatement,
  before: Grant,
  nowMs: number,
): Promise<Grant> {
  const claims = { ...claimedPayload(before.text), jti: newId(), iat: Math.floor(nowMs / 1000) };
  return verifyGrant(await signJws(grantRules.typ, claims, key), trust, nowMs);
}
