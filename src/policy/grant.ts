import * as v from 'valibot';
import { limitNumbers } from './bounds.ts';
import type { JwsRules } from './jws.ts';
import {
  type MediatorSelector,
  type Ports,
  portsSchema,
  selectorSchema,
  type Targets,
  targetsSchema,
} from './permissions.ts';
import {
  closedObject,
  key32,
  listOf,
  oneOf,
  type PermissionVerb,
  purposes,
  timeClaim,
  verbList,
} from './schema.ts';

/**
 * A grant (P6.3): what one terminal's key may do on which mediators, until when. What it does not say, it does not
 * allow; a member that this version does not know makes it invalid, since it may be a restriction.
 */
export interface Grant {
  /** `jti`. */
  readonly id: string;
  /** JWK thumbprint (RFC 7638) of the only key that may use it: `cnf.jkt` (RFC 9449 §6.1). */
  readonly terminalThumbprint: string;
  readonly mediators: readonly MediatorSelector[];
  readonly purpose: 'assistance' | 'service';
  readonly commands: readonly PermissionVerb[];
  readonly targets: Targets;
  readonly ports: Ports;
  readonly limits: GrantLimits;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  readonly signer: string;
  /** The document as it was signed. */
  readonly text: string;
}

/** What a grant bounds; whoever runs the commands counts. */
export interface GrantLimits {
  readonly newStreamsPerSecond: number;
  /** Both directions together; unlimited when absent. */
  readonly bytesPerSecond?: number | undefined;
  readonly ports: number;
  readonly streams: number;
}

/** A grant in use: its expiry as a moment of the monotonic clock, which nobody can set back (P6.3). */
export interface AcceptedGrant extends Grant {
  readonly deadlineMs: number;
}

/** Type and size of a grant. */
export const grantRules: JwsRules = {
  typ: 'entremise-grant+jwt',
  maxBytes: 4096,
  what: 'grant',
  code: 'grant-invalid',
};

/** How much later than here the signer's clock may be. */
export const maxSkewMs = 5 * 60_000;

/** Longest life of a grant per purpose (P6.3). */
export const maxGrantLifeMs = { assistance: 24 * 3_600_000, service: 30 * 24 * 3_600_000 } as const;

/** Life of a grant when nothing is said (P6.3). */
export const defaultGrantLifeMs = 12 * 3_600_000;

/** Bounds of a grant that says none. */
export const defaultLimits = { newStreamsPerSecond: 100, ports: 64, streams: 1024 } as const;

const limitsSchema = closedObject({
  newStreamsPerSecond: v.optional(limitNumbers.newStreamsPerSecond, defaultLimits.newStreamsPerSecond),
  bytesPerSecond: v.optional(limitNumbers.bytesPerSecond),
  ports: v.optional(limitNumbers.ports, defaultLimits.ports),
  streams: v.optional(limitNumbers.streams, defaultLimits.streams),
});

/** The claims of a grant, as they stand in the document. */
export const grantClaimsSchema = closedObject({
  jti: v.pipe(
    v.string('must be text'),
    v.regex(/^[\w-]{8,64}$/, 'must be 8 to 64 letters, digits, "_" or "-"'),
  ),
  iat: timeClaim,
  exp: timeClaim,
  cnf: closedObject({ jkt: key32 }),
  mediators: listOf(selectorSchema, 1, 64),
  purpose: oneOf(purposes),
  commands: verbList,
  targets: v.optional(targetsSchema, {}),
  ports: v.optional(portsSchema, {}),
  limits: v.optional(limitsSchema, {}),
});

/** The claims of a grant before they are read: what an authority signs. */
export type GrantClaims = v.InferInput<typeof grantClaimsSchema>;
